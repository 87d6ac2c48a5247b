"""Making a backup, beside everything else: on a thread of its own, piece by piece, constant in memory."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import IO

import msgspec

from gateway.backup.archive import DATABASE, Archive, Member, usable_name
from gateway.backup.sealing import sealed
from gateway.backup.snapshot import copy_database, digests_in
from gateway.core import audit, clock
from gateway.core.backups import KEY, Backup, check_passphrase
from gateway.core.core import Core
from gateway.core.errors import Conflict, Invalid, Unavailable
from gateway.core.rights import Person, name_of
from gateway.storage.models import SettingRow, upsert

ACTION = "gateway.backup"
# A copy of the database that was left by a death lies under such a name until the next start.
COPY = "copy-of-database-{}.part"
# Loose files of the data folder that are no database are keys and small notes.
MAX_LOOSE = 1024 * 1024
NOT_KEPT = frozenset({"lock", "control.sock"})
SPARE = 64 * 1024 * 1024


class BackupMaker:
    """One backup at a time; implements `Backups`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._busy = False

    def clear(self) -> None:
        """Remove what was left of a backup that was cut off."""
        for left in self._core.settings.data.glob(COPY.format("*")):
            left.unlink(missing_ok=True)

    @asynccontextmanager
    async def streamed(self, passphrase: str, by: Person | str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an encrypted backup. Raises before the first when it cannot be made."""
        check_passphrase(passphrase)
        if self._busy:
            raise Conflict("A backup is being made already; try again when it is done.")
        self._busy = True
        stop, thread = Event(), ThreadPoolExecutor(1, "backup")
        copy = self._core.settings.data / COPY.format(os.urandom(6).hex())
        try:
            archive = await self._prepared(thread, copy, stop)
            yield self._pieces(thread, sealed(archive.pieces(), passphrase), by)
        finally:
            # The thread may be at it still: it cleans up after itself, and nobody waits for it.
            stop.set()
            thread.submit(copy.unlink, missing_ok=True)
            thread.shutdown(wait=False)
            self._busy = False

    async def to_file(self, path: Path, passphrase: str, by: Person | str) -> Backup:
        """The same, written to a new file that only its owner may read."""
        part = path.with_name(path.name + ".part")
        size = 0
        async with self.streamed(passphrase, by) as pieces:
            try:
                with await asyncio.to_thread(_created, path, part) as file:
                    async for piece in pieces:
                        size += len(piece)
                        await asyncio.to_thread(file.write, piece)
                    await asyncio.to_thread(_settled, file)
                await asyncio.to_thread(part.rename, path)
            except BaseException as error:
                await asyncio.to_thread(part.unlink, missing_ok=True)
                if isinstance(error, OSError):
                    raise _refused(path, error) from None
                raise
        return Backup(clock.now_ms(), size, name_of(by))

    async def _prepared(self, thread: ThreadPoolExecutor, copy: Path, stop: Event) -> Archive:
        loop = asyncio.get_running_loop()
        # Loose files first: the audit trail's anchor must not be newer than the trail.
        loose = await loop.run_in_executor(thread, self._loose)
        # What was handed in before is in it.
        await self._core.store.run(lambda: None)
        made_at_ms = clock.now_ms()
        try:
            await loop.run_in_executor(thread, self._copy, copy, stop)
            images = await loop.run_in_executor(thread, self._images, copy)
        except OSError as error:
            raise _refused(copy, error) from None
        return Archive([*loose, Member(DATABASE, copy), *images], version("passerelle"), made_at_ms)

    def _loose(self) -> list[Member]:
        settings = self._core.settings
        own = settings.database_path
        found = {}
        for folder in (settings.data, settings.data / "tls", settings.data / "firmware"):
            for path in sorted(folder.glob("*")):
                name = path.relative_to(settings.data).as_posix()
                if _is_kept(path, own) and usable_name(name):
                    found[name] = Member(name, path.read_bytes())
        # A key that comes from the environment signs everything; the new host must know it.
        found["secret.key"] = Member("secret.key", settings.signing_key().encode())
        return list(found.values())

    def _copy(self, copy: Path, stop: Event) -> None:
        source = self._core.settings.database_path
        if shutil.disk_usage(copy.parent).free < source.stat().st_size + SPARE:
            raise Unavailable("The disk has no room for a copy of the database.")
        copy_database(source, copy, stop)

    def _images(self, copy: Path) -> list[Member]:
        folder = self._core.settings.data / "firmware"
        found = [Member(f"firmware/{digest}", folder / digest) for digest in digests_in(copy)]
        for member in found:
            if not (self._core.settings.data / member.name).is_file():
                raise Unavailable("The image %(name)s is missing.", name=member.name)
        return found

    async def _pieces(
        self, thread: ThreadPoolExecutor, pieces: Iterator[bytes], by: Person | str
    ) -> AsyncIterator[bytes]:
        loop, size = asyncio.get_running_loop(), 0
        while piece := await loop.run_in_executor(thread, _next(pieces)):
            size += len(piece)
            yield piece
        made = Backup(clock.now_ms(), size, name_of(by))
        await self._core.store.run(lambda: _keep(made))
        self._core.hub.acted(ACTION, "gateway", by, size=size)


def _next(pieces: Iterator[bytes]) -> Callable[[], bytes]:
    return lambda: next(pieces, b"")


def _is_kept(path: Path, database: Path) -> bool:
    if path.name in NOT_KEPT or path.name.startswith(database.name) or path.suffix in (".part", ".db"):
        return False
    # Images come with the copy of the database that names them.
    is_image = path.parent.name == "firmware" and len(path.name) == 64
    return path.is_file() and not path.is_symlink() and not is_image and path.stat().st_size <= MAX_LOOSE


def _keep(made: Backup) -> None:
    upsert(SettingRow, [{"key": KEY, "value": msgspec.json.encode(made).decode()}])
    audit.write(ACTION, "gateway", made.by, size=made.size)


def _created(path: Path, part: Path) -> IO[bytes]:
    if path.exists():
        raise Invalid("%(path)s is there already; nothing was written.", path=path)
    part.unlink(missing_ok=True)
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _settled(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _refused(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        "%(path)s cannot be read or written: %(reason)s.", path=error.filename or path, reason=error.strerror
    )
