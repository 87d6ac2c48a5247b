"""The store on a real SQLite file: order, group commit, failures alone, and a database that is locked."""

import sqlite3
import threading
from contextlib import closing, contextmanager
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peewee import OperationalError

from gateway.core.errors import Unavailable
from gateway.storage.models import ModuleRow, SettingRow
from gateway.storage.store import Store

pytestmark = pytest.mark.anyio
INSERT = "INSERT INTO setting (key, value) (VALUES)"
PATIENCE_S = 20
WRITES = ("run", "submit")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "house.db"


def open_store(file, lock_timeout_s=0.05):
    return Store(f"sqlite:///{file}", lock_timeout_s=lock_timeout_s)


def put(key, value=""):
    return lambda: SettingRow.insert(key=key, value=value).execute()


def misspelt():
    SettingRow.raw("SELECT nope FROM setting").execute()


def on_disk(file):
    with closing(sqlite3.connect(file)) as other:
        return dict(other.execute("SELECT key, value FROM setting"))


@contextmanager
def locked(file):
    """Another program holds the database's write lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def until(true):
    for _ in range(PATIENCE_S * 100):
        if true():
            return
        await anyio.sleep(0.01)
    raise AssertionError("waited in vain")


async def test_run_returns_what_is_durable_and_raises_what_was_raised(file):
    async with open_store(file) as store:
        assert await store.run(lambda: [put("a", "1")(), 42][1]) == 42
        assert on_disk(file) == {"a": "1"}
        with pytest.raises(KeyError, match="mine"):
            await store.run(lambda: {}["mine"])


async def test_one_failing_job_undoes_itself_alone_within_a_shared_commit(file):
    def half():
        put("half")()
        raise ValueError("and no further")

    failed = []

    async def fail(store, work, error):
        with pytest.raises(error):
            await store.run(work)
        failed.append(error)

    async with open_store(file) as store:
        before = store.commits
        async with anyio.create_task_group() as group:
            store.submit(put("first"))
            store.submit(half)
            group.start_soon(fail, store, half, ValueError)
            group.start_soon(fail, store, misspelt, OperationalError)
            group.start_soon(store.run, put("second"))
            group.start_soon(store.run, put("third"))
        assert on_disk(file) == {"first": "", "second": "", "third": ""}
        assert store.commits == before + 1
        assert len(failed) == 2 and store.healthy


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kinds=st.lists(st.sampled_from(["run", "submit", "stored", "pause"]), min_size=1, max_size=40))
async def test_everything_commits_and_is_told_in_the_order_of_submission(tmp_path_factory, kinds):
    file = tmp_path_factory.mktemp("order") / "house.db"
    done, told = [], []

    def write(number):
        done.append(number)
        put(str(number))()

    def stored_at(number):
        # Whoever is told that his things are stored finds all of them on the disk.
        before = {str(n) for n, kind in enumerate(kinds[:number]) if kind in WRITES}
        return lambda: told.append((number, on_disk(file).keys() >= before))

    async with open_store(file) as store, anyio.create_task_group() as group:
        for number, kind in enumerate(kinds):
            work = partial(write, number)
            if kind == "run":
                group.start_soon(store.run, work)
                await anyio.lowlevel.checkpoint()
            elif kind == "submit":
                store.submit(work)
            elif kind == "stored":
                store.when_stored(stored_at(number))
            else:
                await anyio.sleep(0.001)
    assert done == [number for number, kind in enumerate(kinds) if kind in WRITES]
    assert told == [(number, True) for number, kind in enumerate(kinds) if kind == "stored"]
    assert set(on_disk(file)) == {str(number) for number in done}


async def test_many_at_once_share_few_commits(file):
    async with open_store(file) as store:
        before = store.commits
        async with anyio.create_task_group() as group:
            for number in range(500):
                group.start_soon(store.run, put(str(number)))
        assert len(on_disk(file)) == 500
        assert store.commits - before <= 5


async def test_a_locked_database_loses_nothing_that_was_written_behind(file):
    told = []
    async with open_store(file) as store:
        with locked(file):
            store.submit(put("a", "behind"))
            store.append(INSERT, ("b", "bulk"))
            store.when_stored(lambda: told.append(1))
            with pytest.raises(Unavailable):
                await store.run(put("c"))
            await until(lambda: not store.healthy)
            store.submit(put("d", "later"))
            store.when_stored(lambda: told.append(2))
            assert told == []
            # What can be read is read.
            assert await store.read(lambda: SettingRow.select().count()) == 0
        await until(lambda: told == [1, 2])
        assert on_disk(file) == {"a": "behind", "b": "bulk", "d": "later"}
        assert store.healthy and store.dropped == 0


async def test_rows_alone_also_wait_while_the_database_is_locked(file):
    """They go past peewee, and so raise the driver's own errors."""
    async with open_store(file) as store:
        with locked(file):
            assert store.append(INSERT, ("a", ""))
            await until(lambda: not store.healthy)
            assert not store.writer.done()
        await store.run(lambda: None)
        assert on_disk(file) == {"a": ""}


async def test_a_write_behind_past_peewee_is_kept_too(file):
    def past_peewee():
        SettingRow._meta.database.connection().cursor().executemany(
            "INSERT INTO setting (key, value) VALUES (?, ?)", [("a", "")]
        )

    async with open_store(file) as store:
        with locked(file):
            store.submit(past_peewee)
            await until(lambda: not store.healthy)
        await store.run(lambda: None)
    assert on_disk(file) == {"a": ""}


async def test_what_does_not_fit_is_left_out_and_holds_nothing_up(file):
    async with open_store(file) as store:
        store.submit(misspelt)
        store.append(INSERT, (object(), 10**30))
        store.submit(put("a"))
        await store.run(put("b"))
        assert on_disk(file) == {"a": "", "b": ""}
        assert store.dropped == 1 and store.healthy and not store.writer.done()


async def test_nothing_is_lost_at_the_close(file):
    told = []
    async with open_store(file) as store:
        store.submit(put("a"))
        store.append(INSERT, ("b", ""))
        store.when_stored(lambda: told.append(on_disk(file)))
    assert told == [{"a": "", "b": ""}]


async def test_a_job_deletes_the_rows_that_were_handed_in_before_it(file):
    async with open_store(file) as store:
        store.append(INSERT, ("gone", ""))
        await store.run(lambda: SettingRow.delete().execute())
        assert on_disk(file) == {}


async def test_a_read_sees_what_is_just_being_committed(file):
    going, go = threading.Event(), threading.Event()

    def slow():
        put("a")()
        going.set()
        assert go.wait(PATIENCE_S)

    async with open_store(file) as store:
        store.submit(slow)
        store.when_stored(lambda: None)
        await until(going.is_set)
        counted = []

        async def count():
            counted.append(await store.read(lambda: SettingRow.select().count()))

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            await anyio.sleep(0.05)
            go.set()
        assert counted == [1]


async def test_too_many_rows_are_refused_and_counted(file, monkeypatch):
    monkeypatch.setattr("gateway.storage.store.MAX_ROWS_WAITING", 2)
    async with open_store(file) as store:
        assert [store.append(INSERT, (key, "")) for key in "abc"] == [True, True, False]
        assert store.dropped == 1
        await store.run(lambda: None)
        assert store.append(INSERT, ("d", ""))


async def test_a_listener_that_fails_hurts_nobody(file):
    told = []
    async with open_store(file) as store:
        store.when_stored(lambda: 1 / 0)
        store.when_stored(lambda: told.append("next"))
        await store.run(lambda: None)
    assert told == ["next"]


async def test_a_number_is_never_given_twice(file):
    row = {"id": "a", "folded_id": "a", "uuid": "u", "name": "", "location": "", "type": 7, "life": "pending"}

    def add_and_delete():
        number = ModuleRow.insert(**row, created_at_ms=0).execute()
        ModuleRow.delete().execute()
        return number

    async with open_store(file) as store:
        numbers = [await store.run(add_and_delete) for _ in range(3)]
    assert len(set(numbers)) == 3
