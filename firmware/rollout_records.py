"""Between rollouts and their rows; the functions run inside a transaction."""

from typing import Any

import msgspec

from firmware.plan import Plan
from firmware.rollout_progress import Change
from firmware.rollout_values import OVER, Member, Rollout
from gateway.storage.models import proxy
from gateway.storage.models_firmware import MemberRow, RolloutRow

_ROLLOUT = (
    "name", "image_id", "state", "reason", "wave", "wave_since_ms", "created_at_ms", "ended_at_ms", "by",
)  # fmt: skip
_MEMBER = ("wave", "state", "job_id", "previous", "note", "forgiven")
_AT_ONCE = 500


def insert(rollout: Rollout, members: list[Member]) -> int:
    """A new one; its number is given here."""
    plan = msgspec.json.encode(rollout.plan).decode()
    id = int(RolloutRow.insert(**_columns(rollout), plan=plan).execute())
    rows = [{"rollout_id": id, "module_number": member.number} | _values(member) for member in members]
    for first in range(0, len(rows), _AT_ONCE):
        MemberRow.insert_many(rows[first : first + _AT_ONCE]).execute()
    return id


def write(rollout_id: int, changes: list[Change]) -> None:
    """The newest of each that changed; a member whose row is gone with its module stays gone."""
    rollout = next((after for _, after in reversed(changes) if isinstance(after, Rollout)), None)
    if rollout is not None:
        RolloutRow.update(**_columns(rollout)).where(RolloutRow.id == rollout_id).execute()
    members = {after.number: after for _, after in changes if isinstance(after, Member)}
    if members:
        _update(rollout_id, list(members.values()))


def _update(rollout_id: int, members: list[Member]) -> None:
    """One statement for many rows: to make it anew for each costs more than the database itself."""
    fields = [field for field in MemberRow._meta.sorted_fields if field.name in _MEMBER]
    first = _values(members[0])
    is_it = (MemberRow.rollout_id == rollout_id) & (MemberRow.module_number == members[0].number)
    sql, _ = MemberRow.update(**first).where(is_it).sql()
    rows = []
    for member in members:
        values = _values(member)
        rows.append([*(field.db_value(values[field.name]) for field in fields), rollout_id, member.number])
    proxy.connection().cursor().executemany(sql, rows)


def load(kept: int, kept_members: int) -> list[tuple[Rollout, list[Member]]]:
    """Every rollout that is not over, and the newest of the others; the oldest first."""
    found: list[tuple[Rollout, list[Member]]] = []
    for row in RolloutRow.select().order_by(RolloutRow.id.desc()):
        is_over = row.state in OVER
        if is_over and (kept <= 0 or kept_members <= 0):
            continue
        members = load_members(row.id)
        if is_over:
            kept, kept_members = kept - 1, kept_members - len(members)
        found.append((_rollout(row), members))
    return found[::-1]


def load_members(rollout_id: int) -> list[Member]:
    rows = MemberRow.select().where(MemberRow.rollout_id == rollout_id)
    return [
        Member(number=row.module_number, **{name: getattr(row, name) for name in _MEMBER})
        for row in rows.order_by(MemberRow.wave, MemberRow.module_number)
    ]


def _rollout(row: Any) -> Rollout:
    values = {name: getattr(row, name) for name in _ROLLOUT}
    return Rollout(id=row.id, plan=msgspec.json.decode(row.plan, type=Plan), **values)


def _columns(rollout: Rollout) -> dict[str, Any]:
    return {name: getattr(rollout, name) for name in _ROLLOUT}


def _values(member: Member) -> dict[str, Any]:
    return {name: getattr(member, name) for name in _MEMBER}
