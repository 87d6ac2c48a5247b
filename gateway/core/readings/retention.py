"""How long each level of the history is kept, and the deleting of what is older."""

from functools import partial

from gateway.core import clock
from gateway.core.choices import Choices
from gateway.core.errors import NotFound
from gateway.core.readings import purging
from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.purging import DAY_MS, LEVELS, RAW, Cutoff, Level
from gateway.core.readings.slices import Slices
from gateway.core.types import Types
from gateway.storage.store import Store

# Of the time there is to thin, each step takes so much.
THIN_STEPS = 20
# What comes late is summed up from five minutes, so these stay a while in any case.
FEWEST_FIVE_MINUTES_DAYS = 2


class Retention:
    def __init__(self, store: Store, choices: Choices, types: Types, slices: Slices) -> None:
        self._store = store
        self._choices = choices
        self._types = types
        self._slices = slices

    def cutoff(self, level: Level, done_ms: int) -> Cutoff:
        """Before when a type's rows go; never what is not summed up yet (`done_ms`)."""
        covered_ms = floor(done_ms, HOUR_MS)
        now_ms = min(clock.now_ms(), done_ms + HOUR_MS)
        place = LEVELS.index(level)

        def before_ms(type: int) -> int:
            keep_ms = self._keep_days(type)[place] * DAY_MS
            # An hour more, so that a reading of a day ago is still late and not lost.
            return min(floor(now_ms - keep_ms, HOUR_MS) - HOUR_MS, covered_ms)

        return before_ms

    def _keep_days(self, type: int) -> tuple[int, int, int]:
        """Days of readings, of five minutes, of hours: as the type says, or the house."""
        try:
            keep = self._types.get(type).keep
        except NotFound:
            keep = None
        names = ("raw_days", "five_minutes_days", "hours_days")
        own = [getattr(keep, name, None) for name in names]
        raw, five, hours = (
            said or self._choices.number(f"history.{name}") for said, name in zip(own, names, strict=True)
        )
        return raw, max(five, FEWEST_FIVE_MINUTES_DAYS), hours

    async def purge(self, done_ms: int) -> None:
        for level in LEVELS:
            await self._delete(level, self.cutoff(level, done_ms))

    async def thin(self, done_ms: int) -> bool:
        """A part of the readings, the oldest first, before their time; False when there is none left."""
        oldest_ms = await self._store.read(lambda: purging.oldest(RAW))
        covered_ms = floor(done_ms, FIVE_MINUTES_MS)
        if oldest_ms is None or oldest_ms >= covered_ms:
            return False
        step_ms = floor((covered_ms - oldest_ms) // THIN_STEPS, FIVE_MINUTES_MS) + FIVE_MINUTES_MS
        before_ms = floor(oldest_ms, FIVE_MINUTES_MS)
        # The oldest may be the last of a key that is silent, and stays: on to those that may go.
        while before_ms < covered_ms:
            before_ms = min(before_ms + step_ms, covered_ms)
            if await self._delete(RAW, partial(_same, before_ms)):
                return True
        return False

    async def _delete(self, level: Level, cutoff: Cutoff) -> bool:
        """Whether there was anything."""
        some = False
        while found := await self._store.read(lambda: purging.slices(level, cutoff, self._slices.rows)):
            done: list[int] = []
            for cuts in found:
                await self._slices.write(partial(purging.delete, level, cuts, done), adapts=True)
            # All of them wait for what came late: another time.
            if not sum(done):
                break
            some = True
        return some


def _same(before_ms: int, type: int) -> int:
    """One cutoff for every type."""
    return before_ms


def floor(at_ms: int, step_ms: int) -> int:
    return at_ms // step_ms * step_ms
