"""Files to many slow readers at once: a little in memory for each, and the loop waits for no disk."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.core.errors import Unavailable

# A few readers get more at once, for it is faster; of many, each costs little.
CHUNK, CHUNK_OF_FEW = 64 * 1024, 128 * 1024
FEW = 16
# So many are served before the loop looks after everybody else.
IN_A_TURN = 4
# The kernel ends a connection that stands still sooner (see serve.py); this frees the place if it does not.
STALLED_S = 75.0
MOST, MOST_EACH = 300, 3
RETRY_AFTER_S = 10
_READY = {"type": "http.response.body", "body": b"", "more_body": True}
# Reads what is in the page cache only; 0 where the system cannot.
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


class Places:
    """How many read at once, in all and for each reader."""

    def __init__(self, most: int = MOST, most_each: int = MOST_EACH) -> None:
        self._most = most
        self._most_each = most_each
        self._taken: Counter[int] = Counter()
        self.turn = asyncio.Semaphore(IN_A_TURN)
        self.refused = 0

    def __len__(self) -> int:
        return self._taken.total()

    @contextmanager
    def taken(self, reader: int) -> Iterator[None]:
        """Raises `Unavailable` when there is no place."""
        if len(self) >= self._most or self._taken[reader] >= self._most_each:
            self.refused += 1
            raise Unavailable("Too many downloads are under way. Try again.", RETRY_AFTER_S)
        self._taken[reader] += 1
        try:
            yield
        finally:
            self._taken[reader] -= 1
            if not self._taken[reader]:
                del self._taken[reader]


@dataclass(frozen=True, slots=True)
class Part:
    """Of a file of `size` bytes, those from `start` to before `end`."""

    path: Path
    size: int
    start: int
    end: int


class PartResponse(Response):
    """`given(offset, length)` is told of each piece before it is written, and says whether to go on.

    One who reads nothing for a minute, or whose right has ended, is cut off short of what was announced.
    """

    def __init__(
        self,
        part: Part,
        status_code: int,
        headers: Mapping[str, str],
        places: Places,
        reader: int,
        given: Callable[[int, int], bool],
    ) -> None:
        length = {"Content-Length": str(part.end - part.start)}
        super().__init__(None, status_code, {**headers, **length}, "application/octet-stream")
        self._part = part
        self._places = places
        self._reader = reader
        self._given = given

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        with self._places.taken(self._reader):
            async with self._places.turn:
                descriptor = _open(self._part)
                await asyncio.sleep(0)
            gone = asyncio.create_task(_gone(receive))
            try:
                await self._send(descriptor, send, gone)
            finally:
                gone.cancel()
                os.close(descriptor)

    def _chunk(self) -> int:
        return CHUNK_OF_FEW if len(self._places) <= FEW else CHUNK

    async def _send(self, descriptor: int, send: Send, gone: "asyncio.Task[None]") -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        at, end = self._part.start, self._part.end
        with suppress(TimeoutError):
            while at < end:
                async with asyncio.timeout(STALLED_S):
                    # Nothing is read before what was written last has left, or most of it.
                    await send(_READY)
                if gone.done():
                    return
                async with self._places.turn:
                    data = await _read(descriptor, self._part.path, at, min(self._chunk(), end - at))
                    # Counted before it leaves: the module's word that it has it may overtake us.
                    if not data or not self._given(at, len(data)):
                        return
                    at += len(data)
                    await send({"type": "http.response.body", "body": data, "more_body": at < end})
                    await asyncio.sleep(0)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _open(part: Part) -> int:
    try:
        descriptor = os.open(part.path, os.O_RDONLY)
    except OSError as error:
        raise Unavailable("The file cannot be read: %(strerror)s.", strerror=error.strerror) from None
    if os.fstat(descriptor).st_size != part.size:
        os.close(descriptor)
        raise Unavailable("The file is not as long as it should be.")
    return descriptor


async def _read(descriptor: int, path: Path, at: int, length: int) -> bytes | bytearray:
    """From the page cache at once; from a disk in a thread. Nothing when the file has become shorter."""
    if _NOWAIT:
        data = bytearray(length)
        with suppress(OSError):
            if os.preadv(descriptor, [data], at, _NOWAIT) == length:
                return data
    # By its own descriptor: it may go on when nobody waits for it any more.
    return await asyncio.to_thread(_cold, path, at, length)


def _cold(path: Path, at: int, length: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(at)
            return file.read(length) or b""
    except OSError:
        return b""
