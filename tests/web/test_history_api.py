"""History over REST: pages through cursors, exports of several keys, as CSV and as JSON lines."""

import csv
import io
import json

import pytest

from gateway.core import clock
from tests.web.house import House

pytestmark = pytest.mark.anyio
HOUR_MS = 3600_000


async def filled(house: House, readings: int = 50) -> int:
    module = await house.module("G-1")
    start = clock.now_ms() // HOUR_MS * HOUR_MS - 5 * HOUR_MS
    for n in range(readings):
        values = {"t": n, "note": "=1+1", "lamp": {"on": n % 2 == 0}}
        house.core.telemetry.report(module, values, start + n * 60_000)
    return start


async def test_pages_go_back_in_time(house: House) -> None:
    start = await filled(house)
    program = await house.program("technician")
    for step in ("", "&step=60000", "&step=300000&aggregate=count", "&step=60000&aggregate=all"):
        whole = await program.call("GET", f"/modules/G-1/telemetry?key=t&from={start}{step}", 200)
        assert whole["next"] is None
        items, cursor = [], ""
        while cursor is not None:
            path = f"/modules/G-1/telemetry?key=t&from={start}&limit=7{step}"
            page = await program.call("GET", path + (f"&cursor={cursor}" if cursor else ""), 200)
            items = page["items"] + items
            cursor = page["next"]
        assert items == whole["items"]
        assert len(items) == (10 if "count" in step else 50)
    for bad in ("!!!", "abcd", "LTE"):
        await program.call("GET", f"/modules/G-1/telemetry?key=t&cursor={bad}", 400)


async def test_all_sums_of_a_bucket_at_once(house: House) -> None:
    start = await filled(house, 60)
    program = await house.program("technician")
    path = f"/modules/G-1/telemetry?key=t&from={start}&step={HOUR_MS}&aggregate=all"
    (item,) = (await program.call("GET", path, 200))["items"]
    sums = {"avg": 29.5, "min": 0, "max": 59, "sum": 1770, "count": 60, "last": 59}
    assert item == {"ts": start, "value": sums}


async def test_exports_of_several_and_of_all_keys(house: House) -> None:
    start = await filled(house)
    program = await house.program("technician")
    reply = await program.http.get(f"/api/v1/modules/G-1/telemetry.csv?key=t,lamp.on&from={start}")
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0] == ["time", "key", "value"]
    assert [row[1:] for row in rows[1:]] == [["t", str(n)] for n in range(50)] + [
        ["lamp.on", "true" if n % 2 == 0 else "false"] for n in range(50)
    ]
    reply = await program.http.get(f"/api/v1/modules/G-1/telemetry.csv?key=*&from={start}")
    assert {row[1] for row in csv.reader(io.StringIO(reply.text))} == {"key", "t", "note", "lamp", "lamp.on"}
    assert 'filename="G-1-readings.csv"' in reply.headers["content-disposition"]
    reply = await program.http.get(f"/api/v1/modules/G-1/telemetry.jsonl?key=*&from={start}")
    lines = [json.loads(line) for line in reply.text.splitlines()]
    assert len(lines) == 200
    assert {"time", "ts", "key", "value"} == lines[0].keys()
    assert {line["value"] for line in lines if line["key"] == "note"} == {"=1+1"}


async def test_an_export_may_be_of_averages(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.readings.history.EXPORT_PAGE", 3)
    start = await filled(house)
    program = await house.program("technician")
    reply = await program.http.get("/api/v1/modules/G-1/telemetry.csv?key=t&from=0&step=300000")
    rows = list(csv.reader(io.StringIO(reply.text)))[1:]
    assert [float(value) for _, value in rows] == [n * 5 + 2 for n in range(10)]
    nothing = await program.http.get(f"/api/v1/modules/G-1/telemetry.csv?key=other&from={start}")
    assert nothing.text == "time,value\r\n"


async def test_names_of_keys_are_no_formulas_either(house: House) -> None:
    module = await house.module("G-1")
    house.core.telemetry.report(module, {"-a": 1, "b": 2})
    program = await house.program("technician")
    reply = await program.http.get("/api/v1/modules/G-1/telemetry.csv?key=*")
    assert [row[1] for row in csv.reader(io.StringIO(reply.text))][1:] == ["'-a", "b"]
