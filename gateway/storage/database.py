"""Opening, migrating and committing: what happens on the database's own thread."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import peewee
from playhouse.db_url import connect
from playhouse.migrations import Runner

from gateway.storage.models import proxy

T = TypeVar("T")
Row = tuple[Any, ...]
log = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"
# `synchronous=normal` with WAL survives the death of the process; `full` would add the loss of power.
SQLITE_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "foreign_keys": 1, "cache_size": -32_000}


_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


class Trouble(Exception):
    """The database cannot take anything now: disk full, locked, gone."""


@dataclass(slots=True)
class Job:
    """A function to run inside a transaction, and what became of it. No `work`: only a place in the order."""

    work: Callable[[], Any] | None
    result: Any = None
    error: Exception | None = None


class Database:
    """The open database. Writes come from the one thread that opened it; reads may come from another."""

    def __init__(self, peewee_database: Any) -> None:
        self._db = peewee_database

    def commit(self, jobs: list[Job], rows: dict[str, list[Row]]) -> int:
        """All rows and jobs in one transaction. A job that fails for its own reasons is undone alone.

        Rows come first, so that a job which deletes what they belong to deletes them too. Returns how many
        rows had to be left out. Raises `Trouble` when the database cannot take the whole.
        """
        try:
            with self._db.atomic():
                left_out = sum(self._insert(sql, values) for sql, values in rows.items())
                for job in jobs:
                    self._do(job)
        except Exception as error:
            if _is_trouble(error):
                raise Trouble(str(error)) from error
            raise
        return left_out

    def _do(self, job: Job) -> None:
        if job.work is None:
            return
        try:
            with self._db.atomic():
                job.result = job.work()
        except Exception as error:
            if _is_trouble(error):
                raise
            job.error = error

    def _insert(self, sql: str, values: list[Row]) -> int:
        marks = ", ".join([self._db.param] * len(values[0]))
        try:
            with self._db.atomic():
                cursor = self._db.connection().cursor()
                cursor.executemany(sql.replace("(VALUES)", f"VALUES ({marks})"), values)
        except Exception as error:
            if _is_trouble(error):
                raise
            log.exception("%d rows do not fit their table and are left out.", len(values))
            return len(values)
        return 0

    def read(self, query: Callable[[], T]) -> T:
        """A query on the calling thread's own connection."""
        self._db.connect(reuse_if_open=True)
        return query()

    def close(self) -> None:
        """Close the calling thread's connection."""
        self._db.close()


def open_database(url: str, lock_timeout_s: float) -> Database:
    """Connect, bring the schema up to date and bind the models."""
    options: dict[str, Any] = {}
    if url.startswith("sqlite"):
        Path(urlsplit(url).path.removeprefix("/")).parent.mkdir(parents=True, exist_ok=True)
        options = {"pragmas": SQLITE_PRAGMAS, "timeout": lock_timeout_s}
    db: Any = connect(url, **options)
    db.connect()
    proxy.initialize(db)
    Runner(db, directory=str(MIGRATIONS)).up()
    return Database(db)



def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _is_trouble(error: Exception) -> bool:
    """Whether the database takes nothing now; a statement it does not understand is the job's fault."""
    # On a full disk SQLite ends the transaction itself, and it is the undoing that fails in the end.
    if any(getattr(each, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM for each in _with_causes(error)):
        return True
    cause: Any = error
    while isinstance(cause, peewee.PeeweeException):
        cause = cause.__context__
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return False
    # By name, because what goes past peewee raises the driver's own errors.
    return isinstance(error, OSError) or type(error).__name__ in ("OperationalError", "InterfaceError")
