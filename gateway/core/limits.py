"""How often somebody may try: a token bucket per key, bounded in memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from math import ceil
from time import monotonic

from gateway.core.errors import TooMany

MAX_KEYS = 20_000


class Throttle:
    """`burst` tries at once, then one every `every_s`; the least recent keys are forgotten first."""

    def __init__(
        self, burst: int, every_s: float, *, enabled: bool = True, clock: Callable[[], float] = monotonic
    ) -> None:
        self._burst = burst
        self._every_s = every_s
        self._enabled = enabled
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self.refused = 0

    def spend(self, key: Hashable, sentence: str = "Too many tries.") -> None:
        """Take one try; raises `TooMany` when none is left."""
        self.check(key, sentence)
        if self._enabled:
            now = self._clock()
            self._full_at[key] = max(self._full_at.get(key, now), now) + self._every_s
            self._full_at.move_to_end(key)
            if len(self._full_at) > MAX_KEYS:
                self._full_at.popitem(last=False)

    def check(self, key: Hashable, sentence: str = "Too many tries.") -> None:
        """Raises `TooMany` when no try is left, and takes none."""
        if wait_s := self.wait_s(key):
            self.refused += 1
            raise TooMany("%(sentence)s Try again in %(wait_s)s s.", wait_s, sentence=sentence, wait_s=wait_s)

    def wait_s(self, key: Hashable) -> int:
        """Whole seconds until the next try; 0 when there is one."""
        if not self._enabled:
            return 0
        behind_s = self._full_at.get(key, 0.0) - self._clock() - (self._burst - 1) * self._every_s
        return int(behind_s) + 1 if behind_s > 0 else 0

    def left(self, key: Hashable) -> int:
        """How many tries there are at once."""
        if not self._enabled:
            return self._burst
        behind_s = max(0.0, self._full_at.get(key, 0.0) - self._clock())
        return max(0, self._burst - ceil(behind_s / self._every_s))

    def forgive(self, key: Hashable) -> None:
        self._full_at.pop(key, None)
