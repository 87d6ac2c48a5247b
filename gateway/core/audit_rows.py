"""The rows of the audit trail: how they hang together, and which are asked for; on the database's thread."""

from hashlib import sha256
from typing import Any

import msgspec

from gateway.storage.models import AuditRow

FIRST_CHAIN = "0" * 64
# Rows that are checked at once: what else wants to read comes in between.
CHECKED_AT_ONCE = 5000
_SHOWN = ("number", "at_ms", "level", "who", "role", "action", "subject", "address")


class Wanted(msgspec.Struct, frozen=True):
    """Which rows; what is empty or None asks nothing. `action` is how it begins; times are UTC ms."""

    who: str = ""
    action: str = ""
    subject: str = ""
    level: str = ""
    text: str = ""
    from_ms: int | None = None
    to_ms: int | None = None


class Walk(msgspec.Struct, frozen=True):
    """How far a check has come: the last row, its digest, and the first that did not fit."""

    rows: int = 0
    number: int = 0
    chain: str = FIRST_CHAIN
    broken_at: int | None = None
    ended: bool = False


def link(before: str, row: AuditRow) -> str:
    """The digest over a row and the one before it."""
    fields = [before, row.at_ms, row.level, row.who, row.action, row.subject, row.address, row.details]
    # A row of before there were roles keeps its digest.
    return sha256(msgspec.json.encode([*fields, row.role] if row.role else fields)).hexdigest()


def last() -> AuditRow | None:
    found: AuditRow | None = AuditRow.select().order_by(AuditRow.number.desc()).first()
    return found


def chain_of(number: int) -> str:
    """The digest of a row; empty if there is none of this number."""
    row = AuditRow.get_or_none(AuditRow.number == number)
    return row.chain if row else ""


def walk_on(walk: Walk) -> Walk:
    """Check the next rows."""
    query = AuditRow.select().where(AuditRow.number > walk.number).order_by(AuditRow.number)
    rows, number, chain = walk.rows, walk.number, walk.chain
    for row in query.limit(CHECKED_AT_ONCE).iterator():
        rows, number, chain = rows + 1, row.number, link(chain, row)
        if chain != row.chain:
            return Walk(rows, number, chain, number, True)
    return Walk(rows, number, chain, None, rows - walk.rows < CHECKED_AT_ONCE)


def page(before: int | None, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    query = _asked(wanted).order_by(AuditRow.number.desc()).limit(limit)
    return [_plain(row) for row in (query if before is None else query.where(AuditRow.number < before))]


def following(after: int, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
    """The oldest first."""
    query = _asked(wanted).where(AuditRow.number > after).order_by(AuditRow.number).limit(limit)
    return [_plain(row) for row in query]


def _asked(wanted: Wanted) -> Any:
    query = AuditRow.select()
    for column in (AuditRow.who, AuditRow.subject, AuditRow.level):
        if value := getattr(wanted, column.name):
            query = query.where(column == value)
    if wanted.action:
        query = query.where(AuditRow.action.startswith(wanted.action))
    if wanted.from_ms is not None:
        query = query.where(AuditRow.at_ms >= wanted.from_ms)
    if wanted.to_ms is not None:
        query = query.where(AuditRow.at_ms < wanted.to_ms)
    if wanted.text:
        said = AuditRow.who, AuditRow.action, AuditRow.subject, AuditRow.address, AuditRow.details
        found = said[0].contains(wanted.text)
        for column in said[1:]:
            found |= column.contains(wanted.text)
        query = query.where(found)
    return query


def _plain(row: AuditRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SHOWN} | {"details": msgspec.json.decode(row.details)}
