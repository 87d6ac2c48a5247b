"""The upkeep of a history, alone in a process, beside somebody who writes a small transaction often."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

from bench.timing import spread
from bench.worker import serve
from gateway.core.core import open_core
from gateway.core.readings import rollups
from gateway.core.readings.rollups import ask
from gateway.core.values import Application
from gateway.settings import Settings

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
SERIES = 100
SPAN_MS = 14 * DAY_MS
PROBE_EVERY_S = 0.005


async def keep(folder: str, readings: int) -> dict[str, Any]:
    """So many readings of 100 keys over two weeks: all summed up, those of the first week deleted."""
    settings = Settings(data=Path(folder), secret_key="k" * 40, rate_limits=False)
    async with open_core(settings) as core:
        granted = await core.enrolment.register(Application(type=7, serial="M-1"), "127.0.0.1")
        number = core.registry.get(granted.id).number
    _fill(Path(folder), number, readings)
    async with open_core(settings) as core:
        delays: list[float] = []
        probe = asyncio.create_task(_probe(core.store.run, delays))
        begin = time.perf_counter()
        await core.keeping.turn()
        seconds = time.perf_counter() - begin
        probe.cancel()
        wrong = await core.store.read(_wrong)
        held = core.keeping.longest_hold_ms
    probed = {f"probe_{name}": value for name, value in spread(delays).items()}
    return {"keeping_s": seconds, "hold_max": held, "wrong": wrong} | probed


async def _probe(run: Any, delays: list[float]) -> None:
    while True:
        begin = time.perf_counter()
        await run(lambda: None)
        delays.append((time.perf_counter() - begin) * 1000)
        await asyncio.sleep(PROBE_EVERY_S)


def _fill(folder: Path, number: int, readings: int) -> None:
    now_ms = int(time.time() * 1000)
    each = readings // SERIES
    with sqlite3.connect(folder / "passerelle.db") as db:
        keys = [(id, number, f"key{id}", 0) for id in range(1, SERIES + 1)]
        db.executemany("INSERT INTO series (id, module_number, key, leaf) VALUES (?, ?, ?, ?)", keys)
        for id in range(1, SERIES + 1):
            rows = ((id, now_ms - SPAN_MS + n * (SPAN_MS // each), n % 100) for n in range(each))
            db.executemany("INSERT INTO reading (series, ts_ms, number) VALUES (?, ?, ?)", rows)
    db.close()


def _wrong() -> int:
    """Hours whose sums are not those of their readings, where these are still there."""
    done_ms = rollups.rolled_ms() // HOUR_MS * HOUR_MS
    sql = """
    SELECT COUNT(*) FROM reading_hour h JOIN reading_kept k ON k.series = h.series
    WHERE h.start_ms >= k.raw_from_ms AND h.start_ms < ? AND (h.count, h.total) <> (
        SELECT COUNT(*), SUM(r.number) FROM reading r
        WHERE r.series = h.series AND r.ts_ms >= h.start_ms AND r.ts_ms < h.start_ms + ?)
    """
    return int(ask(sql, done_ms, HOUR_MS)[0][0])


if __name__ == "__main__":
    serve({"keep": keep})
