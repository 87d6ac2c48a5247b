"""How fast a download goes, from the last seconds of it."""

from collections import deque
from collections.abc import Callable

SAMPLE_EVERY_S = 0.5
SAMPLES = 21


class Pace:
    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._now_s = monotonic_s
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES)
        self._told_s = 0.0
        self.last_s = monotonic_s()

    def note(self, received: int) -> None:
        """So many bytes, in all, have arrived by now."""
        self.last_s = self._now_s()
        if not self._samples or self.last_s - self._samples[-1][0] >= SAMPLE_EVERY_S:
            self._samples.append((self.last_s, received))

    def rate(self) -> float | None:
        """Bytes per second over some ten seconds; None while too little is known or nothing moves."""
        if len(self._samples) < 2:
            return None
        (first_s, first), (_, last) = self._samples[0], self._samples[-1]
        rate = (last - first) / max(self._now_s() - first_s, SAMPLE_EVERY_S)
        return rate or None

    def tell_after(self, pause_s: float) -> bool:
        """Whether it was not told for so long; it is from now on."""
        if self.last_s - self._told_s < pause_s:
            return False
        self._told_s = self.last_s
        return True
