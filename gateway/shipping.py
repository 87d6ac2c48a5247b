"""Audit rows as JSON lines over TCP, for Logstash and the like: in order, and each at least once.

The database is the queue. The cursor moves over a row once the receiver's machine has had it for a while on
a living connection; after a broken one all later rows are sent again, and `number` tells duplicates.
"""

import asyncio
import fcntl
import logging
import secrets
import socket
import struct
import termios
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from urllib.parse import urlsplit

import msgspec
from peewee import fn

from gateway.core.core import Core
from gateway.storage.models import AuditRow, SettingRow, upsert

log = logging.getLogger(__name__)
KEY = "audit.shipped"
PAGE = 500
MOST_UNSETTLED = 50_000
LOOK_S = 1.0
HURRY_S = 0.05
# What a machine took this long ago, its program has read; if that is killed earlier, it gets it again.
SETTLE_S = 30.0
STUCK_S = 60.0
CONNECT_S = 10.0
BACK_OFF_S = (1.0, 60.0)
PAGE_BYTES = 1_000_000
Line = tuple[int, bytes]
_CHANCE = secrets.SystemRandom()


class Wire:
    """One connection: what was sent, and how far it can be taken for received."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._socket: socket.socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._ended = asyncio.get_running_loop().create_task(_end_of(reader))
        # How far each row goes, and when how much was taken.
        self._sent: deque[tuple[int, int]] = deque()
        self._taken: deque[tuple[float, int]] = deque([(0.0, 0)])
        self._progress_s = monotonic()
        self._total = 0
        self._settled = 0

    @property
    def has_room(self) -> bool:
        return self._transport.get_write_buffer_size() == 0 and len(self._sent) < MOST_UNSETTLED

    def send(self, lines: list[Line]) -> None:
        for number, line in lines:
            self._total += len(line)
            self._sent.append((self._total, number))
        self._transport.write(b"".join(line for _, line in lines))

    def settled(self, now_s: float) -> int:
        """The last row that the receiver's machine has had for a while; 0: none yet.

        Raises OSError when the connection has ended or takes nothing any more.
        """
        if self._transport.is_closing():
            raise ConnectionResetError("the connection was lost")
        taken = self._total - self._transport.get_write_buffer_size() - _unacknowledged(self._socket)
        if taken > self._taken[-1][1]:
            self._taken.append((now_s, taken))
            self._progress_s = now_s
        elif taken == self._total:
            self._progress_s = now_s
        elif now_s - self._progress_s > STUCK_S:
            raise TimeoutError(f"it took nothing for {STUCK_S:.0f} s")
        while len(self._taken) > 1 and self._taken[1][0] <= now_s - SETTLE_S:
            self._taken.popleft()
        while self._sent and self._sent[0][0] <= self._taken[0][1]:
            self._settled = self._sent.popleft()[1]
        return self._settled

    async def pause(self, seconds: float) -> None:
        """Wait; raises OSError when the connection has ended."""
        await asyncio.wait([self._ended], timeout=seconds)
        if self._ended.done():
            raise ConnectionResetError(self._ended.result())

    def close(self) -> None:
        self._ended.cancel()
        # What lies here may never leave; what the kernel has leaves without us.
        end = self._transport.abort if self._transport.get_write_buffer_size() else self._transport.close
        end()


class Shipping:
    """Started only where `logstash_url` is set. A receiver that is away, slow or stuck blocks nobody."""

    def __init__(self, core: Core) -> None:
        address = urlsplit(core.settings.logstash_url)
        self._core = core
        self._host, self._port = address.hostname or "", address.port or 0
        self._gateway = core.settings.public_url or socket.gethostname()
        self._cursor = 0
        self._loaded = False
        self._newest = 0
        self._failures = 0
        self._well: bool | None = None

    async def run(self) -> None:
        while True:
            try:
                if not self._loaded:
                    await self._load()
                await self._look()
                async with _connected(self._host, self._port) as wire:
                    await self._ship(wire, self._cursor)
            except OSError as error:
                self._note(well=False, why=str(error) or type(error).__name__)
            except Exception as error:
                # Whatever it is, it must not stop the house.
                self._note(well=False, why=f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._back_off_s())

    async def _ship(self, wire: Wire, sent: int) -> None:
        """For ever, over one connection; ends with an OSError."""
        began_s, goal = monotonic(), self._newest
        while True:
            received = self._settle(wire)
            if received >= goal and monotonic() - began_s >= SETTLE_S:
                self._note(well=True)
            if sent >= self._newest:
                await self._look()
            more = sent < self._newest and wire.has_room
            if more:
                lines = await self._page(sent)
                wire.send(lines)
                sent = lines[-1][0] if lines else self._newest
            await wire.pause(HURRY_S if more else LOOK_S)

    def _settle(self, wire: Wire) -> int:
        """The number of the last row that was received."""
        number = wire.settled(monotonic())
        if number > self._cursor:
            self._cursor = number
            self._core.store.submit(lambda: upsert(SettingRow, [{"key": KEY, "value": str(number)}]))
            self._core.audit.lines_waiting = self._newest - number
        return self._cursor

    async def _load(self) -> None:
        row = await self._core.store.read(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
        self._cursor = msgspec.json.decode(row.value, type=int) if row else 0
        self._loaded = True

    async def _look(self) -> None:
        """How far the trail goes by now, and so how many rows wait."""
        newest = await self._core.store.read(lambda: AuditRow.select(fn.MAX(AuditRow.number)).scalar())
        self._newest = newest or 0
        self._core.audit.lines_waiting = self._newest - self._cursor

    async def _page(self, after: int) -> list[Line]:
        return await self._core.store.read(lambda: _lines(after, self._gateway))

    def _note(self, *, well: bool, why: str = "") -> None:
        """One line in the log for each change, however often it is tried."""
        self._failures = 0 if well else self._failures + 1
        if well is self._well:
            return
        self._well = well
        if well:
            log.info("Audit lines reach %s:%d.", self._host, self._port)
        else:
            log.warning("Audit lines wait, as %s:%d does not take them: %s.", self._host, self._port, why)

    def _back_off_s(self) -> float:
        shortest, longest = BACK_OFF_S
        doubled = shortest * 2.0 ** min(self._failures - 1, 10)
        return min(longest, doubled) * _CHANCE.uniform(0.75, 1.0)


@asynccontextmanager
async def _connected(host: str, port: int) -> AsyncIterator[Wire]:
    async with asyncio.timeout(CONNECT_S):
        reader, writer = await asyncio.open_connection(host, port)
    wire = Wire(reader, writer.transport)
    try:
        yield wire
    finally:
        wire.close()


async def _end_of(reader: asyncio.StreamReader) -> str:
    """Read what nobody asked for until the connection ends; says how it did."""
    try:
        while await reader.read(4096):
            pass
    except OSError as error:
        return str(error)
    return "it closed the connection"


def _unacknowledged(connection: socket.socket) -> int:
    """Bytes in the kernel's hands that the other machine has not acknowledged; 0 where it does not tell."""
    try:
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", answer)[0])
    except OSError:
        return 0


def _lines(after: int, gateway: str) -> list[Line]:
    lines: list[Line] = []
    room = PAGE_BYTES
    query = AuditRow.select().where(AuditRow.number > after).order_by(AuditRow.number).limit(PAGE)
    for row in query.iterator():
        lines.append((row.number, _line(row, gateway)))
        if (room := room - len(lines[-1][1])) <= 0:
            break
    return lines


def _line(row: AuditRow, gateway: str) -> bytes:
    at = datetime.fromtimestamp(row.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    names = ("number", "level", "who", "role", "action", "subject", "address")
    line = {"@timestamp": at.replace("+00:00", "Z")} | {name: getattr(row, name) for name in names}
    line |= {"details": msgspec.Raw(row.details.encode()), "chain": row.chain, "gateway": gateway}
    return msgspec.json.encode(line) + b"\n"
