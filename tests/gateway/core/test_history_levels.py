"""Stepped queries give what the readings themselves would give, from whichever levels they are answered."""

import random
from itertools import pairwise

import pytest

from gateway.core.readings import purging
from gateway.core.readings.late import HOUR_MS
from gateway.core.readings.levels import Known, Stretch, plan
from tests.gateway.core.heart import approved, open_heart

pytestmark = pytest.mark.anyio
MINUTE_MS = 60_000
AGGREGATES = {
    "avg": lambda values: sum(values) / len(values), "min": min, "max": max, "sum": sum, "count": len,
    "last": lambda values: values[-1],
}  # fmt: skip


def by_hand(readings, start, end, step, aggregate):
    buckets = {}
    for at, value in readings:
        if start <= at <= end:
            buckets.setdefault(at // step * step, []).append(value)
    return [(at, AGGREGATES[aggregate](values)) for at, values in sorted(buckets.items())]


def close(ours, right):
    assert [at for at, _ in ours] == [at for at, _ in right]
    assert [value for _, value in ours] == pytest.approx([value for _, value in right])


async def test_any_question_is_answered_as_by_hand(tmp_path, clock):
    rng = random.Random(5)
    clock.ms = clock.ms // HOUR_MS * HOUR_MS + 17 * MINUTE_MS
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        first = clock.ms - 20 * HOUR_MS
        readings = {}
        for _ in range(3000):
            at = rng.randrange(first, clock.ms)
            if at // HOUR_MS % 5:  # some hours are silent
                readings[at] = rng.randrange(-50, 50)
        for at, value in readings.items():
            core.telemetry.report(module, {"a": value}, at)
        await core.keeping.turn()
        late = rng.randrange(first, clock.ms - HOUR_MS)
        readings[late] = 1000
        core.telemetry.report(module, {"a": 1000}, late)
        known = sorted(readings.items())
        for _ in range(150):
            step = rng.choice([MINUTE_MS, 7 * MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS])
            start, end = sorted(rng.randrange(first - HOUR_MS, clock.ms + HOUR_MS) for _ in "12")
            aggregate = rng.choice(list(AGGREGATES))
            asked = {"from_ms": start, "to_ms": end, "step_ms": step, "aggregate": aggregate}
            close(await core.history.points("MC-1", "a", limit=10_000, **asked),
                  by_hand(known, start, end, step, aggregate))  # fmt: skip
            # The same in pages, newest first.
            paged, to_ms = [], end
            while to_ms is not None:
                page = await core.history.page("MC-1", "a", limit=7, **(asked | {"to_ms": to_ms}))
                paged = page.points + paged
                to_ms = None if page.before_ms is None else page.before_ms - 1
            close(paged, by_hand(known, start, end, step, aggregate))


async def test_beyond_the_borders_of_what_is_kept_the_next_level_answers(tmp_path, clock):
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        first = clock.ms - 12 * HOUR_MS
        readings = [(at, at // MINUTE_MS % 60) for at in range(first, clock.ms, MINUTE_MS)]
        for at, value in readings:
            core.telemetry.report(module, {"a": value}, at)
        await core.keeping.turn()
        keeping = core.keeping
        assert await keeping._retention._delete(_level("RAW"), lambda type: first + 8 * HOUR_MS)
        assert await keeping._retention._delete(_level("FIVES"), lambda type: first + 4 * HOUR_MS)
        asked = {"from_ms": first, "to_ms": clock.ms, "limit": 10_000}
        for aggregate in AGGREGATES:
            close(await core.history.points("MC-1", "a", step_ms=HOUR_MS, aggregate=aggregate, **asked),
                  by_hand(readings, first, clock.ms, HOUR_MS, aggregate))  # fmt: skip
        fine = await core.history.points("MC-1", "a", step_ms=MINUTE_MS, **asked)
        steps = [later - earlier for (earlier, _), (later, _) in pairwise(fine)]
        assert steps == [HOUR_MS] * 4 + [5 * MINUTE_MS] * 48 + [MINUTE_MS] * 239
        assert sum(value for _, value in await core.history.points(
            "MC-1", "a", step_ms=MINUTE_MS, aggregate="count", **asked)) == len(readings)  # fmt: skip
        # Every reading that is still there, without a step.
        assert await core.history.points("MC-1", "a", **asked) == readings[8 * 60 :]


def _level(name):
    return getattr(purging, name)


async def test_what_is_too_large_for_a_number_is_none(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for n in range(3):
            core.telemetry.report(module, {"a": 9e299}, clock.ms - n)
        sums = await core.history.points("MC-1", "a", step_ms=HOUR_MS, aggregate="all")
        assert all(value.keys() == {*AGGREGATES} for _, value in sums)


@pytest.mark.parametrize("step, start, end, expected", [
    (HOUR_MS, 0, 10 * HOUR_MS, [("hours", 0, 8), ("raw", 8, 10)]),
    (MINUTE_MS, 0, 10 * HOUR_MS, [("hours", 0, 2), ("fives", 2, 4), ("raw", 4, 10)]),
    (2 * HOUR_MS, HOUR_MS, 9 * HOUR_MS, [("hours", 1, 8), ("raw", 8, 9)]),
    (15 * MINUTE_MS, 0, 9 * HOUR_MS, [("hours", 0, 2), ("fives", 2, 8), ("raw", 8, 9)]),
])  # fmt: skip
def test_the_plan(step, start, end, expected, anyio_backend):
    known = Known(raw_from=4 * HOUR_MS, five_from=2 * HOUR_MS, rolled=8 * HOUR_MS)
    stretches = [Stretch(level, a * HOUR_MS, b * HOUR_MS) for level, a, b in expected]
    assert plan(known, step, start, end) == stretches
