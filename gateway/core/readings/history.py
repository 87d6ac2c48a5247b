"""Readings back out of the database: raw, or one value a bucket from the level that fits."""

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.readings.buckets import Sums, newest_first
from gateway.core.readings.late import HOUR_MS
from gateway.core.readings.levels import Known, plan
from gateway.core.readings.rollups import ask, rolled_ms
from gateway.core.readings.telemetry import Telemetry, value_of
from gateway.storage.models import proxy
from gateway.storage.store import Store

MAX_POINTS = 10_000
# Rows of an export that are in memory at once.
EXPORT_PAGE = 2_000
DAY_MS = 24 * HOUR_MS
MAX_TIME_MS = 2**53
AGGREGATES = ("avg", "min", "max", "sum", "count", "last", "all")

Point = tuple[int, Any]
T = TypeVar("T")
_FIRST = (
    "SELECT MIN(ts_ms) FROM reading WHERE series = ? AND ts_ms BETWEEN ? AND ?",
    "SELECT MIN(start_ms) FROM reading_five_minutes WHERE series = ? AND start_ms BETWEEN ? AND ?",
    "SELECT MIN(start_ms) FROM reading_hour WHERE series = ? AND start_ms BETWEEN ? AND ?",
)
_RAW = "SELECT ts_ms, number, text FROM reading WHERE series = ? AND ts_ms BETWEEN ? AND ?"


@dataclass(frozen=True, slots=True)
class Points:
    """In order of time. `before_ms`: there is more before this (UTC ms, exclusive); None: that is all."""

    points: list[Point]
    before_ms: int | None


class History:
    def __init__(self, store: Store, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry

    async def points(self, module_id: str, key: str, **asked: Any) -> list[Point]:
        """As `page`, without what tells whether there is more."""
        return (await self.page(module_id, key, **asked)).points

    async def page(
        self,
        module_id: str,
        key: str,
        *,
        from_ms: int | None = None,
        to_ms: int | None = None,
        step_ms: int | None = None,
        aggregate: str = "avg",
        limit: int = 1000,
    ) -> Points:
        """(time UTC ms, value), the newest `limit` of them, the last day unless told.

        With `step_ms`, one number a bucket (avg, min, max, sum, count, last) at the bucket's start, or with
        `all` an object of them; without, every reading that is still kept. Where the readings of a bucket are
        gone, the five minutes or hours that remain stand at their own start. An unknown key has no readings.
        """
        if not 1 <= limit <= MAX_POINTS:
            raise Invalid("A page holds 1 to %(max_points)s readings.", max_points=MAX_POINTS)
        if step_ms is not None and step_ms < 1:
            raise Invalid("A step is at least one millisecond.")
        if aggregate not in AGGREGATES:
            raise Invalid("Aggregate must be one of %(value)s.", value=", ".join(AGGREGATES))
        series = self._telemetry.series(module_id, key)
        if series is None:
            return Points([], None)
        start = clock.now_ms() - DAY_MS if from_ms is None else _storable(from_ms)
        end = clock.now_ms() + DAY_MS if to_ms is None else _storable(to_ms)
        if step_ms is None:
            return await self._store.read(lambda: _raw(series, start, end, limit))
        step = _storable(step_ms)
        return await self._store.read(lambda: _stepped(series, start, end, step, aggregate, limit))

    async def export(
        self, module_id: str, key: str, from_ms: int, to_ms: int, step_ms: int | None,
        shape: Callable[[list[Point]], T],
    ) -> AsyncIterator[T]:  # fmt: skip
        """All of a key, oldest first, page by page: what `shape` makes of each on the read thread.

        With `step_ms`, averages of buckets, as in `page`.
        """
        series = self._telemetry.series(module_id, key)
        at_ms, to_ms = _storable(from_ms), _storable(to_ms)
        while series is not None and at_ms <= to_ms:
            read = partial(_export, series, at_ms, to_ms, step_ms, shape)
            made, following = await self._store.read(read)
            if made is not None:
                yield made
            if following is None:
                return
            at_ms = following

    async def newest(self, module_id: str, key: str) -> int | None:
        """When the newest reading of a key was taken."""
        series = self._telemetry.series(module_id, key)
        sql = "SELECT MAX(ts_ms) FROM reading WHERE series = ?"
        found = await self._store.read(lambda: ask(sql, series)) if series else [(None,)]
        return None if found[0][0] is None else int(found[0][0])


def _storable(number: int) -> int:
    """What a column can be compared with; beyond it lies no reading."""
    return max(-MAX_TIME_MS, min(number, MAX_TIME_MS))


def _raw(series: int, start: int, end: int, limit: int) -> Points:
    rows = ask(f"{_RAW} ORDER BY ts_ms DESC LIMIT ?", series, start, end, limit + 1)
    points = [(ts_ms, value_of(number, text)) for ts_ms, number, text in rows[:limit]][::-1]
    return Points(points, points[0][0] if len(rows) > limit else None)


def _export(
    series: int, start: int, end: int, step_ms: int | None, shape: Callable[[list[Point]], T]
) -> tuple[T | None, int | None]:
    """A page and where the next one begins."""
    if step_ms is None:
        rows = ask(f"{_RAW} ORDER BY ts_ms LIMIT ?", series, start, end, EXPORT_PAGE)
        points = [(ts_ms, value_of(number, text)) for ts_ms, number, text in rows]
        return (shape(points), points[-1][0] + 1) if points else (None, None)
    if (first := _first(series, start, end)) is None:
        return None, None
    start = max(start, first)
    until = start // step_ms * step_ms + EXPORT_PAGE * step_ms
    points = _stepped(series, start, min(end, until - 1), step_ms, "avg", EXPORT_PAGE).points
    return (shape(points) if points else None), until


def _first(series: int, start: int, end: int) -> int | None:
    """When the first row of any level begins."""
    found = [ask(sql, series, start, end)[0][0] for sql in _FIRST]
    return min((at for at in found if at is not None), default=None)


def _stepped(series: int, start: int, end: int, step_ms: int, aggregate: str, limit: int) -> Points:
    """All of it sees one state of the database, for readings move from level to level meanwhile."""
    found: dict[int, Sums] = {}
    with proxy.atomic():
        for stretch in reversed(plan(_known(series), step_ms, start, end + 1)):
            # One more than wanted, which may still grow: it only says that there is more.
            room = limit + 1 - len(found) + (1 if found else 0)
            if room <= 0:
                break
            for bucket, sums in newest_first(series, stretch, step_ms, aggregate, room):
                found[bucket] = sums.and_later(found[bucket]) if bucket in found else sums
    buckets = sorted(found, reverse=True)
    points = [(bucket, _value(found[bucket], aggregate)) for bucket in buckets[:limit]][::-1]
    return Points(points, points[0][0] if len(buckets) > limit else None)


def _known(series: int) -> Known:
    rows = ask("SELECT raw_from_ms, five_from_ms FROM reading_kept WHERE series = ?", series)
    raw_from, five_from = rows[0] if rows else (0, 0)
    late = ask("SELECT MIN(start_ms) FROM reading_late WHERE series = ?", series)[0][0]
    rolled = rolled_ms()
    return Known(raw_from, five_from, rolled if late is None else min(rolled, late))


def _value(sums: Sums, aggregate: str) -> Any:
    if aggregate == "all":
        names = ("avg", "min", "max", "sum", "count", "last")
        return {name: _number(sums.value(name)) for name in names}
    return _number(sums.value(aggregate))


def _number(value: float | None) -> float | int | None:
    """Whole numbers as such; what has grown beyond all numbers is none."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if float(value).is_integer() else value
