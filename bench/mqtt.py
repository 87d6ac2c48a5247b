"""MQTT 3.1.1 from the client's side, only what a load needs: packets built beforehand, answers counted."""

import asyncio
import time
from collections.abc import Callable

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"
KEEPALIVE_S = 600
WRITE_BUFFER = 256 * 1024
STAMP_FROM, STAMPS_A_MS = 100_000, 10


def stamp(base: float) -> int:
    """The time since `base` (CLOCK_MONOTONIC, one for all processes) in six digits of 0.1 ms: 90 s long."""
    return STAMP_FROM + int((time.monotonic() - base) * 1000 * STAMPS_A_MS)


def reading(sent: int) -> bytes:
    """A reading of 51 bytes whose values differ from those of the reading before."""
    return b'{"temperature":%d.%02d,"humidity":48.%d,"sent":%06d}' % (
        10 + sent % 80, sent % 100, sent % 10, sent
    )  # fmt: skip


def text(value: str) -> bytes:
    return len(value).to_bytes(2) + value.encode()


def packet(head: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length += bytes([digit | 128 if rest else digit])
        if not rest:
            return bytes([head]) + length + body


def connect(client_id: str, token: str, will_topic: str = "") -> bytes:
    """CONNECT with a clean session; the name is the client id. Without a token: anonymous.

    The will is `offline`, retained, at QoS 1.
    """
    will = text(will_topic) + text("offline") if will_topic else b""
    login = text(client_id) + text(token) if token else b""
    flags = 0x02 | (0x2C if will else 0) | (0xC0 if login else 0)
    head = text("MQTT") + bytes([4, flags]) + KEEPALIVE_S.to_bytes(2)
    return packet(0x10, head + text(client_id) + will + login)


def subscribe(topic_filter: str) -> bytes:
    return packet(0x82, b"\x00\x01" + text(topic_filter) + b"\x01")


def publish(topic: str, payload: bytes, *, qos: int = 0, retain: bool = False, packet_id: int = 0) -> bytes:
    number = packet_id.to_bytes(2) if qos else b""
    return packet(0x30 | qos << 1 | retain, text(topic) + number + payload)


class Connection(asyncio.Protocol):
    """One session. `arrived` counts packets by kind; `expect` waits for a count of one kind."""

    def __init__(self, on_puback: Callable[[int], None] | None = None) -> None:
        self.arrived = [0] * 16
        self.on_puback = on_puback
        self.on_publish: Callable[[bytes], None] | None = None
        self.refused: int | None = None
        self.lost = False
        self._rest = b""
        self._waited: tuple[int, int] = (0, 0)
        self._waiting: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.Transport) -> None:
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        self.transport = transport
        self.write = transport.write

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drain(self) -> None:
        await self._writable.wait()
        if self.lost:
            raise ConnectionError("the server closed a connection under load")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._writable.set()
        if self._waiting and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the server closed a connection"))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, acks = 0, 0
        while (packet_end := self._end(data, at)) <= len(data):
            kind = data[at] >> 4
            if kind == PUBACK:
                acks += 1
            else:
                self._take(kind, data[at:packet_end])
            at = packet_end
        self._rest = data[at:]
        if acks:
            self.arrived[PUBACK] += acks
            if self.on_puback:
                self.on_puback(acks)
        self._look()

    @staticmethod
    def _end(data: bytes, at: int) -> int:
        """Where the packet that starts here ends; beyond the data when it is not all there."""
        length, shift, place = 0, 0, at + 1
        while place < len(data):
            length |= (data[place] & 127) << shift
            place, shift = place + 1, shift + 7
            if not data[place - 1] & 128:
                return place + length
        return len(data) + 1

    def _take(self, kind: int, whole: bytes) -> None:
        self.arrived[kind] += 1
        if kind == CONNACK and whole[3]:
            self.refused = whole[3]
        if kind == PUBLISH:
            self._published(whole)

    def _published(self, whole: bytes) -> None:
        head = next(place for place in range(1, 5) if not whole[place] & 128) + 1
        payload = head + 2 + int.from_bytes(whole[head : head + 2])
        if whole[0] & 0x06:
            self.write(b"\x40\x02" + whole[payload : payload + 2])
            payload += 2
        if self.on_publish:
            self.on_publish(whole[payload:])

    def _look(self) -> None:
        kind, count = self._waited
        if self._waiting and not self._waiting.done() and self.arrived[kind] >= count:
            self._waiting.set_result(None)

    async def expect(self, kind: int, count: int, timeout_s: float = 300) -> None:
        """Until so many packets of a kind have arrived in all."""
        self._waited, self._waiting = (kind, count), asyncio.get_running_loop().create_future()
        if self.lost:
            raise ConnectionError("the server closed a connection")
        self._look()
        async with asyncio.timeout(timeout_s):
            await self._waiting
