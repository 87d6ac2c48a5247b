"""What is over age goes, level by level, in slices that hold the writer for a few milliseconds each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gateway.core.readings.late import FIVE_MINUTES_MS, HOUR_MS
from gateway.core.readings.rollups import ask
from gateway.storage.models import ReadingRow, proxy
from gateway.storage.models_history import FiveMinutesRow, HourRow

DAY_MS = 24 * HOUR_MS
# Slices in one look; the next look finds the rest.
MOST_SLICES = 200
# series, before when
Cut = tuple[int, int]

_FIRSTS = """
SELECT s.id, m.type, (SELECT MIN(t.<at>) FROM <table> t WHERE t.series = s.id)
FROM series s JOIN module m ON m.number = s.module_number
"""
_NEWEST = "SELECT MAX(<at>) FROM <table> WHERE series = ?"
_FOLLOWING = "SELECT <at> FROM <table> WHERE series = ? AND <at> < ? ORDER BY <at> LIMIT 1 OFFSET ?"
_COUNT = "SELECT COUNT(*) FROM <table> WHERE series = ? AND <at> < ?"
_DELETE = "DELETE FROM <table> WHERE series = ? AND <at> < ?"
_MARK = """
INSERT INTO reading_kept (series, raw_from_ms, five_from_ms) VALUES (?, <zeros>)
ON CONFLICT (series) DO UPDATE SET <kept> = excluded.<kept> WHERE excluded.<kept> > reading_kept.<kept>
"""


@dataclass(frozen=True, slots=True)
class Level:
    """A table of the history, its time, and where `reading_kept` says since when it is whole."""

    table: str
    at: str
    kept: str

    def sql(self, text: str) -> str:
        zeros = "?, 0" if self.kept == "raw_from_ms" else "0, ?"
        words = {"<table>": self.table, "<at>": self.at, "<kept>": self.kept, "<zeros>": zeros}
        for word, meant in words.items():
            text = text.replace(word, meant)
        return text


RAW = Level(ReadingRow._meta.table_name, "ts_ms", "raw_from_ms")
FIVES = Level(FiveMinutesRow._meta.table_name, "start_ms", "five_from_ms")
HOURS = Level(HourRow._meta.table_name, "start_ms", "")
LEVELS = (RAW, FIVES, HOURS)

# Before when a type's rows of a level go.
Cutoff = Callable[[int], int]


def oldest(level: Level) -> int | None:
    """When the oldest row of any series begins."""
    firsts = [first for _, _, first in ask(level.sql(_FIRSTS)) if first is not None]
    return min(firsts, default=None)


def slices(level: Level, cutoff: Cutoff, rows: int) -> list[list[Cut]]:
    """What is to be deleted, in transactions of about so many rows. On the read thread."""
    waits = dict(ask("SELECT series, MIN(start_ms) FROM reading_late GROUP BY series"))
    cuts = _cuts(level, cutoff, rows, waits)
    found: list[list[Cut]] = []
    room = 0
    for series, before_ms, count in cuts:
        if room <= 0:
            if len(found) == MOST_SLICES:
                break
            found.append([])
            room = rows
        found[-1].append((series, before_ms))
        room -= max(1, count)
    return found


def _cuts(
    level: Level, cutoff: Cutoff, rows: int, waits: Mapping[int, int]
) -> Iterator[tuple[int, int, int]]:
    """Each series' next cut and how many rows it takes; whole five minutes, so that none is halved."""
    for series, type, first_ms in ask(level.sql(_FIRSTS)):
        # What came late and is not summed up yet must not go before it is.
        before_ms = min(cutoff(type), waits.get(series, 2**62))
        if first_ms is None or first_ms >= before_ms:
            continue
        if level is RAW:
            # The newest is what a restart shows again, however old it is.
            before_ms = min(before_ms, _floor(ask(level.sql(_NEWEST), series)[0][0]))
            if first_ms >= before_ms:
                continue
        following = ask(level.sql(_FOLLOWING), series, before_ms, rows)
        if not following:
            yield series, before_ms, ask(level.sql(_COUNT), series, before_ms)[0][0]
            continue
        whole_ms = _floor(following[0][0])
        yield series, whole_ms if whole_ms > first_ms else _floor(first_ms) + FIVE_MINUTES_MS, rows


def _floor(at_ms: int) -> int:
    return at_ms // FIVE_MINUTES_MS * FIVE_MINUTES_MS


def delete(level: Level, cuts: list[Cut], done: list[int]) -> None:
    """Within a transaction: the rows go, and since when the level is whole is remembered.

    `done` gets the number of series of which something went.
    """
    cursor = proxy.connection().cursor()
    latest_ms = max(before_ms for _, before_ms in cuts)
    waiting = {id for (id,) in ask("SELECT DISTINCT series FROM reading_late WHERE start_ms < ?", latest_ms)}
    cuts = [cut for cut in cuts if cut[0] not in waiting]
    cursor.executemany(level.sql(_DELETE).replace("?", proxy.param), cuts)
    if level.kept:
        cursor.executemany(level.sql(_MARK).replace("?", proxy.param), cuts)
    done.append(len(cuts))
