"""Summing up while the database takes nothing: what waits for it is missed by no sum."""

import sqlite3

import pytest

from gateway.core.errors import Unavailable
from gateway.core.readings import mending, rollups
from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.rollups import ask
from gateway.storage.models import proxy
from tests.gateway.core.heart import approved, open_heart

pytestmark = pytest.mark.anyio


async def fives(core):
    return await core.store.read(lambda: ask("SELECT count, total FROM reading_five_minutes"))


class Outage:
    """Somebody else holds the database, until the job has read what it sums up."""

    def __init__(self, core, folder, until, monkeypatch):
        self.other = sqlite3.connect(folder / "passerelle.db", isolation_level=None)
        self.other.execute("BEGIN IMMEDIATE")
        plain = core.store.read

        async def read(query):
            found = await plain(query)
            if getattr(query, "func", None) is until:
                self.end()
            return found

        monkeypatch.setattr(core.store, "read", read)

    def end(self):
        self.other.close()


async def turned(core):
    try:
        await core.keeping.turn()
    except Unavailable:
        pass


async def impatient(core):
    await core.store.run(lambda: proxy.execute_sql("PRAGMA busy_timeout=20"))


async def test_readings_that_wait_are_summed_up_once_they_are_there(tmp_path, clock, monkeypatch):
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        core.telemetry.report(module, {"a": 3}, start + 1000)
        await core.keeping.turn()
        await impatient(core)
        outage = Outage(core, tmp_path, rollups.fives, monkeypatch)
        core.telemetry.report(module, {"a": 4}, start + 2000)
        clock.pass_s(340)
        await turned(core)
        outage.end()
        await turned(core)
        assert await fives(core) == [(2, 7)]


async def test_late_readings_that_wait_are_summed_up_too(tmp_path, clock, monkeypatch):
    clock.ms = clock.ms // HOUR_MS * HOUR_MS
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        start = clock.ms
        core.telemetry.report(module, {"a": 3}, start + 1000)
        clock.pass_s(FIVE_MINUTES_MS / 1000 + 40)
        await core.keeping.turn()
        core.telemetry.report(module, {"a": 4}, start + 2000)
        await core.store.run(lambda: None)
        await impatient(core)
        outage = Outage(core, tmp_path, mending.recounted, monkeypatch)
        core.telemetry.report(module, {"a": 5}, start + 3000)
        await turned(core)
        outage.end()
        await turned(core)
        assert await fives(core) == [(3, 12)]
