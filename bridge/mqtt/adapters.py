"""The two ends amqtt holds of a connection: packets the door let through, and bytes it hands back."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from amqtt.adapters import ReaderAdapter, WriterAdapter

from bridge.mqtt.incoming import Pending
from bridge.mqtt.session import Session


class DoorReader(ReaderAdapter):
    """Checked packets in order; `tickets` are the acknowledgements of the PUBLISH packets among them."""

    __slots__ = (
        "_buffer",
        "_ended",
        "_waiter",
        "attached",
        "handled",
        "present",
        "session",
        "subscribed",
        "tickets",
    )

    def __init__(
        self,
        session: Session,
        present: bool,
        attached: Callable[[], None],
        subscribed: Callable[[list[str]], None],
        handled: Callable[[], None],
    ) -> None:
        self.session = session
        self.present = present
        self.attached = attached
        self.subscribed = subscribed
        self.handled = handled
        self.tickets: deque[Pending | None] = deque()
        self._buffer = bytearray()
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, packet: bytes) -> None:
        self._buffer += packet
        self._wake()

    def feed_eof(self, discard: bool = False) -> None:
        """The client is gone; what it sent before still counts, unless `discard`."""
        self._ended = True
        if discard:
            self._buffer.clear()
        self._wake()

    @property
    def waiting_bytes(self) -> int:
        return len(self._buffer)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, n: int = -1) -> bytes:
        while len(self._buffer) < n:
            if self._ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._waiter = None
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken


class DoorWriter(WriterAdapter):
    __slots__ = ("_address", "_send")

    def __init__(self, send: Callable[[bytes], None], address: str) -> None:
        self._send = send
        self._address = address

    def write(self, data: bytes) -> None:
        self._send(bytes(data))

    async def drain(self) -> None:
        """The door bounds its write buffer itself."""

    def get_peer_info(self) -> tuple[str, int] | None:
        return self._address, 0

    def get_ssl_info(self) -> ssl.SSLObject | None:
        return None

    async def close(self) -> None:
        """The door closes its sockets itself."""
