"""Whether the clock may be believed when it is about to decide what is deleted."""

import time

from gateway.core import clock

# What time does between two looks beyond this is a jump, not drift.
JUMP_MS = 5 * 60_000
LONGEST_DOUBT_MS = 24 * 3600_000


class Trust:
    """A clock that jumped is doubted for as long as the jump was, a day at most."""

    def __init__(self) -> None:
        self._wall_ms = 0
        self._beat_ms = 0.0
        self._doubted_until_ms = 0.0

    def begin(self, last_known_ms: int) -> None:
        """`last_known_ms`: what the clock said when it was looked at last, in a life before this one."""
        self._wall_ms, self._beat_ms = clock.now_ms(), _beat_ms()
        self._doubted_until_ms = 0.0
        # To have been off for a day is no jump; the clock of a board that woke up in 1970 is.
        if last_known_ms and abs(self._wall_ms - last_known_ms) > LONGEST_DOUBT_MS:
            self._doubt(abs(self._wall_ms - last_known_ms))

    def believes(self) -> bool:
        wall_ms, beat_ms = clock.now_ms(), _beat_ms()
        jumped_ms = abs((wall_ms - self._wall_ms) - (beat_ms - self._beat_ms))
        self._wall_ms, self._beat_ms = wall_ms, beat_ms
        if jumped_ms > JUMP_MS:
            self._doubt(jumped_ms)
        return beat_ms >= self._doubted_until_ms

    def _doubt(self, jumped_ms: float) -> None:
        until_ms = self._beat_ms + min(jumped_ms, LONGEST_DOUBT_MS)
        self._doubted_until_ms = max(self._doubted_until_ms, until_ms)


def _beat_ms() -> float:
    return time.monotonic() * 1000
