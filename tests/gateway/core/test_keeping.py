"""The history's levels: summed up once, mended when something comes late, deleted only when over age."""

import asyncio

import pytest

from gateway.core.readings import rollups
from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.rollups import ask
from gateway.core.types import Keep, ModuleType
from tests.gateway.core.heart import ADMIN, approved, open_heart

pytestmark = pytest.mark.anyio
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def clock(clock, monkeypatch):
    """It stands at a full hour, and the monotonic clock of the job goes with it."""
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    monkeypatch.setattr("gateway.core.readings.trust._beat_ms", lambda: clock.s * 1000)
    monkeypatch.setattr("gateway.core.readings.keeping.PURGE_EVERY_S", 0)
    return clock


async def rows(core, table):
    names = {"five": "reading_five_minutes", "hour": "reading_hour", "raw": "reading"}
    what = "ts_ms, number" if table == "raw" else "start_ms, count, total, low, high, last"
    at = what.split(",")[0]
    return await core.store.read(lambda: ask(f"SELECT {what} FROM {names[table]} ORDER BY series, {at}"))


async def turn_after(core, clock, seconds):
    clock.pass_s(seconds)
    await core.keeping.turn()


async def test_readings_are_summed_up_once_their_time_is_over(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        await core.keeping.turn()
        for n, value in enumerate((3, 1, 7, 5)):
            core.telemetry.report(module, {"a": value, "text": "x"}, start + n * 60_000)
        core.telemetry.report(module, {"a": True}, start + FIVE_MINUTES_MS)
        await turn_after(core, clock, 300)
        assert await rows(core, "five") == []  # a moment of grace
        await turn_after(core, clock, 31)
        assert await rows(core, "five") == [(start, 4, 16, 1, 7, 5)]
        await turn_after(core, clock, 3600)
        assert await rows(core, "five") == [(start, 4, 16, 1, 7, 5), (start + FIVE_MINUTES_MS, 1, 1, 1, 1, 1)]
        assert await rows(core, "hour") == [(start, 5, 17, 1, 7, 1)]
        assert await core.store.read(rollups.rolled_ms) <= clock.ms


async def test_what_comes_late_lands_in_its_five_minutes_and_its_hour(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        core.telemetry.report(module, {"a": 3}, start + 2000)
        await turn_after(core, clock, 2 * 3600)
        for value, at in ((1, start + 1000), (9, start + 3000), (9, start + 3000), (4, start - 20 * HOUR_MS)):
            core.telemetry.report(module, {"a": value}, at)
        await core.keeping.turn()
        expected = [(start - 20 * HOUR_MS, 1, 4, 4, 4, 4), (start, 3, 13, 1, 9, 9)]
        assert await rows(core, "five") == expected == await rows(core, "hour")
        assert await core.store.read(lambda: ask("SELECT COUNT(*) FROM reading_late")) == [(0,)]


async def test_a_crash_between_any_two_steps_doubles_nothing(tmp_path, clock, monkeypatch):
    """The job is stopped after its first, second, third... write; the next life goes on."""
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        for n in range(3 * 60):
            core.telemetry.report(module, {"a": n, "b": -n}, start + n * 60_000)
        await core.keeping.turn()
    clock.pass_s(4 * 3600)
    for stop_after in range(1, 30):
        async with open_heart(tmp_path) as core:
            left = stop_after
            write = core.keeping._slices.write

            async def failing(work, *, adapts=False, write=write):
                nonlocal left
                left -= 1
                if left < 0:
                    raise asyncio.CancelledError
                await write(work, adapts=adapts)

            core.keeping._slices.write = failing
            core.telemetry.report(module, {"a": 1000}, start + stop_after * 1000)
            try:
                await core.keeping.turn()
            except asyncio.CancelledError:
                continue
            break
    async with open_heart(tmp_path) as core:
        await core.keeping.turn()
        raw = await rows(core, "raw")
        fives = await rows(core, "five")
        hours = await rows(core, "hour")
        assert sum(row[1] for row in fives) == sum(row[1] for row in hours) == len(raw)
        assert sum(row[2] for row in fives) == sum(row[2] for row in hours) == sum(value for _, value in raw)


async def test_each_level_goes_when_it_is_over_age_and_a_type_may_say_otherwise(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        keep = Keep(raw_days=1, five_minutes_days=2, hours_days=3)
        core.types.add(ModuleType(code=150, name="Brief", open=True, keep=keep))
        usual, _ = await approved(core, "MC-1")
        brief, _ = await approved(core, "MC-2", type=150)
        start = clock.ms
        for module in (usual, brief):
            core.telemetry.report(module, {"a": 1}, start)

        async def there(module):
            series = core.telemetry.series(module.id, "a")
            counted = []
            for table in ("reading", "reading_five_minutes", "reading_hour"):
                at = "ts_ms" if table == "reading" else "start_ms"
                sql = f"SELECT COUNT(*) FROM {table} WHERE series = ? AND {at} <= ?"
                found = await core.store.read(lambda sql=sql: ask(sql, series, start))
                counted.append(found[0][0])
            return counted

        for days, of_usual, of_brief in (
            (0.1, [1, 1, 1], [1, 1, 1]),
            (1.2, [1, 1, 1], [0, 1, 1]),
            (2.2, [1, 1, 1], [0, 0, 1]),
            (3.2, [1, 1, 1], [0, 0, 0]),
            (7.2, [0, 1, 1], [0, 0, 0]),
            (90.2, [0, 0, 1], [0, 0, 0]),
            (730.2, [0, 0, 0], [0, 0, 0]),
        ):
            clock.ms = int(start + days * DAY_MS)
            clock.s += 2 * 86_400
            core.keeping._trust.begin(0)
            for module in (usual, brief):
                core.telemetry.report(module, {"a": 2})
            await core.keeping.turn()
            assert (await there(usual), await there(brief)) == (of_usual, of_brief), days


@pytest.mark.parametrize("jump_s", [3600, -3600, -1_000_000_000, 40 * 86_400, 4000 * 86_400])
async def test_a_clock_that_jumps_deletes_nothing(tmp_path, clock, jump_s):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        right = clock.ms
        for n in range(48):
            core.telemetry.report(module, {"a": n}, right - 24 * HOUR_MS + n * HOUR_MS // 2 + 7)
        await core.keeping.turn()
        clock.ms += jump_s * 1000
        for _ in range(3):
            core.telemetry.report(module, {"a": 100})
            await core.keeping.turn()
            clock.pass_s(300)
        # Set right again.
        clock.ms = right + 900_000
        core.telemetry.report(module, {"a": 101})
        for _ in range(30):
            await turn_after(core, clock, 3600)
        raw = await rows(core, "raw")
        # What was given a time decades ago is over age by the right clock.
        assert len(raw) == (49 if jump_s < -DAY_MS else 52)
        hours = await rows(core, "hour")
        summed = [value for at, value in raw if at < core.keeping._done_ms // HOUR_MS * HOUR_MS]
        ours = [row for row in hours if row[0] < core.keeping._done_ms // HOUR_MS * HOUR_MS]
        assert sum(row[1] for row in ours) == len(summed)
        assert sum(row[2] for row in ours) == sum(summed)


async def test_readings_go_only_as_far_as_they_are_summed_up(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.telemetry.report(module, {"a": 1}, clock.ms)
        await core.store.run(lambda: None)
        clock.pass_s(30 * 86_400)
        await core.keeping.purge()
        assert len(await rows(core, "raw")) == 1


async def test_what_comes_late_for_deleted_readings_is_added(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        core.telemetry.report(module, {"a": 2}, start)
        clock.pass_s(3 * 3600)
        core.telemetry.report(module, {"a": 4})
        newest = [(clock.ms, 4)]
        await core.keeping.turn()
        # Early, as when the disk is nearly full.
        assert await core.keeping._retention.thin(core.keeping._done_ms)
        assert await rows(core, "raw") == newest
        core.telemetry.report(module, {"a": 5}, start + 1000)
        await core.keeping.turn()
        assert await rows(core, "five") == [(start, 2, 7, 2, 5, 2)] == await rows(core, "hour")
        assert await rows(core, "raw") == newest


async def test_a_restart_shows_the_last_value_of_the_longest_silent(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.telemetry.report(module, {"a": 1}, clock.ms - HOUR_MS)
        core.telemetry.report(module, {"a": 2, "note": "x"}, clock.ms)
        await core.store.run(lambda: None)
        clock.pass_s(30 * 86_400)
        await core.keeping.turn()
        await turn_after(core, clock, 25 * 3600)
        assert len(await rows(core, "raw")) == 2
    async with open_heart(tmp_path) as core:
        assert core.telemetry.latest("MC-1") == {"a": 2, "note": "x"}


async def test_the_history_of_a_deleted_module_goes_with_it(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.telemetry.report(module, {"a": 2}, clock.ms)
        await turn_after(core, clock, 7200)
        assert await rows(core, "hour")
        core.telemetry.report(module, {"a": 2}, clock.ms - 7_000_000)
        await core.registry.delete("MC-1", ADMIN)
        for table in ("raw", "five", "hour"):
            assert await rows(core, table) == []
