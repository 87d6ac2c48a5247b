"""One client's connection: bytes to whole packets, packets to what they ask for, in order."""

import asyncio
import logging
import socket
from enum import Enum, auto
from typing import Any, Protocol

from bridge.mqtt.adapters import DoorReader
from bridge.mqtt.dialog import Dialog
from bridge.mqtt.exchange import Exchange
from bridge.mqtt.limits import Bucket, Census, Limits
from bridge.mqtt.packets import (
    CONNECT,
    Connect,
    Malformed,
    UnsupportedProtocol,
    Will,
    connack,
    connect,
    cut,
)
from bridge.mqtt.session import Session

log = logging.getLogger(__name__)
UNSUPPORTED = 1
ROOMY_BYTES = 256 * 1024
RETRY_S = 0.02
PACKET_COST_BYTES = 4096
# After so many the others have their turn.
PACKETS_PER_TURN = 100
# A dead peer of a client without keep alive is noticed by TCP.
TCP_IDLE_S = 60


class Owner(Protocol):
    """What a connection needs of the door."""

    limits: Limits
    census: Census
    exchange: Exchange

    def entered(self, connection: "Connection") -> None: ...

    def admit(self, connection: "Connection", asked: Connect) -> None:
        """Decide a CONNECT: `accept` or `refuse` the connection."""

    def ended(self, connection: "Connection", reason: str) -> None: ...

    def gone(self, connection: "Connection") -> None: ...


class Stage(Enum):
    NEW = auto()  # no CONNECT yet
    ADMITTED = auto()  # accepted; the broker behind the door is about to say CONNACK
    OPEN = auto()
    CLOSED = auto()


class Connection(asyncio.Protocol):
    """`silent_since_s` is the loop's time of the last whole packet (or of the connection, before any)."""

    __slots__ = (
        "_bucket",
        "_counted",
        "_held",
        "_loop",
        "_owner",
        "_paused",
        "_rest",
        "_retry",
        "_transport",
        "address",
        "announced",
        "dialog",
        "keepalive_s",
        "reader",
        "session",
        "silent_since_s",
        "stage",
        "stranger",
        "will",
    )

    def __init__(self, owner: Owner, counted: bool = False) -> None:
        """`counted`: the census knows of it already."""
        self._owner = owner
        self._counted = counted
        self._transport: Any = None
        self._rest = bytearray()
        self._paused = False
        self._held = False
        self._retry = False
        self.stage = Stage.NEW
        self.stranger = True
        self.announced = False
        self.address = ""
        self.keepalive_s = 0
        self.will: Will | None = None
        self.session: Session | None = None
        self.dialog: Dialog | None = None
        self.reader: DoorReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self.silent_since_s = self._loop.time()
        self.address = str((transport.get_extra_info("peername") or ("unknown",))[0])
        if not (self._counted or self._owner.census.enter(self.address)):
            self.stage = Stage.CLOSED
            self._owner.exchange.counts.connections_refused += 1
            self._transport.abort()
            return
        limits = self._owner.limits
        self._bucket = Bucket(limits.packets_per_s, limits.packets_burst)
        self._transport.set_write_buffer_limits(high=limits.write_buffer_bytes)
        _watch(transport.get_extra_info("socket"))
        self._owner.entered(self)

    @property
    def made(self) -> bool:
        return self._transport is not None

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("will")
        self._owner.gone(self)

    def pause_writing(self) -> None:
        """More waits for this client than it may keep waiting."""
        self._owner.exchange.counts.too_slow += 1
        self._transport.abort()
        self.end("will")

    def data_received(self, data: bytes) -> None:
        if self.stage is Stage.CLOSED:
            return
        if self._rest:
            self._rest += data
            used = self._packets(self._rest)
            del self._rest[:used]
        else:
            used = self._packets(data)
            if used < len(data):
                self._rest = bytearray(data[used:])

    def _packets(self, buffer: bytes | bytearray) -> int:
        """Deal with the whole packets in the buffer; how many bytes they took."""
        at = count = 0
        try:
            while self.stage in (Stage.NEW, Stage.OPEN) and not (self._paused or self._held):
                if count == PACKETS_PER_TURN:
                    self._pause()
                    self._loop.call_soon(self._resume)
                    break
                count += 1
                limits = self._owner.limits
                limit = limits.packet_bytes if self.stage is Stage.OPEN else limits.connect_bytes
                packet = cut(buffer, at, limit)
                if packet is None:
                    break
                first, start, at = packet
                self.silent_since_s = self._loop.time()
                self._packet(first, bytes(buffer[start:at]))
        except Malformed as error:
            self._violated(error)
        except Exception:
            self._owner.exchange.counts.errors += 1
            log.exception("A packet from %s could not be dealt with", self.address)
            self.end("will")
        return at if self.stage is not Stage.CLOSED else len(buffer)

    def _violated(self, error: Malformed) -> None:
        self._owner.exchange.counts.malformed += 1
        log.debug("Closed a connection from %s: %s", self.address, error)
        if isinstance(error, UnsupportedProtocol):
            self.send(connack(UNSUPPORTED))
        self.end("will")

    def _packet(self, first: int, body: bytes) -> None:
        if self.stage is Stage.NEW:
            if first >> 4 != CONNECT:
                raise Malformed("the first packet is not CONNECT")
            self._pause()
            self._owner.admit(self, connect(body))
        elif self.dialog is not None:
            self._held = self.dialog.packet(first, body)
            if self.stage is not Stage.CLOSED:
                self._moderate(body)

    def _moderate(self, body: bytes) -> None:
        """Read on later, when this client asks for more than its share."""
        wait_s = self._bucket.take(1 + len(body) / PACKET_COST_BYTES)
        if wait_s:
            self._owner.exchange.counts.throttled += 1
            self._pause()
            self._loop.call_later(wait_s, self._resume)
        elif self._busy():
            self._pause()
            self._loop.call_later(RETRY_S, self._resume)

    def _busy(self) -> bool:
        """Whether so much of this client's is under way that it must wait."""
        return self.dialog is not None and self.dialog.busy(self._owner.limits.unacknowledged)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self.stage is Stage.CLOSED or not self._paused:
            return
        if self._busy():
            self._loop.call_later(RETRY_S, self._resume)
            return
        self._paused = False
        self.silent_since_s = self._loop.time()
        self._transport.resume_reading()
        self.data_received(b"")

    def refuse(self, code: int) -> None:
        self.send(connack(code))
        self.end("goodbye")

    def accept(self, session: Session, reader: DoorReader, asked: Connect) -> None:
        """Admitted; goes on when the broker behind the door has said CONNACK (`opened`)."""
        self.stage = Stage.ADMITTED
        self.session = session
        self.reader = reader
        self.keepalive_s = asked.keepalive_s
        self.will = asked.will

    def opened(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.stage = Stage.OPEN
        self._resume()

    def handled(self) -> None:
        """The broker behind the door has dealt with a packet that held up those after it."""
        self._held = False
        self.data_received(b"")

    @property
    def overdue_s(self) -> float:
        """How long the next whole packet may take after the last; 0 is for ever."""
        if self.stage is Stage.OPEN:
            return 0 if self._paused else self.keepalive_s * 1.5
        return self._owner.limits.connect_within_s

    def send(self, data: bytes) -> None:
        if self.stage is not Stage.CLOSED and not self._transport.is_closing():
            self._transport.write(data)

    def roomy(self) -> bool:
        if self._transport.get_write_buffer_size() < ROOMY_BYTES:
            return True
        if not self._retry:
            self._retry = True
            self._loop.call_later(RETRY_S, self._pump_again)
        return False

    def _pump_again(self) -> None:
        self._retry = False
        if self.session is not None and self.session.wire is self:
            self.session.outbox.pump()

    def end(self, reason: str) -> None:
        """Close, once; what was written still leaves. Reason as `Receiver.disconnected` knows it."""
        if self.stage is Stage.CLOSED:
            return
        self.stage = Stage.CLOSED
        self._rest = bytearray()
        self._transport.close()
        if self.reader is not None:
            self.reader.feed_eof(discard=reason == "revoked")
        self._owner.ended(self, reason)

    def abort(self) -> None:
        self._transport.abort()


def _watch(sock: Any) -> None:
    """Let TCP ask a silent peer whether it is still there."""
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, TCP_IDLE_S)
