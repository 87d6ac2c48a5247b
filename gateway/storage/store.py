"""The database on one thread of its own, with group commit.

Everything handed in commits in the order of submission. Many small jobs share one transaction: while one
commit is under way the next ones gather, so latency stays that of one commit and throughput that of many.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from gateway.core.errors import Unavailable
from gateway.storage.database import Database, Job, Row, Trouble, open_database

T = TypeVar("T")
log = logging.getLogger(__name__)

WRITE_BEHIND_S = 0.5
RETRY_S = 1.0
MAX_ROWS_WAITING = 1_000_000
MAX_JOBS_WAITING = 200_000


@dataclass(slots=True)
class _Waiting:
    """A job and who waits for it: an answer, a notice that it is stored, or nobody.

    `prepare` makes the job's work when the batch leaves.
    """

    job: Job
    answer: "asyncio.Future[Any] | None" = None
    stored: Callable[[], None] | None = None
    prepare: Callable[[], Callable[[], object]] | None = None

    def due(self) -> Job:
        if self.prepare is not None:
            self.job.work, self.prepare = self.prepare(), None
        return self.job


@dataclass(slots=True)
class _Batch:
    jobs: list[_Waiting] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def kept(self) -> "_Batch":
        """What to try again after a failure: all that nobody was told about."""
        return _Batch([waiting for waiting in self.jobs if waiting.answer is None], self.rows)

    def followed_by(self, later: "_Batch") -> "_Batch":
        for sql, rows in later.rows.items():
            self.rows.setdefault(sql, []).extend(rows)
        return _Batch(self.jobs + later.jobs, self.rows)


class Store:
    """`async with Store(url)`: one per process, because peewee's models know one database at a time."""

    def __init__(self, url: str, *, lock_timeout_s: float = 30) -> None:
        self._url = url
        self._lock_timeout_s = lock_timeout_s
        self._next = _Batch()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._rows_waiting = 0
        self._committing = False
        self._closing = False
        self.healthy = True
        self.dropped = 0
        self.commits = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "database")
        self._readers = ThreadPoolExecutor(1, "database reader")
        self._database: Database = await self._on_thread(
            lambda: open_database(self._url, self._lock_timeout_s)
        )
        self.writer = self._loop.create_task(self._write_until_closed(), name="database writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._due.set()
        await self.writer
        if self._next.jobs or self._next.rows:
            log.error("The database could not take what was written last; it is lost.")
        await self._loop.run_in_executor(self._readers, self._database.close)
        await self._on_thread(self._database.close)
        self._readers.shutdown()
        self._thread.shutdown()

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, work)

    async def run(self, work: Callable[[], T]) -> T:
        """One transaction: returns its result once it is durable, raises what `work` raised.

        Raises `Unavailable` when the database cannot take it now (disk full, locked for too long).
        """
        answer: asyncio.Future[T] = self._loop.create_future()
        self._next.jobs.append(_Waiting(_job(work), answer=answer))
        self._due.set()
        return await answer

    async def read(self, query: Callable[[], T]) -> T:
        """A query that sees everything handed in before, on a connection and thread of its own.

        So a long one delays no commit. Only reads: the query must not write. While the database takes no
        writes, it sees what was written before.
        """
        if self._next.jobs or self._next.rows or self._committing:
            with suppress(Unavailable):
                await self.run(lambda: None)
        return await self._loop.run_in_executor(self._readers, lambda: self._database.read(query))

    def submit(self, work: Callable[[], object]) -> None:
        """Write behind, in order; kept and tried again while the database cannot take it."""
        if len(self._next.jobs) >= MAX_JOBS_WAITING:
            self.dropped += 1
            return
        self._next.jobs.append(_Waiting(_job(work)))
        self._due_within(WRITE_BEHIND_S)

    def gather(self, prepare: Callable[[], Callable[[], object]]) -> None:
        """Write behind the work that `prepare` returns when the next transaction leaves.

        Until then its caller may gather more; all of that shares the transaction of what is handed in
        meanwhile.
        """
        self._next.jobs.append(_Waiting(Job(None), prepare=prepare))
        self._due_within(WRITE_BEHIND_S)

    def append(self, sql: str, row: Row) -> bool:
        """One row of a bulk insert, written behind. False when too many wait already: it was not taken."""
        if self._rows_waiting >= MAX_ROWS_WAITING:
            self.dropped += 1
            return False
        self._next.rows.setdefault(sql, []).append(row)
        self._rows_waiting += 1
        if self._timer is None:
            self._due_within(WRITE_BEHIND_S)
        return True

    def when_stored(self, stored: Callable[[], None]) -> None:
        """Call back, in order, once everything handed in before is durable."""
        self._next.jobs.append(_Waiting(Job(None), stored=stored))
        self._due.set()

    def _due_within(self, delay_s: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(delay_s, self._due.set)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _write_until_closed(self) -> None:
        stored = True
        while not self._closing or (stored and (self._next.jobs or self._next.rows)):
            await self._due.wait()
            # One more turn of the loop, so that all it has at hand shares the commit.
            await asyncio.sleep(0)
            stored = await self._commit_next()
            if not stored and not self._closing:
                await asyncio.sleep(RETRY_S)
            if not stored or self._closing:
                self._due.set()
        self._cancel_timer()

    async def _commit_next(self) -> bool:
        """Commit what has gathered; False if the database could not take it."""
        batch, self._next = self._next, _Batch()
        self._due.clear()
        self._cancel_timer()
        jobs = [waiting.due() for waiting in batch.jobs]
        self._committing = True
        try:
            self.dropped += await self._on_thread(lambda: self._database.commit(jobs, batch.rows))
        except Trouble as error:
            self._failed(batch, error)
            return False
        finally:
            self._committing = False
        self._done(batch)
        return True

    def _failed(self, batch: _Batch, error: Exception) -> None:
        if self.healthy:
            log.error("The database cannot take writes: %s. Trying again every %g s.", error, RETRY_S)
        self.healthy = False
        self._next = batch.kept().followed_by(self._next)
        for waiting in batch.jobs:
            if waiting.answer is not None and not waiting.answer.done():
                waiting.answer.set_exception(Unavailable("Storage cannot take this now. Try again later."))

    def _done(self, batch: _Batch) -> None:
        if not self.healthy:
            log.warning("The database takes writes again.")
        self.healthy = True
        self.commits += 1
        self._rows_waiting -= sum(map(len, batch.rows.values()))
        for waiting in batch.jobs:
            _tell(waiting)


def _job(work: Callable[[], object]) -> Job:
    """Work that still knows, on the other thread, on whose behalf it was handed in."""
    context = copy_context()
    return Job(lambda: context.run(work))


def _tell(waiting: _Waiting) -> None:
    job, answer = waiting.job, waiting.answer
    if answer is None:
        if job.error is not None:
            log.error("A write behind failed and is left out.", exc_info=job.error)
        if waiting.stored is not None:
            _call(waiting.stored)
    elif answer.done():
        pass  # whoever asked went away
    elif job.error is not None:
        answer.set_exception(job.error)
    else:
        answer.set_result(job.result)


def _call(stored: Callable[[], None]) -> None:
    try:
        stored()
    except Exception:
        log.exception("A listener for stored messages failed.")
