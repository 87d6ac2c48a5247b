"""One row a bucket out of a level: counted and summed by the database, bucket by bucket, newest first.

A bucket is sought by the newest row before the last one, so empty ones cost nothing, and its rows are read
where they lie: grouping them would sort them first, which takes five times as long.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gateway.core.readings.levels import Name, Stretch
from gateway.core.readings.rollups import ask

# Which sums an aggregate needs.
_NEEDS = {
    "avg": ("count", "total"), "min": ("low",), "max": ("high",), "sum": ("total",), "count": ("count",),
    "last": ("last",), "all": ("count", "total", "low", "high", "last"),
}  # fmt: skip
_TABLES: dict[Name, tuple[str, str, str]] = {
    "raw": ("reading", "ts_ms", "number"),
    "fives": ("reading_five_minutes", "start_ms", "count"),
    "hours": ("reading_hour", "start_ms", "count"),
}
_OF_READINGS = {
    "count": "COUNT(number)", "total": "SUM(number)", "low": "MIN(number)", "high": "MAX(number)",
    "last": "number", "mean": "AVG(number)",
}  # fmt: skip
_OF_SPANS = {
    "count": "SUM(count)", "total": "SUM(total)", "low": "MIN(low)", "high": "MAX(high)", "last": "last",
}  # fmt: skip
_BUCKETS = """
WITH RECURSIVE bucket(at) AS (
    SELECT (
        SELECT MAX(<at>) FROM <table>
        WHERE series = :series AND <at> >= :start AND <at> < :end AND <some> IS NOT NULL
    ) / :step * :step
    UNION ALL
    SELECT (
        SELECT MAX(<at>) FROM <table>
        WHERE series = :series AND <at> >= :start AND <at> < bucket.at AND <some> IS NOT NULL
    ) / :step * :step FROM bucket WHERE bucket.at IS NOT NULL
)
SELECT at, <sums> FROM bucket WHERE at IS NOT NULL LIMIT :limit
"""
_SUM = (
    "(SELECT <sum> FROM <table> WHERE series = :series AND <at> >= bucket.at AND <at> >= :start"
    " AND <at> < bucket.at + :step AND <at> < :end<newest>)"
)
_NEWEST = " AND <some> IS NOT NULL ORDER BY <at> DESC LIMIT 1"
_VALUE = re.compile(r":([a-z]+)")


@dataclass(frozen=True, slots=True)
class Sums:
    """What was asked for of one bucket; the rest is None."""

    count: int | None = None
    total: float | None = None
    low: float | None = None
    high: float | None = None
    last: float | None = None

    def and_later(self, later: "Sums") -> "Sums":
        """Of two parts of one bucket."""
        return Sums(
            count=_both(self.count, later.count, sum),
            total=_both(self.total, later.total, sum),
            low=_both(self.low, later.low, min),
            high=_both(self.high, later.high, max),
            last=self.last if later.last is None else later.last,
        )

    def value(self, aggregate: str) -> float | None:
        if aggregate == "avg":
            return self.total / self.count if self.total is not None and self.count else None
        values = {"min": self.low, "max": self.high, "sum": self.total, "count": self.count}
        return values[aggregate] if aggregate in values else self.last


def newest_first(
    series: int, stretch: Stretch, step_ms: int, aggregate: str, limit: int
) -> Iterator[tuple[int, Sums]]:
    """(start of the bucket, its sums) for those that have something in this stretch, `limit` at most."""
    for part, is_whole in _parts(stretch, step_ms):
        # Of a bucket that no other stretch has a part of, one look gives the average.
        needs = ("mean",) if aggregate == "avg" and is_whole and part.level == "raw" else _NEEDS[aggregate]
        for at, sums in _found(series, part, step_ms, needs, limit):
            yield at, sums
            limit -= 1


def _parts(stretch: Stretch, step_ms: int) -> Iterator[tuple[Stretch, bool]]:
    """What is left of buckets at its ends, and the whole ones between; newest first."""
    first, last = -(-stretch.start // step_ms) * step_ms, stretch.end // step_ms * step_ms
    if first >= last:
        yield stretch, False
        return
    for start, end, is_whole in (
        (last, stretch.end, False), (first, last, True), (stretch.start, first, False),
    ):  # fmt: skip
        if start < end:
            yield Stretch(stretch.level, start, end), is_whole


def _found(
    series: int, stretch: Stretch, step_ms: int, needs: tuple[str, ...], limit: int
) -> Iterator[tuple[int, Sums]]:
    values = {
        "series": series, "start": stretch.start, "end": stretch.end, "step": step_ms, "limit": limit,
    }  # fmt: skip
    sql = _statement(stretch.level, needs)
    for at, *sums in ask(_VALUE.sub("?", sql), *(values[name] for name in _VALUE.findall(sql))):
        yield at, Sums(1, sums[0]) if needs == ("mean",) else Sums(**dict(zip(needs, sums, strict=True)))


def _statement(level: Name, needs: tuple[str, ...]) -> str:
    table, at, some = _TABLES[level]
    texts = _OF_READINGS if level == "raw" else _OF_SPANS
    sums = ", ".join(
        _SUM.replace("<sum>", texts[name]).replace("<newest>", _NEWEST if name == "last" else "")
        for name in needs
    )
    text = _BUCKETS.replace("<sums>", sums)
    return text.replace("<table>", table).replace("<at>", at).replace("<some>", some)


def _both(one: Any, other: Any, how: Callable[[tuple[Any, Any]], Any]) -> Any:
    if one is None or other is None:
        return other if one is None else one
    return how((one, other))
