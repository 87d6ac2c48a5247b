"""What people reach: groups of modules beside their own, and whether they may more than look."""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.core import audit
from gateway.core.errors import Conflict, Invalid
from gateway.core.rights import Role
from gateway.storage.models import upsert
from gateway.storage.models_scope import ScopeRow

MOST_GROUPS = 50
MAX_NAME = 200
Scope = tuple[list[str], bool]


def checked(groups: Iterable[str]) -> list[str]:
    """Names of groups, each once and in order; raises `Invalid`."""
    wanted = sorted({name.strip() for name in groups if name.strip()})
    if len(wanted) > MOST_GROUPS or any(len(name) > MAX_NAME for name in wanted):
        raise Invalid(
            "A person reaches at most %(most)s groups, each name of at most %(longest)s characters.",
            most=MOST_GROUPS,
            longest=MAX_NAME,
        )
    return wanted


def check_fits(role: Role, groups: list[str], acts: bool) -> None:
    """Raises `Conflict` where a scope would say something else than the role."""
    if role is Role.ADMIN and (groups or not acts):
        raise Conflict("An admin reaches everything; give another role first.")
    if role is Role.TECHNICIAN and not acts:
        raise Conflict("A technician may do more than look; make this person a user first.")


def note(before: Scope, after: Scope) -> dict[str, Any]:
    """Both as the audit trail has them."""
    return {"before": _told(before), "after": _told(after)}


def _told(scope: Scope) -> dict[str, Any]:
    return {"groups": scope[0], "acts": scope[1]}


def load() -> list[tuple[int, dict[str, Any]]]:
    """(user, groups and acts) of all who have a scope; on the database's thread."""
    return [
        (row.user_id, {"groups": frozenset(msgspec.json.decode(row.groups)), "acts": row.acts})
        for row in ScopeRow.select()
    ]


def insert(user_id: int, groups: list[str]) -> None:
    """On the database's thread, for somebody who is new; the audit row is the newcomer's."""
    if groups:
        encoded = msgspec.json.encode(groups).decode()
        ScopeRow.create(user_id=user_id, groups=encoded, acts=True)


def keep(user_id: int, username: str, groups: list[str], acts: bool, by: str, note: dict[str, Any]) -> None:
    """On the database's thread, with its audit row."""
    encoded = msgspec.json.encode(groups).decode()
    upsert(ScopeRow, [{"user_id": user_id, "groups": encoded, "acts": acts}])
    audit.write("user.scope", username, by, **note)
