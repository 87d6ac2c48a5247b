"""A disk that fills up: the oldest readings go first, then nothing more is kept, and all else goes on."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.core.readings import purging
from gateway.core.readings.late import HOUR_MS
from gateway.core.readings.rollups import ask
from gateway.core.readings.room import MB, Disk, HistoryHealthChanged, floor_of, measure, state_of
from tests.gateway.core.heart import ADMIN, approved, heard, open_heart, raises

pytestmark = pytest.mark.anyio


@contextmanager
def small_disk(megabytes):
    """A file system of its own; only root may mount one."""
    place = Path(tempfile.mkdtemp(prefix="passerelle-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


async def readings(core):
    return (await core.store.read(lambda: ask("SELECT COUNT(*) FROM reading")))[0][0]


def report(core, module, clock, count, key="a"):
    """So many readings, a second apart, with something to fill the disk."""
    for _ in range(count):
        clock.pass_s(1)
        core.telemetry.report(module, {key: 1.5, "note": "x" * 400})


async def test_a_disk_that_fills_up(clock, monkeypatch):
    """On a real file system of 64 MB, of which a tenth must stay free."""
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    monkeypatch.setattr("gateway.core.readings.trust._beat_ms", lambda: clock.s * 1000)
    with small_disk(64) as place:
        async with open_heart(place / "data") as core:
            module, _ = await approved(core)
            told = heard(core, HistoryHealthChanged)
            report(core, module, clock, 4000)
            await core.keeping.turn()
            first = await readings(core)
            assert core.keeping.health.state == "ok" and first == 8000
            # Something else takes the disk.
            free = shutil.disk_usage(place).free
            (place / "other").write_bytes(b"x" * (free - 6 * MB))
            await core.keeping.turn()
            assert told and core.keeping.health.state in ("ok", "thinning", "full")
            assert await readings(core) < first
            (place / "more").write_bytes(b"x" * max(0, shutil.disk_usage(place).free - 2 * MB))
            for _ in range(30):
                report(core, module, clock, 300)
                await core.store.run(lambda: None)
                await core.keeping.turn()
                if core.keeping.health.state == "full":
                    break
            assert core.keeping.health.state == "full"
            before = await readings(core)
            report(core, module, clock, 10, key="b")
            assert core.telemetry.latest("MC-1")["b"] == 1.5  # shown all the same
            assert core.keeping.health.not_kept >= 20
            # Everything else goes on.
            await approved(core, "MC-2")
            await core.registry.edit("MC-2", ADMIN, name="Still taken")
            assert await readings(core) <= before
            assert core.store.healthy
            # Room again: it recovers by itself.
            (place / "other").unlink()
            (place / "more").unlink()
            await core.keeping.turn()
            await core.keeping.turn()
            assert core.keeping.health.state == "ok"
            report(core, module, clock, 5)
            assert await readings(core) > 0
            assert [event.health.state for event in told][-1] == "ok"


async def test_the_cap_that_an_admin_grants(tmp_path, clock, monkeypatch):
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    monkeypatch.setattr("gateway.core.readings.trust._beat_ms", lambda: clock.s * 1000)
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.telemetry.report(module, {"silent": 1})  # stays, and is in nobody's way
        clock.pass_s(86_400)
        report(core, module, clock, 6000)
        await core.keeping.turn()
        first = await readings(core)
        await core.choices.set({"history.disk_megabytes": 3}, ADMIN)
        await core.keeping.turn()
        health = core.keeping.health
        assert health.disk.cap == 3 * MB
        assert await readings(core) < first
        # What was thinned is still there in five minutes.
        counted = await core.history.points(
            "MC-1", "a", step_ms=HOUR_MS, aggregate="count", from_ms=clock.ms - 5 * HOUR_MS
        )
        assert sum(count for _, count in counted) == 6000
        await core.choices.set({"history.disk_megabytes": 0}, ADMIN)
        await core.keeping.turn()
        assert core.keeping.health.state == "ok"


@pytest.mark.parametrize("free, before, exhausted, state", [
    (100, "ok", False, "ok"), (1, "ok", False, "ok"), (-1, "ok", False, "thinning"),
    (-1, "thinning", True, "full"), (-40, "ok", False, "full"), (-1, "full", False, "full"),
    (3, "full", False, "thinning"), (30, "full", False, "ok"), (3, "thinning", False, "thinning"),
])  # fmt: skip
def test_what_follows_from_the_room_there_is(free, before, exhausted, state, anyio_backend):
    disk = Disk(free=64 * MB + free * MB, floor=64 * MB, used=0, cap=0)
    assert state_of(disk, before, exhausted) == state


def test_what_stays_free(anyio_backend, tmp_path):
    assert floor_of(1000 * MB) == 64 * MB
    assert floor_of(10_000 * MB) == 200 * MB
    assert floor_of(12 * MB) == int(1.2 * MB)


async def test_it_is_measured(tmp_path):
    async with open_heart(tmp_path) as core:
        disk = await core.store.read(lambda: measure(core.settings.database, 5 * MB))
        assert 0 < disk.used < 5 * MB
        found = os.statvfs(tmp_path)
        assert disk.floor == floor_of(found.f_blocks * found.f_frsize)
        assert await core.store.read(lambda: purging.oldest(purging.RAW)) is None


async def test_a_disk_without_a_byte_left_ends_nothing(clock):
    """The transaction is refused, whoever waits is told, and the next ones are taken when there is room."""
    with small_disk(24) as place:
        async with open_heart(place / "data") as core:
            module, _ = await approved(core)
            (place / "other").write_bytes(b"x" * (shutil.disk_usage(place).free - 64 * 1024))
            report(core, module, clock, 20_000)
            async with raises(Unavailable):
                await core.store.run(lambda: None)
            assert not core.store.healthy and not core.store.writer.done()
            (place / "other").unlink()
            for _ in range(600):
                if core.store.healthy:
                    break
                await asyncio.sleep(0.05)
            assert await readings(core) == 40_000
