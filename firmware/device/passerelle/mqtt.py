"""MQTT 3.1.1 over asyncio, only the packets a module needs: QoS 0 and 1, one socket, no state of its own."""

import asyncio

from .board import ticks_diff, ticks_ms

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
CONNECT_TIMEOUT_S = 15
CLOSE_TIMEOUT_S = 2
MOST_BYTES = 8192  # of one packet; the rest of a longer one is thrown away so that a small board lives on

Timeout = asyncio.TimeoutError  # CPython has it among its built-in names, MicroPython only here


class Broken(Exception):
    """This connection is of no more use; the message says why."""


class Refused(Exception):
    """The broker said no to CONNECT; `code` is its return code."""

    def __init__(self, code):
        super().__init__(f"refused with code {code}")
        self.code = code


def _text(value):
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(kind, flags, body):
    head = bytearray((kind << 4 | flags,))
    length = len(body)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def connect(client_id, keepalive_s, clean=True, user=None, password=None, will=None):
    """`will` is (topic, payload), sent by the broker as QoS 1, retained, when we are gone without goodbye."""
    flags = (2 if clean else 0) | (0x2C if will else 0) | (0xC0 if user else 0)
    parts = [_text("MQTT"), bytes((4, flags)), keepalive_s.to_bytes(2, "big"), _text(client_id)]
    parts += [_text(part) for part in will or ()]
    parts += [_text(part) for part in ((user, password) if user else ())]
    return packet(CONNECT, 0, b"".join(parts))


def publish(topic, payload, pid=0, retain=False, dup=False):
    """QoS 1 with a packet identifier, QoS 0 without."""
    flags = (8 if dup else 0) | (2 if pid else 0) | (1 if retain else 0)
    return packet(PUBLISH, flags, _text(topic) + (pid.to_bytes(2, "big") if pid else b"") + payload)


def subscribe(topic_filter, pid):
    return packet(SUBSCRIBE, 2, pid.to_bytes(2, "big") + _text(topic_filter) + b"\1")


def acknowledge(pid):
    return packet(PUBACK, 0, pid.to_bytes(2, "big"))


def received(flags, body):
    """A PUBLISH taken apart: (topic, payload, packet identifier or 0)."""
    end = 2 + int.from_bytes(body[:2], "big")
    start = end + (2 if flags & 6 else 0)
    if flags & 6 > 2 or start > len(body):
        raise Broken("the broker sent a message that makes no sense")
    return str(body[2:end], "utf-8"), body[start:], int.from_bytes(body[end:start], "big")


class Connection:
    """One socket to the broker. Any task may `send`; one task reads."""

    def __init__(self, host, port, tls=None):
        self._host = host
        self._port = port
        self._tls = tls
        self._reader = self._writer = None
        self._lock = asyncio.Lock()  # two tasks that drain one stream get in each other's way
        self._heard_ms = self._said_ms = 0

    async def open(self, hello):
        """Connect and log in with a CONNECT packet; Refused when the broker does not want us."""
        await asyncio.wait_for(self._open(hello), CONNECT_TIMEOUT_S)

    async def _open(self, hello):
        if self._tls:
            opening = asyncio.open_connection(
                self._host, self._port, ssl=self._tls, server_hostname=self._host
            )
        else:
            opening = asyncio.open_connection(self._host, self._port)
        self._reader, self._writer = await opening
        await self.send(hello)
        kind, _, body = await self.read()
        if kind != CONNACK or len(body) != 2:
            raise Broken("this is not an MQTT broker")
        if body[1]:
            raise Refused(body[1])

    async def send(self, data):
        async with self._lock:
            self._said_ms = ticks_ms()
            self._writer.write(data)
            await self._writer.drain()

    async def read(self):
        """The next packet: (kind, flags, body). A body over MOST_BYTES is cut short."""
        first = (await self._reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
            if shift > 21:
                raise Broken("the broker sent a packet without end")
        body = await self._reader.readexactly(min(length, MOST_BYTES))
        if length > MOST_BYTES:
            await self._throw_away(length - MOST_BYTES)
        self._heard_ms = ticks_ms()
        return first >> 4, first & 15, body

    async def _throw_away(self, length):
        while length:
            length -= len(await self._reader.readexactly(min(length, 512)))

    async def watch(self, keepalive_s):
        """Ping when we have been silent; raise Broken when the broker has been (a half-open connection)."""
        while True:
            await asyncio.sleep(keepalive_s / 8)
            now = ticks_ms()
            if ticks_diff(now, self._heard_ms) > keepalive_s * 1000:
                raise Broken("nothing heard for too long")
            silent_ms = max(ticks_diff(now, self._heard_ms), ticks_diff(now, self._said_ms))
            if silent_ms > keepalive_s * 400 and not self._lock.locked():
                await self.send(packet(PINGREQ, 0, b""))

    async def close(self):
        if self._writer is None:
            return
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT_S)
        except Timeout:  # only CPython waits for a peer that no longer answers
            self._writer.transport.abort()
        except OSError:  # what was to be closed is broken already
            return
