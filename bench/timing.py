"""Pace and delays, for every process of the benchmark."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence

LOOK_EVERY_S = 0.02


async def beats(rate: float, seconds: float) -> AsyncIterator[int]:
    """0, 1, 2.. at `rate` a second; what falls behind is caught up with.

    Up to half a beat late at random, so that they do not march in step with any timer of the server.
    """
    begin = time.monotonic()
    for number in range(int(rate * seconds)):
        due = begin + (number + random.random() / 2) / rate
        if (wait := due - time.monotonic()) > 0.0005:
            await asyncio.sleep(wait)
        yield number


def quantile(ordered: Sequence[float], part: float) -> float | None:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else None


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median, p99 and longest."""
    ordered = sorted(values)
    return {"p50": quantile(ordered, 0.5), "p99": quantile(ordered, 0.99), "max": quantile(ordered, 1)}


async def reached(count: Callable[[], int], goal: int, timeout_s: float) -> None:
    """Until `count()` has reached the goal, or time is up."""
    for _ in range(int(timeout_s / LOOK_EVERY_S)):
        if count() >= goal:
            break
        await asyncio.sleep(LOOK_EVERY_S)
