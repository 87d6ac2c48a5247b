"""The files of images: streamed in beside the others, then known by their digest alone."""

import asyncio
import errno
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import md5, sha256
from pathlib import Path
from threading import Lock
from typing import IO

from gateway.core.errors import Invalid, TooLarge, TooMany, Unavailable

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024 * 1024
MAX_UPLOADS = 4
# Smaller pieces wait for each other, so that a thread is worth its while.
PIECE = 256 * 1024
PART = ".part"
RETRY_AFTER_S = 10
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# These say nothing about the file, only about the gateway just now.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})


class Upload:
    """A file on its way in. What it is called outside is never asked; `size` counts what has come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.ended = False
        self._waiting = bytearray()
        self._sha256 = sha256()
        self._md5 = md5(usedforsecurity=False)
        self._file: IO[bytes] | None = None
        # Whoever asked for a piece to be written may be gone before its thread is done with it.
        self._writing = Lock()
        self._discarded = False

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Take a piece; raises `TooLarge`, or `Unavailable` when the disk cannot take it."""
        if self.ended:
            raise Invalid("This upload has ended already.")
        self.size += len(chunk)
        if self.size > MAX_BYTES:
            self.ended = True
            raise TooLarge(
                "An image has at most %(max_bytes)s MB (%(max_bytes_2)s bytes).",
                max_bytes=MAX_BYTES // 1024**2,
                max_bytes_2=MAX_BYTES,
            )
        self._waiting += chunk
        if len(self._waiting) >= PIECE:
            await asyncio.to_thread(self._flush, self._taken())

    async def finish(self) -> None:
        """All has come and lies on the disk; raises `Invalid` when that is nothing."""
        if self.ended:
            raise Invalid("This upload has ended already.")
        self.ended = True
        if not self.size:
            raise Invalid("The file is empty.")
        await asyncio.to_thread(self._flush, self._taken(), last=True)

    def _taken(self) -> bytearray:
        piece, self._waiting = self._waiting, bytearray()
        return piece

    def _flush(self, piece: bytearray, last: bool = False) -> None:
        with self._writing, troubles_told():
            if self._discarded:
                return
            if self._file is None:
                self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._sha256.update(piece)
            self._md5.update(piece)
            self._file.write(piece)
            if last:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()

    def discard(self) -> None:
        """What is left of it goes; when it was kept, nothing is left."""
        with self._writing:
            self._discarded = self.ended = True
            if self._file is not None:
                # What it still wanted to write is not wanted any more.
                with suppress(OSError):
                    self._file.close()
            with suppress(OSError):
                self.path.unlink(missing_ok=True)


class Images:
    """The folder, in which a file's name is its digest. All but `receiving` blocks: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._receiving = 0

    def path(self, digest: str) -> Path:
        return self._folder / digest

    def open(self) -> None:
        """Make the folder; what was cut off in an earlier life goes."""
        with troubles_told():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for part in self._folder.glob(f"*{PART}"):
                part.unlink(missing_ok=True)

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[Upload]:
        """A place for an upload; raises `TooMany` when all are taken."""
        if self._receiving >= MAX_UPLOADS:
            raise TooMany(
                "%(max_uploads)s uploads are under way; try again when one is done.",
                RETRY_AFTER_S,
                max_uploads=MAX_UPLOADS,
            )
        self._receiving += 1
        upload = Upload(self._folder / f"{secrets.token_hex(16)}{PART}")
        try:
            yield upload
        finally:
            self._receiving -= 1
            await asyncio.to_thread(upload.discard)

    def keep(self, upload: Upload, replace: bool) -> bool:
        """Give it its name. False when a file of that name was there, which stays unless `replace`."""
        path = self.path(upload.digest)
        with troubles_told():
            was_there = path.exists()
            if was_there and not replace:
                return False
            upload.path.chmod(0o400)
            upload.path.replace(path)
            self._sync()
        return not was_there

    def remove(self, digest: str) -> None:
        with troubles_told():
            self.path(digest).unlink(missing_ok=True)
            self._sync()

    def _sync(self) -> None:
        """So that a name that was given or taken is so after a loss of power too."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sizes(self) -> dict[str, int]:
        """Every file by its digest; what people put there under other names is not ours."""
        with troubles_told(), os.scandir(self._folder) as entries:
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in entries
                if _DIGEST.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            }

    def whole(self, digest: str) -> bool | None:
        """Whether the file holds what its name says; None when that cannot be told just now."""
        found = sha256()
        try:
            with self.path(digest).open("rb") as file:
                while piece := file.read(PIECE):
                    found.update(piece)
        except OSError as error:
            return None if error.errno in _PASSING else False
        return found.hexdigest() == digest


@contextmanager
def troubles_told() -> Iterator[None]:
    """The disk's refusals in words; of a full disk people must hear, because they can do something."""
    try:
        yield
    except OSError as error:
        log.error("The folder of images refuses: %s.", os.strerror(error.errno or errno.EIO))
        if error.errno in _FULL:
            raise Unavailable("Storage full: the disk has no room for this image.") from None
        raise Unavailable("The folder of images cannot be used now.") from None
