"""Who did what, append-only: each row holds a digest over itself and the row before it."""

from hashlib import sha256
from typing import Any

import msgspec

from gateway.core import clock
from gateway.storage.models import AuditRow
from gateway.storage.store import Store

FIRST_CHAIN = "0" * 64


def write(
    action: str, subject: str, who: str, *, level: str = "info", address: str = "", **details: Any
) -> None:
    """Append one row, within the transaction of the change itself (on the database's thread)."""
    last = AuditRow.select(AuditRow.chain).order_by(AuditRow.number.desc()).first()
    row = AuditRow(
        at_ms=clock.now_ms(),
        level=level,
        who=who,
        action=action,
        subject=subject,
        address=address,
        details=msgspec.json.encode(details).decode(),
    )
    row.chain = _link(last.chain if last else FIRST_CHAIN, row)
    row.save(force_insert=True)


def _link(before: str, row: AuditRow) -> str:
    fields = [before, row.at_ms, row.level, row.who, row.action, row.subject, row.address, row.details]
    return sha256(msgspec.json.encode(fields)).hexdigest()


class Audit:
    """Reading the trail back. `lines_waiting`: rows that its receiver has not got; None: there is none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.lines_waiting: int | None = None

    async def rows(
        self, *, before: int | None = None, subject: str = "", limit: int = 50
    ) -> list[dict[str, Any]]:
        """The newest rows first; `before` is the number of the last row of the page before."""
        return await self._store.read(lambda: _page(before, subject, limit))

    async def broken_at(self) -> int | None:
        """The number of the first row that does not fit its predecessor; None when the trail is whole."""
        return await self._store.read(_first_broken)


def _page(before: int | None, subject: str, limit: int) -> list[dict[str, Any]]:
    query = AuditRow.select().order_by(AuditRow.number.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditRow.number < before)
    if subject:
        query = query.where(AuditRow.subject == subject)
    return [_plain(row) for row in query]


def _plain(row: AuditRow) -> dict[str, Any]:
    names = ("number", "at_ms", "level", "who", "action", "subject", "address")
    return {name: getattr(row, name) for name in names} | {"details": msgspec.json.decode(row.details)}


def _first_broken() -> int | None:
    chain = FIRST_CHAIN
    for row in AuditRow.select().order_by(AuditRow.number).iterator():
        if (chain := _link(chain, row)) != row.chain:
            return int(row.number)
    return None
