"""What came late is summed up again, within one transaction with the end of its mark."""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.rollups import Span, ask, fives, hours, write
from gateway.storage.models import proxy
from gateway.storage.models_history import FiveMinutesRow, HourRow, LateRow

BATCH = 50
_MARKS = """
SELECT l.number, l.series, l.start_ms, COALESCE(k.raw_from_ms, 0), COALESCE(k.five_from_ms, 0)
FROM reading_late l LEFT JOIN reading_kept k ON k.series = l.series ORDER BY l.number LIMIT ?
"""
_HAD = "SELECT series, start_ms, count, total, low, high, last FROM reading_five_minutes"


@dataclass(frozen=True, slots=True)
class Mark:
    number: int
    series: int
    start_ms: int
    raw_from_ms: int
    five_from_ms: int


def marks() -> list[Mark]:
    """The oldest of them."""
    return [Mark(*row) for row in ask(_MARKS, BATCH)]


def recounted(found: Iterable[Mark]) -> list[Span]:
    """The five minutes of these marks whose readings are all there; on the read thread."""
    places = {(mark.series, mark.start_ms) for mark in found if mark.start_ms >= mark.raw_from_ms}
    return [span for series, start in sorted(places) for span in _five(series, start)]


def settle(found: list[Mark], spans: list[Span], rolled_ms: int) -> None:
    """Within a transaction: put these five minutes and their hours in place; the marks are done."""
    write(FiveMinutesRow, spans)
    for series, start_ms in {(m.series, m.start_ms) for m in found if m.start_ms < m.raw_from_ms}:
        _add(series, start_ms)
    ends = {
        (mark.series, mark.start_ms // HOUR_MS * HOUR_MS)
        for mark in found
        if mark.start_ms // HOUR_MS * HOUR_MS >= mark.five_from_ms
    }
    again = [hour for hour in sorted(ends) if hour[1] + HOUR_MS <= rolled_ms]
    write(HourRow, [s for series, at in again for s in hours(series, series, at, at + HOUR_MS)])
    LateRow.delete().where(LateRow.number.in_([mark.number for mark in found])).execute()


def _five(series: int, start_ms: int) -> list[Span]:
    return fives(series, series, start_ms, start_ms + FIVE_MINUTES_MS)


def _add(series: int, start_ms: int) -> None:
    """The readings of then were deleted long ago: what is there came late, is added, and goes too."""
    had = ask(f"{_HAD} WHERE series = ? AND start_ms = ?", series, start_ms)
    come = _five(series, start_ms)
    if had and come:
        (_, _, n, total, low, high, last), (_, _, n_2, total_2, low_2, high_2, _) = had[0], come[0]
        come = [(series, start_ms, n + n_2, total + total_2, min(low, low_2), max(high, high_2), last)]
    write(FiveMinutesRow, come)
    end_ms = start_ms + FIVE_MINUTES_MS
    sql = "DELETE FROM reading WHERE series = ? AND ts_ms >= ? AND ts_ms < ?"
    proxy.execute_sql(sql.replace("?", proxy.param), (series, start_ms, end_ms))
