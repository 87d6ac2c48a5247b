"""Which level of the history answers which stretch of time: the coarsest that is exact, or what is left."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS

Name = Literal["raw", "fives", "hours"]


@dataclass(frozen=True, slots=True)
class Known:
    """Of one series (UTC ms): all readings are there from `raw_from`, five minutes from `five_from`; and
    what lies before `rolled` is summed up."""

    raw_from: int
    five_from: int
    rolled: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` to before `end`."""

    level: Name
    start: int
    end: int


def plan(known: Known, step_ms: int, start: int, end: int) -> list[Stretch]:
    """The stretches between, oldest first; neighbours have different levels."""
    found: list[Stretch] = []
    for a, b in _pieces(known, start, end):
        level = _level(known, step_ms, a, b)
        if found and found[-1].level == level:
            found[-1] = Stretch(level, found[-1].start, b)
        else:
            found.append(Stretch(level, a, b))
    return found


def _pieces(known: Known, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut wherever another level may become possible."""
    cuts = {start, end}
    for border in (start, end, known.raw_from, known.five_from, known.rolled):
        for span in (1, FIVE_MINUTES_MS, HOUR_MS):
            below = border // span * span
            cuts |= {below, below + span if below < border else below}
    places = sorted(cut for cut in cuts if start <= cut <= end)
    yield from itertools.pairwise(places)


def _level(known: Known, step_ms: int, a: int, b: int) -> Name:
    if _fits(step_ms, HOUR_MS, a, b) and b <= known.rolled:
        return "hours"
    if _fits(step_ms, FIVE_MINUTES_MS, a, b) and known.five_from <= a and b <= known.rolled:
        return "fives"
    if a >= known.raw_from:
        return "raw"
    # The readings are gone; what is left is not as fine, or not of this very stretch.
    return "fives" if a >= known.five_from else "hours"


def _fits(step_ms: int, span_ms: int, a: int, b: int) -> bool:
    """Whether spans fill both the steps and the stretch."""
    return step_ms % span_ms == 0 and a % span_ms == 0 and b % span_ms == 0
