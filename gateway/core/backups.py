"""Backups as the pages know them: the last one, and how to get one. The roof makes them."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from gateway.core.errors import Invalid, Unavailable
from gateway.core.rights import Person
from gateway.storage.models import SettingRow
from gateway.storage.store import Store

KEY = "backup:last"
MIN_PASSPHRASE, MAX_PASSPHRASE = 10, 256


class Backup(msgspec.Struct, frozen=True):
    """One that was made: when, how many bytes, by whom."""

    at_ms: int
    size: int
    by: str


class Backups(Protocol):
    """`streamed(passphrase, by)`: everything, encrypted, piece by piece; raises before the first piece."""

    def streamed(
        self, passphrase: str, by: Person | str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class NoBackups:
    """Where nothing makes them."""

    def streamed(
        self, passphrase: str, by: Person | str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise Unavailable("This gateway makes no backups.")


async def last_backup(store: Store) -> Backup | None:
    row = await store.read(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
    return msgspec.json.decode(row.value, type=Backup) if row else None


def check_passphrase(passphrase: str) -> None:
    """Raises `Invalid` for one that is too short to protect what is in it."""
    if not MIN_PASSPHRASE <= len(passphrase) <= MAX_PASSPHRASE:
        raise Invalid(
            "The passphrase has %(least)s to %(most)s characters.", least=MIN_PASSPHRASE, most=MAX_PASSPHRASE
        )
