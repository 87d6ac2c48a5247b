"""Readings of all sorts: what is taken, set aside and told, and what is there after a restart."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import Invalid
from gateway.core.events import TelemetryChanged
from gateway.core.readings import telemetry
from gateway.core.readings.telemetry import MAX_SERIES
from tests.gateway.core.heart import ADMIN, LED, approved, heard, open_heart

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
scalars |= st.sampled_from([10**400, -(10**400), 2**63, 1e308, 5e-324, -0.0])
json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
reports = st.dictionaries(st.text(max_size=5) | st.sampled_from(["a", "b", "lamp"]), json, max_size=5)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_reports=st.lists(reports, max_size=8))
async def test_no_json_at_all_can_stop_it_and_a_restart_knows_the_same(tmp_path_factory, given_reports):
    folder = tmp_path_factory.mktemp("any")
    async with open_heart(folder) as core:
        module, _ = await approved(core)
        for report in given_reports:
            assert core.telemetry.report(module, report)
        latest = core.telemetry.latest("MC-1")
        assert None not in latest.values()
        await core.store.run(lambda: None)
        assert core.hub.failures == 0 and core.store.dropped == 0
    async with open_heart(folder) as core:
        after = core.telemetry.latest("MC-1")
        assert after == latest
        for key, value in after.items():
            assert isinstance(value, bool) == isinstance(latest[key], bool)


def deep(levels):
    return {"a": deep(levels - 1)} if levels else 1


@pytest.mark.parametrize("values, kept", [
    ({"temperature": 21.5}, True),
    ({f"k{n}": n for n in range(64)}, True),
    ({f"k{n}": n for n in range(65)}, False),
    ({"o": {f"k{n}": n for n in range(64)}}, False),
    (deep(4), True),
    (deep(5), False),
    ({"a": [[[1]]]}, True),
    ({"a": [[[[1]]]]}, False),
    ({"k" * 64: 1}, True),
    ({"k" * 65: 1}, False),
    ({"": 1}, False),
    ({"a b": 1}, False),
    ({"a\n": 1}, False),
    ({"<b>": 1}, False),
    ({"o": {"a/b": 1}}, False),
    ({"x": float("nan")}, False),
    ({"o": {"x": float("inf")}}, False),
    ({"x": 10**300}, False),
    ({"x": 10**400}, False),
    ({"x": -(10**299)}, True),
])  # fmt: skip
async def test_bounds(tmp_path, values, kept):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        assert core.telemetry.report(module, values)
        assert (core.telemetry.latest("MC-1") == values) is kept
        assert core.telemetry.set_aside["MC-1"] == (0 if kept else 1)


async def test_what_the_type_does_not_declare_is_set_aside_and_the_rest_taken(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core, type=LED)
        core.telemetry.report(module, {"on": True, "brightness": 12, "unknown": 1})
        core.telemetry.report(module, {"on": 1, "brightness": 256})
        core.telemetry.report(module, {"on": "yes", "brightness": True})
        core.telemetry.report(module, {"on": None, "brightness": 255})
        assert core.telemetry.latest("MC-1") == {"on": True, "brightness": 255}
        assert core.telemetry.set_aside["MC-1"] == 6


async def test_only_changes_are_told_and_true_is_not_one(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        told = heard(core, TelemetryChanged)
        for values in (
            {"a": 1, "b": 2},
            {"a": 1, "b": 3},
            {"a": 1.0},
            {"a": True},
            {"a": True},
            {"a": {"x": 1}},
        ):
            core.telemetry.report(module, values)
        assert [event.values for event in told] == [{"a": 1, "b": 2}, {"b": 3}, {"a": True}, {"a": {"x": 1}}]


async def test_late_readings_go_to_the_history_and_not_to_the_screen(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        told = heard(core, TelemetryChanged)
        report = core.telemetry.report
        report(module, {"a": 2}, clock.ms - 1000)
        report(module, {"a": 1}, clock.ms - 2000)
        report(module, {"a": 1}, clock.ms - 2000)
        assert core.telemetry.latest("MC-1") == {"a": 2} and len(told) == 1
        points = await core.history.points("MC-1", "a")
        assert points == [(clock.ms - 2000, 1), (clock.ms - 1000, 2)]


async def test_a_clock_a_day_wrong_is_not_believed_and_one_ahead_freezes_nothing(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for ts_ms in (0, clock.ms - DAY_MS - 1, clock.ms + DAY_MS + 1, 10**30, -(10**30)):
            core.telemetry.report(module, {"wrong": ts_ms % 7}, ts_ms)
        assert core.telemetry.set_aside["MC-1 clock"] == 5
        assert [ts for ts, _ in await core.history.points("MC-1", "wrong")] == [
            clock.ms + n for n in range(5)
        ]
        core.telemetry.report(module, {"a": "ahead"}, clock.ms + DAY_MS)
        clock.pass_s(1)
        core.telemetry.report(module, {"a": "set right"}, clock.ms)
        assert core.telemetry.latest("MC-1")["a"] == "set right"
        core.telemetry.report(module, {"b": "ahead"}, clock.ms + DAY_MS)
        clock.pass_s(1)
        core.telemetry.report(module, {"b": "without a time"})
        assert core.telemetry.latest("MC-1")["b"] == "without a time"
        assert (await core.history.points("MC-1", "b"))[0] == (clock.ms, "without a time")


async def test_readings_within_one_millisecond_are_all_kept(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for number in range(20):
            core.telemetry.report(module, {"a": number})
        assert [value for _, value in await core.history.points("MC-1", "a")] == list(range(20))


async def test_invented_keys_do_not_fill_memory(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for number in range(2 * MAX_SERIES):
            core.telemetry.report(module, {f"k{number}": number, "o": {f"leaf{number}": number}})
        assert len(core.telemetry.keys("MC-1")) == MAX_SERIES
        assert core.telemetry.set_aside["MC-1"] >= MAX_SERIES
        core.telemetry.report(module, {"k0": "still taken"})
        assert core.telemetry.latest("MC-1")["k0"] == "still taken"


async def test_history_raw_and_in_buckets(tmp_path, clock):
    start_ms = clock.ms // 60_000 * 60_000 - 600_000
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for number in range(10):
            core.telemetry.report(
                module, {"a": number, "o": {"in": number, "t": "text"}}, start_ms + number * 10_000
            )
        points = core.history.points
        raw = [(start_ms + number * 10_000, number) for number in range(10)]
        assert await points("MC-1", "a") == raw == await points("MC-1", "o.in")
        assert await points("MC-1", "a", limit=3) == raw[-3:]
        assert await points("MC-1", "a", from_ms=raw[2][0], to_ms=raw[4][0]) == raw[2:5]
        assert core.telemetry.keys("MC-1") == ["a", "o", "o.in"]
        expected = {
            "avg": (2.5, 7.5),
            "min": (0, 6),
            "max": (5, 9),
            "sum": (15, 30),
            "count": (6, 4),
            "last": (5, 9),
        }
        for aggregate, (first, second) in expected.items():
            buckets = await points("MC-1", "a", step_ms=60_000, aggregate=aggregate)
            assert buckets == [(start_ms, first), (start_ms + 60_000, second)], aggregate
        assert await points("MC-1", "a", step_ms=60_000, limit=1) == [(start_ms + 60_000, 7.5)]
        assert await points("MC-1", "unknown") == []
        assert await points("MC-1", "a", from_ms=-(10**30), to_ms=10**30, step_ms=10**30)
        for wrong in ({"limit": 0}, {"limit": 10_001}, {"step_ms": 0}, {"aggregate": "median"}):
            with pytest.raises(Invalid):
                await points("MC-1", "a", **wrong)


async def test_readings_of_a_deleted_module_never_turn_up_in_another(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        await approved(core, "MC-0")
        core.telemetry.report(module, {"secret": 1})
        await core.registry.delete("MC-1", ADMIN)
        # On its way when the module was deleted.
        core.telemetry.report(module, {"secret": 2})
        await core.store.run(lambda: None)
    async with open_heart(tmp_path) as core:
        other, _ = await approved(core, "MC-2")
        assert core.telemetry.latest("MC-2") == {}
        core.telemetry.report(other, {"mine": 3})
        assert [value for _, value in await core.history.points("MC-2", "mine")] == [3]


async def test_long_names_are_not_remembered(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        before = names_remembered()
        for number in range(50):
            core.telemetry.report(module, {f"{number:065d}": 1})
        assert names_remembered() == before and core.telemetry.set_aside["MC-1"] == 50


def names_remembered():
    return telemetry._is_name.cache_info().currsize
