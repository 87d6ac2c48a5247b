"""What is measured of the history: queries and exports over HTTP, and that its upkeep holds nobody up."""

import asyncio
import http.client
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import servers
from bench.scenarios import MB, REST_S, Figures, Size, Start
from bench.servers import Server
from bench.timing import spread
from bench.worker import Worker

POINTS = 1_000_000
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
# A key each: a million readings in six days, a million within a day, two years of hours.
KEYS = ("long", "dense", "years")
LOOKS = 15
CHUNK = 64 * 1024


async def history(start: Start, size: Size) -> Figures:
    """A million readings: asked for by steps, exported as CSV, summed up and deleted."""
    async with servers.gateway(1, before=filled) as server:
        name = server.devices[0][0]
        await asyncio.sleep(REST_S)
        day = await asyncio.to_thread(looks, server, name, "long", DAY_MS, 60_000)
        dense = await asyncio.to_thread(looks, server, name, "dense", DAY_MS, 60_000)
        years = await asyncio.to_thread(looks, server, name, "years", 730 * DAY_MS, DAY_MS)
        exported = await asyncio.to_thread(export, server, name)
    async with servers.folder("keeping") as folder, Worker("bench.keeping") as worker:
        kept = await worker.ask("keep", folder=str(folder), readings=POINTS)
    return {
        "day_p50": day["p50"], "day_max": day["max"], "dense_p50": dense["p50"], "years_p50": years["p50"],
    } | exported | kept  # fmt: skip


def filled(folder: Path) -> None:
    """Readings as the gateway would have recorded them, put into its database before it starts."""
    now_ms = int(time.time() * 1000)
    with sqlite3.connect(folder / "passerelle.db") as db:
        (number,) = db.execute("SELECT number FROM module").fetchone()
        series = [(id, number, key, 0) for id, key in enumerate(KEYS, 1)]
        db.executemany("INSERT INTO series (id, module_number, key, leaf) VALUES (?, ?, ?, ?)", series)
        for id, span_ms in ((1, 6 * DAY_MS), (2, DAY_MS)):
            step_ms = span_ms / POINTS
            rows = ((id, int(now_ms - span_ms + n * step_ms), n % 100 / 4) for n in range(POINTS))
            db.executemany("INSERT INTO reading (series, ts_ms, number) VALUES (?, ?, ?)", rows)
        first_ms = (now_ms - 729 * DAY_MS) // HOUR_MS * HOUR_MS
        hours = ((3, first_ms + n * HOUR_MS, 3600, 7200.0, 1.0, 3.0, 2.0) for n in range(729 * 24))
        db.executemany("INSERT INTO reading_hour VALUES (?, ?, ?, ?, ?, ?, ?)", hours)
    db.close()


def looks(server: Server, name: str, key: str, span_ms: int, step_ms: int) -> dict[str, Any]:
    """Delays in ms of the same question, each asked for a moment later."""
    delays = []
    for _ in range(LOOKS):
        from_ms = int(time.time() * 1000) - span_ms
        path = f"/modules/{name}/telemetry?key={key}&from={from_ms}&step={step_ms}&limit=10000"
        begin = time.perf_counter()
        size = sum(map(len, _got(server, path)))
        delays.append((time.perf_counter() - begin) * 1000)
        if size < 10_000:
            raise RuntimeError(f"{key} has no history")
    return spread(delays)


def export(server: Server, name: str) -> dict[str, Any]:
    """Every reading of a key as CSV, and the most memory the server had meanwhile."""
    path = f"/modules/{name}/telemetry.csv?key=dense&from=0"
    before, rows, begin = server.memory(), 0, time.perf_counter()
    most = before
    for part in _got(server, path):
        rows += part.count(b"\n")
        most = max(most, server.memory())
    return {
        "export_s": time.perf_counter() - begin, "export_rows": rows - 1, "expected_rows": POINTS,
        "export_growth_mb": (most - before) / MB,
    }  # fmt: skip


def _got(server: Server, path: str) -> Iterator[bytes]:
    api = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=120)
    api.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {server.browser_token}"})
    answer = api.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status}")
    read: Callable[[int], bytes] = answer.read
    while part := read(CHUNK):
        yield part
    api.close()
