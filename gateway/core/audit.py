"""Who did what, append-only: each row holds a digest over itself and the row before it.

The table itself refuses changes (triggers); the digests show what was changed around them; the anchor, a
signed note in a file beside the key, shows that the end was cut off.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import msgspec

from gateway.core import audit_rows, clock
from gateway.core.anchor import Anchor, Anchorage, Fault
from gateway.core.audit_rows import FIRST_CHAIN, Wanted, link
from gateway.core.errors import Unavailable
from gateway.storage.models import AuditRow, SettingRow, insert_all, upsert
from gateway.storage.store import Store

log = logging.getLogger(__name__)

GATEWAY = "gateway"
ANCHOR_EVERY_S = 30.0
# Says that there must be an anchor.
KEY = "audit.anchored"


class Origin(msgspec.Struct, frozen=True):
    """Where a request comes from; `who` and `role` once they are known."""

    address: str = ""
    who: str = ""
    role: str = ""


_origin: ContextVar[Origin] = ContextVar("origin")
_NOWHERE = Origin()


@contextmanager
def coming_from(address: str) -> Iterator[None]:
    """Rows that are written on behalf of what is done within say this address."""
    token = _origin.set(Origin(address))
    try:
        yield
    finally:
        _origin.reset(token)


def known_as(who: str, role: str) -> None:
    """The request that is answered here has proved who sent it."""
    _origin.set(Origin(_origin.get(_NOWHERE).address, who, role))


def write(
    action: str, subject: str, who: str, *, level: str = "info", address: str = "", **details: Any
) -> None:
    """Append one row, within the transaction of the change itself (on the database's thread).

    Address and role come from the request that asked for the change, unless told.
    """
    write_all([(subject, details)], action, who, level=level, address=address)


def write_all(
    about: Sequence[tuple[str, Mapping[str, Any]]],
    action: str,
    who: str,
    *,
    level: str = "info",
    address: str = "",
) -> None:
    """Append a row for each subject and its details, as `write` does for one."""
    before = audit_rows.last()
    chain = before.chain if before else FIRST_CHAIN
    origin = _origin.get(_NOWHERE)
    rows = []
    for subject, details in about:
        row = AuditRow(
            at_ms=clock.now_ms(),
            level=level,
            who=who,
            action=action,
            subject=subject,
            # What the gateway does by itself comes from nowhere, even if a request was its occasion.
            address=address or (origin.address if who != GATEWAY else ""),
            details=msgspec.json.encode(details, enc_hook=str).decode(),
            role=origin.role if who == origin.who else "",
        )
        chain = row.chain = link(chain, row)
        rows.append(row.__data__)
    insert_all(AuditRow, rows)


class Verdict(msgspec.Struct, frozen=True):
    """What a check found. `broken_at`: the first row that does not fit the one before it; `anchored`: the
    row that the anchor vouches for; `fault`: empty when the trail is whole."""

    rows: int
    broken_at: int | None = None
    anchored: int | None = None
    fault: Fault = ""

    @property
    def whole(self) -> bool:
        return not self.fault


class Audit:
    """Reading the trail back. `lines_waiting`: rows that its receiver has not got; None: there is none."""

    def __init__(self, store: Store, anchorage: Anchorage) -> None:
        self._store = store
        self._anchorage = anchorage
        self._anchor: Anchor | None = None
        self.lines_waiting: int | None = None
        self.fault: Fault = ""

    async def load(self) -> None:
        """See whether the trail still goes as far as it did; if it does not, the anchor stays as it is."""
        self._anchor, forged = await self._anchorage.read()
        self.fault = "anchor_forged" if forged else await self._fault_of(self._anchor)
        if fault := self.fault:
            log.error("The audit trail is not whole (%s): see `passerelle audit verify`.", fault)
            self._store.submit(lambda: write("audit.fault", "audit", GATEWAY, level="error", fault=fault))

    async def _fault_of(self, anchor: Anchor | None) -> Fault:
        if anchor is None:
            asked = await self._store.read(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
            return "" if asked is None else "anchor_missing"
        holds = await self._store.read(lambda: audit_rows.chain_of(anchor.number)) == anchor.chain
        return "" if holds else "cut"

    async def keep_anchored(self) -> None:
        while True:
            await asyncio.sleep(ANCHOR_EVERY_S)
            try:
                await self.drop_anchor()
            except Exception:
                # Whatever it is (a database that is locked), it must not stop the house.
                log.exception("How far the audit trail goes could not be noted.")

    async def close(self) -> None:
        with suppress(Unavailable):
            await self.drop_anchor()

    async def drop_anchor(self) -> None:
        """Note, durably and signed, how far the trail goes; not while something is wrong with it."""
        if self.fault:
            return
        if self._anchor is None:
            await self._store.run(lambda: upsert(SettingRow, [{"key": KEY, "value": "true"}]))
        elif fault := await self._fault_of(self._anchor):
            self.fault = fault
            log.error("The audit trail was cut while the gateway ran.")
            return
        last = await self._store.read(audit_rows.last)
        if last is not None and (self._anchor is None or last.number > self._anchor.number):
            await self._keep(Anchor(number=last.number, chain=last.chain, at_ms=clock.now_ms()))

    async def _keep(self, anchor: Anchor) -> None:
        try:
            await self._anchorage.write(anchor)
        except OSError as error:
            log.warning("How far the audit trail goes could not be noted: %s", error)
        else:
            self._anchor = anchor

    async def accept(self, who: str) -> None:
        """Go on from what there is (a backup was restored, the key is another); the trail says who did."""
        fault, anchored = self.fault, self._anchor.number if self._anchor else None
        await self._store.run(
            lambda: write("audit.accept", "audit", who, level="warning", fault=fault, anchored=anchored)
        )
        self.fault, self._anchor = "", None
        await self.drop_anchor()

    async def rows(
        self, *, before: int | None = None, subject: str = "", limit: int = 50, wanted: Wanted | None = None
    ) -> list[dict[str, Any]]:
        """The newest rows first; `before` is the number of the last row of the page before."""
        asked = wanted or Wanted(subject=subject)
        return await self._store.read(lambda: audit_rows.page(before, asked, limit))

    async def rows_after(self, number: int, wanted: Wanted, limit: int) -> list[dict[str, Any]]:
        """The oldest first, for who reads them all."""
        return await self._store.read(lambda: audit_rows.following(number, wanted, limit))

    async def broken_at(self) -> int | None:
        """The number of the first row that does not fit its predecessor; None when all do."""
        return (await self.verify()).broken_at

    async def verify(self) -> Verdict:
        """Check every row, and that the trail still goes as far as its anchor."""
        walk = audit_rows.Walk()
        while not walk.ended:
            walk = await self._walked_on(walk)
        anchor = self._anchor
        fault = "changed" if walk.broken_at else self.fault or await self._fault_of(anchor)
        return Verdict(walk.rows, walk.broken_at, anchor.number if anchor else None, fault)

    async def _walked_on(self, walk: audit_rows.Walk) -> audit_rows.Walk:
        return await self._store.read(lambda: audit_rows.walk_on(walk))
