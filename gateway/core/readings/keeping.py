"""The job that keeps the history in bounds: sums up, mends what came late, deletes what is over age.

It works in small steps: what is long is read beside the writer, what is written is short. Every step may be
the last one before a crash: done again it gives the same.
"""

import asyncio
import logging
import time
from functools import partial

from gateway.core import clock
from gateway.core.choices import ChoiceChanged, Choices
from gateway.core.errors import Unavailable
from gateway.core.events import Hub
from gateway.core.readings import mending, rollups
from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.retention import Retention, floor
from gateway.core.readings.room import HistoryHealth, Room
from gateway.core.readings.slices import Slices
from gateway.core.readings.telemetry import Telemetry
from gateway.core.readings.trust import Trust
from gateway.core.types import Types
from gateway.storage.models_history import FiveMinutesRow, HourRow, KeptRow
from gateway.storage.store import Store

log = logging.getLogger(__name__)

EVERY_S = 5.0
PURGE_EVERY_S = 600.0
# Readings that need so long to come are still on time.
GRACE_MS = 30_000
# Series whose spans are written in one transaction.
SERIES = 40


class Keeping:
    def __init__(
        self, store: Store, hub: Hub, choices: Choices, types: Types, telemetry: Telemetry, url: str
    ) -> None:
        self._store = store
        self._late = telemetry.late
        self._trust = Trust()
        self._slices = Slices(store)
        self._retention = Retention(store, choices, types, self._slices)
        self._room = Room(store, hub, choices, telemetry, url)
        self._done_ms = 0
        self._purge_due_s = 0.0
        hub.subscribe(ChoiceChanged, self._choice_changed)

    async def load(self) -> None:
        self._done_ms = self._late.rolled_ms = await self._store.run(rollups.rolled_ms)
        self._trust.begin(self._done_ms)
        await self._room.look()

    @property
    def health(self) -> HistoryHealth:
        """Whether readings are kept, and how much room there is."""
        return self._room.health

    @property
    def longest_hold_ms(self) -> float:
        """Of the writer, by one of our transactions, since the start."""
        return self._slices.longest_hold_ms

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.turn()
            except Unavailable:
                pass  # said by the store already; what was not done is found again
            except Exception:
                log.exception("The history could not be put in order; trying again.")
            await asyncio.sleep(EVERY_S)

    async def turn(self) -> None:
        """Everything that is due now."""
        believed = self._trust.believes()
        await self._mend()
        if believed:
            await self._set_back()
        await self._roll()
        await self._room.look()
        await self._thin()
        if believed and time.monotonic() >= self._purge_due_s:
            await self.purge()
            self._purge_due_s = time.monotonic() + PURGE_EVERY_S

    async def purge(self) -> None:
        """Delete what is over age, as far as it is summed up."""
        await self._retention.purge(self._done_ms)

    async def _thin(self) -> None:
        while self._room.wants_more:
            self._room.exhausted = not await self._retention.thin(self._done_ms)
            await self._room.look()
            if self._room.exhausted:
                break

    async def _roll(self) -> None:
        until_ms = floor(clock.now_ms() - GRACE_MS, FIVE_MINUTES_MS)
        while self._done_ms < until_ms:
            from_ms = self._done_ms
            # Not from within an hour: that one must be ended first.
            if until_ms - from_ms > HOUR_MS and from_ms % HOUR_MS == 0:
                from_ms = await self._next_reading(from_ms, until_ms)
            to_ms = min(until_ms, floor(from_ms, HOUR_MS) + HOUR_MS)
            if from_ms < until_ms:
                await self._roll_span(from_ms, to_ms)
            self._done_ms = max(from_ms, to_ms)

    async def _next_reading(self, from_ms: int, until_ms: int) -> int:
        """Where there is something to sum up again: a gateway may have been off for long."""
        first_ms = await self._store.read(lambda: rollups.first_from(from_ms))
        if first_ms is None or first_ms >= until_ms:
            await self._finish_span(until_ms)
            return until_ms
        return max(from_ms, floor(first_ms, HOUR_MS))

    async def _roll_span(self, from_ms: int, to_ms: int) -> None:
        """Within one hour. What comes from here on for this time is late, so nothing falls between."""
        self._late.rolled_ms = max(self._late.rolled_ms, to_ms)
        await self._all_there()
        for first, last in await self._store.read(lambda: rollups.series_slices(SERIES)):
            fives = await self._store.read(partial(rollups.fives, first, last, from_ms, to_ms))
            if fives:
                await self._slices.write(partial(rollups.write, FiveMinutesRow, fives))
            if to_ms % HOUR_MS == 0:
                hours = await self._store.read(partial(rollups.hours, first, last, to_ms - HOUR_MS, to_ms))
                await self._slices.write(partial(rollups.write, HourRow, hours))
        await self._finish_span(to_ms)

    async def _all_there(self) -> None:
        """Raises `Unavailable` while readings wait for the database, which a sum would miss for ever."""
        await self._store.run(lambda: None)

    async def _finish_span(self, to_ms: int) -> None:
        self._late.rolled_ms = max(self._late.rolled_ms, to_ms)
        await self._slices.write(partial(rollups.remember_rolled, to_ms))

    async def _mend(self) -> None:
        while True:
            self._late.forget()
            found = await self._store.read(mending.marks)
            if not found:
                return
            await self._all_there()
            spans = await self._store.read(partial(mending.recounted, found))
            await self._slices.write(partial(mending.settle, found, spans, self._done_ms))

    async def _set_back(self) -> None:
        """The clock stood far ahead once and has been set right: from now on time passes as it did before."""
        now_ms = floor(clock.now_ms(), HOUR_MS)
        if self._done_ms <= now_ms + 2 * HOUR_MS:
            return

        def work() -> None:
            rollups.remember_rolled(now_ms)
            for since in (KeptRow.raw_from_ms, KeptRow.five_from_ms):
                KeptRow.update({since: now_ms}).where(since > now_ms).execute()

        await self._slices.write(work)
        self._done_ms = self._late.rolled_ms = now_ms

    def _choice_changed(self, event: ChoiceChanged) -> None:
        if event.name.startswith("history."):
            self._purge_due_s = 0.0
