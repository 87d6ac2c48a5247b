"""MQTT 3.1.1 packets as a client sends and receives them, pure; what both sides build is the broker's."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.mqtt.packets import CONNECT, DISCONNECT, PINGREQ, SUBSCRIBE, Bytes, Malformed, framed

PINGREQ_BYTES = bytes((PINGREQ << 4, 0))
DISCONNECT_BYTES = bytes((DISCONNECT << 4, 0))
_USER_AND_PASSWORD, _WILL, _CLEAN = 0xC0, 0x2C, 0x02
MAX_PACKET = 1 << 20


@dataclass(frozen=True, slots=True)
class Login:
    """What a CONNECT says. Without a token: a stranger. The will is QoS 1 and retained."""

    client_id: str
    token: str = field(default="", repr=False)
    clean: bool = True
    keepalive_s: int = 60
    will_topic: str = ""
    will: bytes = b""


def connect(login: Login) -> bytes:
    flags = login.clean and _CLEAN
    parts = [_text(login.client_id)]
    if login.will_topic:
        flags |= _WILL
        parts += [_text(login.will_topic), _sized(login.will)]
    if login.token:
        flags |= _USER_AND_PASSWORD
        parts += [_text(login.client_id), _text(login.token)]
    head = _text("MQTT") + bytes((4, flags)) + login.keepalive_s.to_bytes(2)
    return framed(CONNECT << 4, head + b"".join(parts))


def subscribe(number: int, filters: list[str], qos: int = 1) -> bytes:
    body = b"".join(_text(text) + bytes((qos,)) for text in filters)
    return framed(SUBSCRIBE << 4 | 2, number.to_bytes(2) + body)


def _text(text: str) -> bytes:
    return _sized(text.encode())


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(2) + raw


def whole(buffer: Bytes) -> Iterator[tuple[int, bytes, int]]:
    """Every whole packet in the buffer: (first byte, body, where it ends). Raises Malformed."""
    at = 0
    while (found := _header(buffer, at)) is not None:
        start, length = found
        if start + length > len(buffer):
            return
        yield buffer[at], bytes(buffer[start : start + length]), start + length
        at = start + length


def _header(buffer: Bytes, at: int) -> tuple[int, int] | None:
    """(start of the body, its length) of the packet at `at`; None while its header is not there."""
    length = 0
    for place in range(at + 1, min(at + 5, len(buffer))):
        length |= (buffer[place] & 0x7F) << (7 * (place - at - 1))
        if buffer[place] < 0x80:
            if length > MAX_PACKET:
                raise Malformed(f"a packet of {length} bytes")
            return place + 1, length
    if len(buffer) >= at + 5:
        raise Malformed("a length of more than four bytes")
    return None
