"""What an accepted client says, packet by packet."""

from collections.abc import Callable
from typing import Protocol

from bridge.mqtt.adapters import DoorReader
from bridge.mqtt.exchange import Exchange
from bridge.mqtt.incoming import Incoming, Pending
from bridge.mqtt.link import Receiver
from bridge.mqtt.outbox import Outbox
from bridge.mqtt.packets import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP_BYTES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Malformed,
    framed,
    packet_id,
    subscribe_parts,
    unsubscribe_parts,
)

# So much may wait for the broker behind the door before the client is read no further.
BEHIND_BYTES = 512 * 1024


class Line(Protocol):
    """The connection, as far as a dialog uses it."""

    address: str

    def send(self, data: bytes) -> None: ...

    def end(self, reason: str) -> None: ...


class Dialog:
    __slots__ = ("_end", "_incoming", "_outbox", "_reader", "_send")

    def __init__(
        self,
        exchange: Exchange,
        receiver: Receiver,
        reader: DoorReader,
        line: Line,
    ) -> None:
        self._reader = reader
        self._outbox: Outbox = reader.session.outbox
        self._send = line.send
        self._end = line.end
        self._incoming = Incoming(exchange, receiver, reader.session, line.address, line.send, self._forward)

    def packet(self, first: int, body: bytes) -> bool:
        """Deal with a packet. True when those after it must wait until `DoorReader.handled` is called.

        Raises Malformed.
        """
        if first >> 4 == PUBLISH:
            self._incoming.publish(first, body)
            return False
        _HANDLERS[first >> 4](self, body)
        return first >> 4 in (SUBSCRIBE, UNSUBSCRIBE)

    def busy(self, unacknowledged: int) -> bool:
        return self._incoming.unacknowledged > unacknowledged or self._reader.waiting_bytes > BEHIND_BYTES

    def reconsider(self) -> None:
        """Rights have changed."""
        self._incoming.reconsider()

    def _forward(self, first: int, body: bytes, pending: Pending | None) -> None:
        """A PUBLISH on its way to other sessions."""
        self._reader.tickets.append(pending)
        self._reader.feed(framed(first, body))

    def _release(self, body: bytes) -> None:
        self._incoming.release(packet_id(body))

    def _acknowledged(self, body: bytes) -> None:
        self._outbox.acknowledged(packet_id(body))

    def _received(self, body: bytes) -> None:
        self._outbox.received(packet_id(body))

    def _completed(self, body: bytes) -> None:
        self._outbox.completed(packet_id(body))

    def _subscribe(self, body: bytes) -> None:
        subscribe_parts(body)
        self._reader.feed(framed(SUBSCRIBE << 4 | 2, body))

    def _unsubscribe(self, body: bytes) -> None:
        unsubscribe_parts(body)
        self._reader.feed(framed(UNSUBSCRIBE << 4 | 2, body))

    def _ping(self, body: bytes) -> None:
        if body:
            raise Malformed("PINGREQ with a body")
        self._send(PINGRESP_BYTES)

    def _goodbye(self, body: bytes) -> None:
        if body:
            raise Malformed("DISCONNECT with a body")
        self._end("goodbye")

    def _second_connect(self, body: bytes) -> None:
        raise Malformed("a second CONNECT")


_HANDLERS: dict[int, Callable[[Dialog, bytes], None]] = {
    CONNECT: Dialog._second_connect,
    PUBACK: Dialog._acknowledged,
    PUBREC: Dialog._received,
    PUBREL: Dialog._release,
    PUBCOMP: Dialog._completed,
    SUBSCRIBE: Dialog._subscribe,
    UNSUBSCRIBE: Dialog._unsubscribe,
    PINGREQ: Dialog._ping,
    DISCONNECT: Dialog._goodbye,
}
