"""A small MQTT client for tests: it says exactly what it is told to, and shows every packet it gets."""

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import NamedTuple

PATIENCE_S = 20

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)


def word(number):
    return struct.pack("!H", number)


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return word(len(raw)) + raw


def packet(first, body=b""):
    length, head = len(body), bytearray((first,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes(head) + bytes((length,)) + body


def connect(
    client_id="c", *, clean=True, keepalive=0, will=None, user=None, password=None, level=4, name="MQTT"
):
    """`will` is (topic, payload, QoS, retain)."""
    flags, rest = clean << 1, text(client_id)
    if will:
        flags |= 4 | will[2] << 3 | will[3] << 5
        rest += text(will[0]) + text(will[1])
    if user is not None:
        flags |= 0x80
        rest += text(user)
    if password is not None:
        flags |= 0x40
        rest += text(password)
    return packet(0x10, text(name) + bytes((level, flags)) + word(keepalive) + rest)


def publish(topic, payload=b"", qos=0, number=0, *, retain=False, dup=False):
    body = text(topic) + (word(number) if qos else b"") + payload
    return packet(0x30 | dup << 3 | qos << 1 | retain, body)


def subscribe(number, *filters):
    return packet(0x82, word(number) + b"".join(text(name) + bytes((qos,)) for name, qos in filters))


def unsubscribe(number, *filters):
    return packet(0xA2, word(number) + b"".join(map(text, filters)))


def ack(kind, number):
    return packet(kind << 4 | (2 if kind == PUBREL else 0), word(number))


PING = packet(0xC0)
GOODBYE = packet(0xE0)


class Packet(NamedTuple):
    first: int
    body: bytes

    @property
    def kind(self):
        return self.first >> 4

    @property
    def number(self):
        return int.from_bytes(self.body[:2], "big")


class Message(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    number: int


def message(got):
    """What a PUBLISH says."""
    assert got.kind == PUBLISH, got
    size = int.from_bytes(got.body[:2], "big")
    qos = got.first >> 1 & 3
    at = 2 + size
    number = int.from_bytes(got.body[at : at + 2], "big") if qos else 0
    payload = got.body[at + 2 :] if qos else got.body[at:]
    return Message(got.body[2:at].decode(), payload, qos, bool(got.first & 1), bool(got.first & 8), number)


class Client:
    """Answers nothing by itself. `read` gives the next packet, None when the connection is closed."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    def send(self, *packets):
        self.writer.write(b"".join(packets))

    async def read(self, within_s=PATIENCE_S):
        return await asyncio.wait_for(self._read(), within_s)

    async def _read(self):
        try:
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return Packet(first, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def message(self):
        return message(await self.read())

    async def closed(self):
        """Whether the broker closes, whatever it says before."""
        while await self.read() is not None:
            pass
        return True

    async def ask(self, *packets):
        """Send, and the next packet."""
        self.send(*packets)
        return await self.read()

    async def quiet(self):
        """Nothing was said that is not read: the answer to a ping is the next packet."""
        return (await self.ask(PING)).kind == PINGRESP

    def cut(self):
        self.writer.transport.abort()

    async def leave(self):
        self.send(GOODBYE)
        await self.closed()
        self.writer.close()


async def dial(port):
    return Client(*await asyncio.open_connection("127.0.0.1", port))


@asynccontextmanager
async def client(port, client_id="c", *, code=0, present=False, **options):
    """Connected; the CONNACK is checked."""
    one = await dial(port)
    try:
        got = await one.ask(connect(client_id, **options))
        assert got == Packet(0x20, bytes((present, code))), got
        yield one
    finally:
        one.writer.close()


async def until(condition, within_s=PATIENCE_S):
    """Wait for something without an event of its own."""
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)
