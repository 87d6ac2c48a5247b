"""The database as it is at one moment, copied while it goes on taking writes."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Event

from gateway.core.errors import Unavailable

# One megabyte in a step; what writes meanwhile waits for none of them.
PAGES = 256
PAUSE_S = 0.002


class Stopped(Exception):
    """Nobody waits for the copy any more."""


def copy_database(source: Path, target: Path, stop: Event) -> None:
    """Copy `source` to `target`, a new file; raises `Unavailable` when the disk or the database refuses."""

    def pause(*_: int) -> None:
        if stop.is_set():
            raise Stopped
        time.sleep(PAUSE_S)

    target.touch(mode=0o600, exist_ok=False)
    try:
        with (
            closing(sqlite3.connect(source, isolation_level=None, timeout=30)) as read,
            closing(sqlite3.connect(target, isolation_level=None)) as write,
        ):
            write.execute("PRAGMA synchronous=off")
            # Within a transaction all steps see the same moment; without, each write would start it anew.
            read.execute("BEGIN")
            read.execute("SELECT count(*) FROM sqlite_master").fetchone()
            read.backup(write, pages=PAGES, progress=pause)
    except sqlite3.Error as error:
        raise Unavailable("The database cannot be copied: %(error)s.", error=error) from None


def digests_in(database: Path) -> list[str]:
    """The digests of the images it knows."""
    with closing(sqlite3.connect(database)) as read:
        return [row[0] for row in read.execute("SELECT DISTINCT digest FROM firmware_image ORDER BY digest")]


def fault_in(database: Path) -> str:
    """What SQLite finds wrong with the file; empty when nothing is."""
    try:
        with closing(sqlite3.connect(database)) as read:
            found = read.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error)
    return "" if found == ("ok",) else str(found[0])
