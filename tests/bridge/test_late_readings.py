"""Late and batched data: times, arrays, in any order, twice the same, from clocks that are wrong."""

import json

import pytest

from bridge.readings import MAX_BATCH, report
from gateway.core import clock
from gateway.core.errors import Invalid
from tests.gateway.core.heart import approved, open_heart

pytestmark = pytest.mark.anyio
HOUR_MS = 3600_000


async def recorded(core, key="a"):
    return await core.history.points("MC-1", key, from_ms=0, limit=10_000)


async def test_a_batch_in_any_order_and_twice(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        now_ms = clock.now_ms()
        batch = [{"ts": now_ms - n * 1000, "values": {"a": n}} for n in (3, 1, 2, 20 * 3600, 0)]
        for _ in range(3):  # a device that did not hear our word sends it again
            assert report(core, module, json.loads(json.dumps(batch)))
        assert await recorded(core) == sorted((each["ts"], each["values"]["a"]) for each in batch)
        assert core.telemetry.latest("MC-1") == {"a": 0}
        # The same key and time: the last word counts.
        assert report(core, module, {"ts": now_ms - 1000, "values": {"a": 100}})
        assert (now_ms - 1000, 100) in await recorded(core)
        assert len(await recorded(core)) == 5


async def test_a_batch_that_is_too_long_is_refused_as_a_whole(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        with pytest.raises(Invalid):
            report(core, module, [{"a": 1}] * (MAX_BATCH + 1))
        assert await recorded(core) == []


async def test_one_wrong_element_does_not_spoil_the_others(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        wrong = [1, None, "x", {"ts": "now", "values": {"a": 1}}, {"ts": 1.5, "values": {"a": 1}}, []]
        assert report(core, module, [{"a": 1}, *wrong, {"a": 2}])
        assert [value for _, value in await recorded(core)] == [1, 2]
        assert core.telemetry.set_aside["MC-1"] == len(wrong)


async def test_a_clock_that_is_a_day_wrong_is_flagged_until_it_is_right(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        before_ms = clock.now_ms()
        report(core, module, {"ts": 0, "values": {"a": 1}})
        fault = core.telemetry.clock_fault("MC-1")
        assert fault is not None and fault.said_ms == 0 and fault.at_ms >= before_ms
        ((at_ms, _),) = await recorded(core)
        assert before_ms <= at_ms <= clock.now_ms()  # the gateway's time was taken
        report(core, module, {"a": 2})
        assert core.telemetry.clock_fault("MC-1") is not None  # a reading without a time tells nothing
        report(core, module, {"ts": clock.now_ms() - HOUR_MS, "values": {"a": 3}})
        assert core.telemetry.clock_fault("MC-1") is None


async def test_late_readings_are_summed_up_where_they_belong(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        now_ms = clock.now_ms()
        hour_ms = now_ms // HOUR_MS * HOUR_MS - 10 * HOUR_MS
        report(core, module, [{"ts": hour_ms + n, "values": {"a": 1}} for n in range(10)])
        await core.keeping.turn()
        report(core, module, [{"ts": hour_ms + 500 + n, "values": {"a": 3}} for n in range(10)])
        for _ in range(2):
            asked = {"from_ms": hour_ms, "step_ms": HOUR_MS, "aggregate": "all"}
            ((at_ms, sums),) = await core.history.points("MC-1", "a", **asked)
            assert (at_ms, sums["count"], sums["sum"], sums["last"]) == (hour_ms, 20, 40, 3)
            await core.keeping.turn()
