"""Readings back out of the database: raw, or one value a bucket."""

from collections.abc import Iterator
from typing import Any

from peewee import fn

from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.telemetry import Telemetry, value_of
from gateway.storage.models import ReadingRow
from gateway.storage.store import Store

MAX_POINTS = 10_000
DAY_MS = 24 * 3600 * 1000
MAX_TIME_MS = 2**53
_AGGREGATES = {"avg": fn.AVG, "min": fn.MIN, "max": fn.MAX, "sum": fn.SUM, "count": fn.COUNT}

Point = tuple[int, Any]


class History:
    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry

    async def points(
        self,
        module_id: str,
        key: str,
        *,
        from_ms: int | None = None,
        to_ms: int | None = None,
        step_ms: int | None = None,
        aggregate: str = "avg",
        limit: int = 1000,
    ) -> list[Point]:
        """(time UTC ms, value) in order of time, the last day unless told.

        With `step_ms`, one value a bucket (avg, min, max, sum, count, last) at the bucket's start; without,
        every reading, the newest `limit` of them. An unknown key has no readings.
        """
        if not 1 <= limit <= MAX_POINTS:
            raise Invalid("A page holds 1 to %(max_points)s readings.", max_points=MAX_POINTS)
        if step_ms is not None and step_ms < 1:
            raise Invalid("A step is at least one millisecond.")
        if aggregate not in (*_AGGREGATES, "last"):
            raise Invalid("Aggregate must be one of %(value)s.", value=", ".join((*_AGGREGATES, "last")))
        series = self._telemetry.series(module_id, key)
        if series is None:
            return []
        to_ms = clock.now_ms() + DAY_MS if to_ms is None else _storable(to_ms)
        from_ms = clock.now_ms() - DAY_MS if from_ms is None else _storable(from_ms)
        if step_ms is None:
            return await self._store.read(lambda: _raw(series, from_ms, to_ms, limit))
        step_ms = _storable(step_ms)
        return await self._store.read(lambda: _buckets(series, from_ms, to_ms, step_ms, aggregate, limit))

    async def pages(self, module_id: str, key: str, from_ms: int, to_ms: int) -> list[Point]:
        """The next readings after `from_ms`, oldest first, for exports that go on page by page."""
        series = self._telemetry.series(module_id, key)
        if series is None:
            return []
        return await self._store.read(lambda: list(_oldest(series, from_ms, to_ms)))


def _storable(number: int) -> int:
    """What a column can be compared with; beyond it lies no reading."""
    return max(-MAX_TIME_MS, min(number, MAX_TIME_MS))


def _within(series: int, from_ms: int, to_ms: int) -> Any:
    return (ReadingRow.series == series) & ReadingRow.ts_ms.between(from_ms, to_ms)


def _raw(series: int, from_ms: int, to_ms: int, limit: int) -> list[Point]:
    query = ReadingRow.select().where(_within(series, from_ms, to_ms)).order_by(ReadingRow.ts_ms.desc())
    return [(row.ts_ms, value_of(row.number, row.text)) for row in query.limit(limit)][::-1]


def _oldest(series: int, from_ms: int, to_ms: int) -> Iterator[Point]:
    query = ReadingRow.select().where(_within(series, from_ms, to_ms)).order_by(ReadingRow.ts_ms)
    for row in query.limit(MAX_POINTS):
        yield row.ts_ms, value_of(row.number, row.text)


def _buckets(series: int, from_ms: int, to_ms: int, step_ms: int, aggregate: str, limit: int) -> list[Point]:
    # Whole division, then back: the start of the bucket.
    bucket = (ReadingRow.ts_ms / step_ms * step_ms).alias("bucket")
    query = ReadingRow.select(bucket, _value(aggregate)).where(_within(series, from_ms, to_ms))
    query = query.where(ReadingRow.number.is_null(False)).group_by(bucket).order_by(bucket.desc())
    found: Any = query.limit(limit).tuples()
    rows: list[Point] = list(found)
    if aggregate == "last":
        return [(start, _at(series, last_ms)) for start, last_ms in rows][::-1]
    return [(start, value) for start, value in rows][::-1]


def _value(aggregate: str) -> Any:
    if aggregate == "last":
        return fn.MAX(ReadingRow.ts_ms)
    return _AGGREGATES[aggregate](ReadingRow.number)


def _at(series: int, ts_ms: int) -> Any:
    row = ReadingRow.get((ReadingRow.series == series) & (ReadingRow.ts_ms == ts_ms))
    return value_of(row.number, row.text)
