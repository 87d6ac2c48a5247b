"""The last hour of the house in numbers: one sample every ten seconds, in memory, for small plots."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.core import clock

EVERY_S = 10.0
KEPT = 360
Count = Callable[[], int]


class Sample(NamedTuple):
    """`messages` and `readings` are rates a second since the sample before; `online` counts modules."""

    at_ms: int
    messages: float
    readings: float
    online: int


class Pulse:
    """`readings`: how many telemetry messages were taken since the start; `online`: how many modules are."""

    def __init__(self, readings: Count, online: Count) -> None:
        self._readings = readings
        self._online = online
        self._messages: Count | None = None
        self._ring: deque[Sample] = deque(maxlen=KEPT)
        self._at_s = time.monotonic()
        self._before = (0, 0)

    def count_messages(self, received: Count) -> None:
        """Who knows how many messages came in over all transports; without it, readings are counted."""
        self._messages = received
        self._before = self._counts()

    def samples(self) -> list[Sample]:
        """The oldest first."""
        return list(self._ring)

    def tick(self) -> None:
        """Once a second; most of them do nothing."""
        now_s = time.monotonic()
        passed_s = now_s - self._at_s
        # A beat that comes a moment early belongs to this sample.
        if passed_s < EVERY_S - 0.5:
            return
        counts = self._counts()
        messages, readings = (
            max(0, now - before) / passed_s for now, before in zip(counts, self._before, strict=True)
        )
        self._ring.append(Sample(clock.now_ms(), messages, readings, self._online()))
        self._at_s, self._before = now_s, counts

    def _counts(self) -> tuple[int, int]:
        readings = self._readings()
        return (readings if self._messages is None else self._messages(), readings)
