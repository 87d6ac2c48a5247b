"""Opening, migrating and committing: what happens on the database's own thread."""

import logging
from collections.abc import Callable
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
_TROUBLE = (peewee.OperationalError, peewee.InterfaceError, OSError)


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

    def commit(self, jobs: list[Job], rows: dict[str, list[Row]]) -> None:
        """All jobs and rows in one transaction. A job that fails for its own reasons is undone alone.

        Raises what the database raises when it cannot take the whole (disk full, locked).
        """
        with self._db.atomic():
            for job in jobs:
                self._do(job)
            for sql, values in rows.items():
                self._insert(sql, values)

    def _do(self, job: Job) -> None:
        if job.work is None:
            return
        try:
            with self._db.atomic():
                job.result = job.work()
        except _TROUBLE:
            raise
        except Exception as error:
            job.error = error

    def _insert(self, sql: str, values: list[Row]) -> None:
        marks = ", ".join([self._db.param] * len(values[0]))
        self._db.connection().cursor().executemany(sql.replace("(VALUES)", f"VALUES ({marks})"), values)

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
    if not proxy.obj or proxy.obj.is_closed():
        proxy.initialize(db)
    else:
        raise RuntimeError("This process has a database open already.")
    Runner(db, directory=str(MIGRATIONS)).up()
    return Database(db)
