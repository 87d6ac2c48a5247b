"""Modules as pages show them: words instead of codes, in the order people look for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gateway.core.core import Core
from gateway.core.errors import NotFound
from gateway.core.rights import Principal, may_see
from gateway.core.types import ModuleType
from gateway.core.values import Module
from web import wording
from web.language import gettext as _

LONG_VALUE = 16
MAX_SORTED = 80
MAX_DIGITS = 20
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class Reading:
    key: str
    label: str
    text: str
    unit: str

    @property
    def long(self) -> bool:
        return len(self.text) > LONG_VALUE


@dataclass(frozen=True, slots=True)
class ModuleView:
    id: str
    name: str
    location: str
    owner_id: int | None
    life: str
    type_code: int
    type_name: str
    status: str
    status_word: str
    reason: str
    since_ms: int
    last_seen_ms: int | None
    unstable: bool
    hardware: str
    firmware: str
    address: str
    readings: tuple[Reading, ...]

    @property
    def title(self) -> str:
        return self.name or self.id

    @property
    def subtitle(self) -> str:
        return " · ".join(part for part in (self.id if self.name else "", self.location) if part)


def module_type(core: Core, code: int) -> ModuleType:
    """The declared type, or one without anything when nobody declares it any more."""
    try:
        return core.types.get(code)
    except NotFound:
        return ModuleType(code=code, name=_("Type %(code)s", code=code))


def type_name(core: Core, code: int) -> str:
    """What its type is called, in the visitor's language where it is one of ours."""
    return _(module_type(core, code).name)


def view_of(core: Core, module: Module) -> ModuleView:
    kind = module_type(core, module.type)
    presence = core.presence.of(module.id)
    approved = module.life == "approved"
    status = presence.state if approved else module.life
    return ModuleView(
        id=module.id,
        name=module.name,
        location=module.location,
        owner_id=module.owner_id,
        life=module.life,
        type_code=module.type,
        type_name=_(kind.name),
        status=status,
        status_word=wording.status_word(status),
        reason=wording.reason(presence.reason) if approved else module.decision_reason,
        since_ms=presence.since_ms if approved else module.decided_at_ms or module.created_at_ms,
        last_seen_ms=presence.last_seen_ms,
        unstable=presence.unstable and approved,
        hardware=module.hardware,
        firmware=module.firmware,
        address=module.address,
        readings=readings(kind, core.telemetry.latest(module.id)),
    )


def readings(kind: ModuleType, latest: dict[str, Any]) -> tuple[Reading, ...]:
    """Declared keys first, in the order of the declaration, then what else the module reports."""
    declared = [key for key in kind.keys if key in latest]
    others = sorted(key for key in latest if key not in kind.keys)
    return tuple(_reading(kind, key, latest[key]) for key in declared + others)


def _reading(kind: ModuleType, key: str, value: Any) -> Reading:
    field = kind.keys.get(key)
    return Reading(key, wording.label(key, field), wording.shown(value), field.unit if field else "")


def visible(core: Core, visitor: Principal) -> Iterable[Module]:
    """What this visitor may see, in the order of names."""
    return in_order(seen_by(core, visitor))


def seen_by(core: Core, visitor: Principal) -> Iterable[Module]:
    """What this visitor may see, in no order, which is quicker."""
    return (m for m in core.registry.all() if may_see(visitor, m.owner_id, m.group))


def in_order(modules: Iterable[Module]) -> list[Module]:
    """In the order of names."""
    return sorted(modules, key=lambda module: (natural(module.name or module.id), module.id))


# The names of a house are asked for again with every list.
@lru_cache(maxsize=50_000)
def natural(text: str) -> str:
    """What to sort a name by, so that `Lamp 2` stands before `Lamp 10`."""
    return _DIGITS.sub(lambda digits: digits[0].rjust(MAX_DIGITS, "0"), text[:MAX_SORTED].lower())


def matches(core: Core, module: Module, *, status: str = "", type: str = "", q: str = "") -> bool:
    """Whether a module passes a list's filters; an empty filter lets all through."""
    if status and core.status(module) != status:
        return False
    if type and str(module.type) != type:
        return False
    wanted = q.lower()
    return not wanted or any(wanted in text.lower() for text in (module.id, module.name, module.location))
