"""The embedded broker's memory on disk: rows gathered until the next transaction leaves, written as one job.

Only the last word about a row is written, so that what changes often costs no more than what changes once: a
flood of changes cannot outrun the disk. Rows share the transaction of whatever is stored in the same turn.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from gateway.storage.models import Base
from gateway.storage.models_broker import (
    BROKER_TABLES,
    BrokerMessage,
    BrokerReceived,
    BrokerRetained,
    BrokerSession,
    BrokerSubscription,
    BrokerWill,
)

T = TypeVar("T")
Key = tuple[Any, ...]
Row = tuple[Any, ...]
BY_SESSION: tuple[type[Base], ...] = (BrokerSession, BrokerSubscription, BrokerMessage, BrokerReceived)


class Writer(Protocol):
    """What of the store is used here."""

    async def run(self, work: Callable[[], T]) -> T: ...

    def gather(self, prepare: Callable[[], Callable[[], object]]) -> None: ...

    def when_stored(self, stored: Callable[[], None]) -> None: ...


class Changes:
    """The last word about each row since the last transaction, by its key's first part; None deletes it."""

    def __init__(self) -> None:
        self.wiped: set[str] = set()
        self.rows: dict[type[Base], dict[str, dict[Key, Row | None]]] = {table: {} for table in BROKER_TABLES}

    def put(self, table: type[Base], key: Key, row: Row | None) -> None:
        self.rows[table].setdefault(key[0], {})[key] = row

    def wipe(self, key: str) -> None:
        self.wiped.add(key)
        for table in BY_SESSION:
            self.rows[table].pop(key, None)

    def write(self) -> None:
        """One transaction's work, on the database's thread."""
        for table in BY_SESSION:
            _many(table, _delete_sql(table, 1), [(key,) for key in self.wiped])
        for table, by_session in self.rows.items():
            rows = [item for some in by_session.values() for item in some.items()]
            gone = [key for key, row in rows if row is None]
            _many(table, _delete_sql(table, len(_key_columns(table))), gone)
            _many(table, _put_sql(table), [row for _, row in rows if row is not None])


def _many(table: type[Base], sql: str, rows: list[Any]) -> None:
    if rows:
        database = table._meta.database
        database.connection().cursor().executemany(sql.replace("?", database.param), rows)


def _columns(table: type[Base]) -> list[str]:
    return [f'"{field.column_name}"' for field in table._meta.sorted_fields]


def _key_columns(table: type[Base]) -> list[str]:
    meta: Any = table._meta
    return [f'"{field.column_name}"' for field in meta.get_primary_keys()]


def _delete_sql(table: type[Base], columns: int) -> str:
    """By the first columns of the key: all of them for a row, one for all rows of a session."""
    where = " AND ".join(f"{column} = ?" for column in _key_columns(table)[:columns])
    return " ".join(("DELETE FROM", table._meta.table_name, "WHERE", where))


def _put_sql(table: type[Base]) -> str:
    columns, keys = _columns(table), _key_columns(table)
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in keys)
    return " ".join(
        (
            "INSERT INTO",
            table._meta.table_name,
            f"({', '.join(columns)})",
            f"VALUES ({', '.join('?' * len(columns))})",
            f"ON CONFLICT ({', '.join(keys)})",
            f"DO UPDATE SET {updates}" if updates else "DO NOTHING",
        )
    )


class BrokerState:
    def __init__(self, store: Writer) -> None:
        self._store = store
        self._changes: Changes | None = None

    async def load(self, table: type[Base], *order: Any) -> list[Any]:
        return await self._store.run(lambda: list(table.select().order_by(*order)))

    def when_stored(self, stored: Callable[[], None]) -> None:
        """Call back once everything said before is on disk."""
        self._store.when_stored(stored)

    def hurry(self) -> None:
        """Store what was said so far at once, though nobody waits for it."""
        self.when_stored(_nothing)

    def _gathered(self) -> Changes:
        if self._changes is None:
            self._changes = Changes()
            self._store.gather(self._leave)
        return self._changes

    def _leave(self) -> Callable[[], None]:
        changes, self._changes = self._changes or Changes(), None
        return changes.write

    def _put(self, table: type[Base], key: Key, *rest: Any) -> None:
        self._gathered().put(table, key, (*key, *rest))

    def _delete(self, table: type[Base], *key: Any) -> None:
        self._gathered().put(table, key, None)

    def keep_session(self, key: str, client_id: str, principal: str, connected: bool) -> None:
        self._put(BrokerSession, (key,), client_id, principal, connected)

    def drop_session(self, key: str) -> None:
        """A session with its subscriptions, queue and packet ids; its will is a matter of its own."""
        self._gathered().wipe(key)

    def subscribe(self, key: str, topic_filter: str, qos: int) -> None:
        self._put(BrokerSubscription, (key, topic_filter), qos)

    def unsubscribe(self, key: str, topic_filter: str) -> None:
        self._delete(BrokerSubscription, key, topic_filter)

    def queue(
        self,
        key: str,
        number: int,
        position: int,
        message: tuple[str, bytes, int, bool, int | None],
        *,
        sent: bool,
        released: bool,
    ) -> None:
        """`message` is (topic, payload, QoS, retain, expires_at_ms)."""
        self._put(BrokerMessage, (key, number), position, *message, sent, released)

    def forget(self, key: str, number: int) -> None:
        self._delete(BrokerMessage, key, number)

    def received(self, key: str, number: int) -> None:
        self._put(BrokerReceived, (key, number))

    def released(self, key: str, number: int) -> None:
        self._delete(BrokerReceived, key, number)

    def retain(self, topic: str, payload: bytes, qos: int, expires_at_ms: int | None) -> None:
        self._put(BrokerRetained, (topic,), payload, qos, expires_at_ms)

    def unretain(self, topic: str) -> None:
        self._delete(BrokerRetained, topic)

    def keep_will(
        self, key: str, client_id: str, principal: str, will: tuple[str, bytes, int, bool], keepalive_s: int
    ) -> None:
        """`will` is (topic, payload, QoS, retain)."""
        self._put(BrokerWill, (key,), client_id, principal, *will, keepalive_s)

    def drop_will(self, key: str) -> None:
        self._delete(BrokerWill, key)


def _nothing() -> None:
    """Nobody waits."""
