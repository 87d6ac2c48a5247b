"""From readings to five minutes, from five minutes to hours: what is summed up, in statements of SQL.

The reading functions run on the read thread and do the work; the writing ones run within a transaction and
only put rows in their places, so that nobody waits long. All of it gives the same when it is done twice.
"""

from collections.abc import Iterable
from typing import Any

from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.storage.models import SettingRow, proxy, upsert
from gateway.storage.models_history import SpanRow

ROLLED = "history:rolled_ms"
# series, start_ms, count, total, low, high, last
Span = tuple[int, int, int, float, float, float, float]
COLUMNS = ("series", "start_ms", "count", "total", "low", "high", "last")

# The series first, then each one's own stretch of time: never a look at all readings.
_FIVES = """
SELECT g.series, g.start_ms, g.n, g.total, g.low, g.high, r.number FROM (
    SELECT s.id AS series, r.ts_ms / ? * ? AS start_ms, COUNT(*) AS n, SUM(r.number) AS total,
        MIN(r.number) AS low, MAX(r.number) AS high, MAX(r.ts_ms) AS last_ms
    FROM series s CROSS JOIN reading r
    WHERE s.id BETWEEN ? AND ? AND r.series = s.id AND r.ts_ms >= ? AND r.ts_ms < ? AND r.number IS NOT NULL
    GROUP BY s.id, r.ts_ms / ? * ?
) g JOIN reading r ON r.series = g.series AND r.ts_ms = g.last_ms
"""
_HOURS = """
SELECT g.series, g.start_ms, g.n, g.total, g.low, g.high, f.last FROM (
    SELECT s.id AS series, f.start_ms / ? * ? AS start_ms, SUM(f.count) AS n, SUM(f.total) AS total,
        MIN(f.low) AS low, MAX(f.high) AS high, MAX(f.start_ms) AS last_ms
    FROM series s CROSS JOIN reading_five_minutes f
    WHERE s.id BETWEEN ? AND ? AND f.series = s.id AND f.start_ms >= ? AND f.start_ms < ?
    GROUP BY s.id, f.start_ms / ? * ?
) g JOIN reading_five_minutes f ON f.series = g.series AND f.start_ms = g.last_ms
"""
_NEXT = """
SELECT MIN(first_ms) FROM (
    SELECT (SELECT MIN(r.ts_ms) FROM reading r WHERE r.series = s.id AND r.ts_ms >= ?) AS first_ms
    FROM series s
) firsts
"""


def ask(sql: str, *values: Any) -> list[Any]:
    """Rows of a statement that has `?` for each value, on whichever database it is."""
    found: list[Any] = proxy.execute_sql(sql.replace("?", proxy.param), values).fetchall()
    return found


# Reading


def rolled_ms() -> int:
    row = SettingRow.get_or_none(SettingRow.key == ROLLED)
    return int(row.value) if row else 0


def first_from(from_ms: int) -> int | None:
    """When the first reading after this was taken, of all series."""
    found = ask(_NEXT, from_ms)[0][0]
    return None if found is None else int(found)


def series_slices(size: int) -> list[tuple[int, int]]:
    """All series in runs of so many: (first, last)."""
    ids = [id for (id,) in ask("SELECT id FROM series ORDER BY id")]
    return [(ids[at], ids[min(at + size, len(ids)) - 1]) for at in range(0, len(ids), size)]


def fives(first: int, last: int, from_ms: int, to_ms: int) -> list[Span]:
    """Five minutes of these series from their readings."""
    step = FIVE_MINUTES_MS
    return ask(_FIVES, step, step, first, last, from_ms, to_ms, step, step)


def hours(first: int, last: int, from_ms: int, to_ms: int) -> list[Span]:
    """Hours of these series from their five minutes."""
    return ask(_HOURS, HOUR_MS, HOUR_MS, first, last, from_ms, to_ms, HOUR_MS, HOUR_MS)


# Writing


def write(table: type[SpanRow], spans: Iterable[Span]) -> None:
    """In the place of what was there."""
    if not (rows := list(spans)):
        return
    fields = [table._meta.fields[name] for name in COLUMNS]
    one = table.insert_many([rows[0]], fields=fields)
    sql, _ = one.on_conflict(conflict_target=COLUMNS[:2], preserve=COLUMNS[2:]).sql()
    proxy.connection().cursor().executemany(sql, rows)


def remember_rolled(at_ms: int) -> None:
    upsert(SettingRow, [{"key": ROLLED, "value": str(at_ms)}])
