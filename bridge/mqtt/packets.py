"""MQTT 3.1.1 packets: cut whole from a buffer, checked strictly, built. Pure: bytes in, values out."""

import re
import struct
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14

Bytes = bytes | bytearray
_TWO = struct.Struct("!H")
_ACK = struct.Struct("!BBH")

# The first bytes a client may send: each packet type with the flags the standard fixes for it. A PUBLISH
# may not have QoS 3, nor DUP with QoS 0.
_PUBLISH_FLAGS = [dup | qos << 1 | retain for dup in (0, 8) for qos in (0, 1, 2) for retain in (0, 1)]
FIRST_BYTES = frozenset(
    [kind << 4 for kind in (CONNECT, PUBACK, PUBREC, PUBCOMP, PINGREQ, DISCONNECT)]
    + [kind << 4 | 2 for kind in (PUBREL, SUBSCRIBE, UNSUBSCRIBE)]
    + [PUBLISH << 4 | flags for flags in _PUBLISH_FLAGS if not (flags & 8 and not flags & 6)]
)

PINGRESP_BYTES = bytes((PINGRESP << 4, 0))
_PUBLISH_FIRST = PUBLISH << 4
_WILDCARD = re.compile("[+#]")
_MALFORMED_FILTER = re.compile(r"[^/][+#]|\+[^/]|#.", re.DOTALL)


class Malformed(Exception):
    """A packet that breaks MQTT 3.1.1; the text says how. The connection ends."""


class UnsupportedProtocol(Malformed):
    """A CONNECT of another version of the protocol; it is answered with return code 1."""


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    client_id: str
    clean: bool
    keepalive_s: int
    will: Will | None
    username: str | None
    password: bytes | None = field(repr=False)


def cut(buffer: Bytes, start: int, limit: int) -> tuple[int, int, int] | None:
    """The packet at `start`: (first byte, start of its body, end). None while it is not whole.

    Raises Malformed as soon as the header shows it: for the first byte, a length of over four bytes, or a
    declared length over `limit`, before any of the body is there.
    """
    size = len(buffer)
    if start >= size:
        return None
    first = buffer[start]
    if first not in FIRST_BYTES:
        raise Malformed(f"a client may not send a packet that starts with 0x{first:02x}")
    length = 0
    for at in range(start + 1, min(start + 5, size)):
        byte = buffer[at]
        length |= (byte & 0x7F) << (7 * (at - start - 1))
        if byte < 0x80:
            break
    else:
        if size >= start + 5:
            raise Malformed("the remaining length takes more than four bytes")
        return None
    if length > limit:
        raise Malformed(f"a packet of {length} bytes; {limit} is the limit")
    end = at + 1 + length
    return (first, at + 1, end) if end <= size else None


def _text(body: Bytes, at: int) -> tuple[str, int]:
    raw, end = _binary(body, at)
    return decoded(raw), end


def _binary(body: Bytes, at: int) -> tuple[bytes, int]:
    if at + 2 > len(body):
        raise Malformed("a string is cut off")
    end = at + 2 + (body[at] << 8 | body[at + 1])
    if end > len(body):
        raise Malformed("a string is cut off")
    return bytes(body[at + 2 : end]), end


def decoded(raw: Bytes) -> str:
    """UTF-8 as MQTT wants it: well-formed, no surrogates, no NUL."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a string is not UTF-8") from error
    if "\0" in text:
        raise Malformed("a string holds NUL")
    return text


def topic_name(raw: Bytes) -> str:
    """A topic to publish to: not empty, no wildcards."""
    if not raw:
        raise Malformed("an empty topic name")
    topic = decoded(raw)
    if _WILDCARD.search(topic):
        raise Malformed("a topic name with a wildcard")
    return topic


def topic_filter(text: str) -> str:
    """A filter: not empty, `+` alone in its level, `#` alone in the last."""
    if not text:
        raise Malformed("an empty topic filter")
    if _MALFORMED_FILTER.search(text):
        raise Malformed("a wildcard that does not fill its level, or # before the end")
    return text


def packet_id(body: Bytes) -> int:
    """The id in an acknowledgement, which holds nothing else."""
    if len(body) != 2:
        raise Malformed("an acknowledgement is two bytes long")
    return _id(body, 0)


def _id(body: Bytes, at: int) -> int:
    if at + 2 > len(body):
        raise Malformed("the packet id is missing")
    number = body[at] << 8 | body[at + 1]
    if not number:
        raise Malformed("packet id 0")
    return number


def publish_parts(first: int, body: Bytes) -> tuple[bytes, int, bytes]:
    """(raw topic, packet id or 0, payload) of a PUBLISH; the topic is for `topic_name` to check."""
    topic, at = _binary(body, 0)
    if not first & 6:
        return topic, 0, bytes(body[at:])
    return topic, _id(body, at), bytes(body[at + 2 :])


def subscribe_parts(body: Bytes) -> tuple[int, list[tuple[str, int]]]:
    """(packet id, [(filter, QoS)]); at least one."""
    number, at = _id(body, 0), 2
    asked: list[tuple[str, int]] = []
    while at < len(body) or not asked:
        text, at = _text(body, at)
        if at >= len(body) or body[at] > 2:
            raise Malformed("a requested QoS is missing or not 0, 1 or 2")
        asked.append((topic_filter(text), body[at]))
        at += 1
    return number, asked


def unsubscribe_parts(body: Bytes) -> tuple[int, list[str]]:
    """(packet id, [filter]); at least one."""
    number, at = _id(body, 0), 2
    filters: list[str] = []
    while at < len(body) or not filters:
        text, at = _text(body, at)
        filters.append(topic_filter(text))
    return number, filters


def connect(body: Bytes) -> Connect:
    """A CONNECT of MQTT 3.1.1. Raises UnsupportedProtocol for its other versions, else Malformed."""
    protocol, at = _binary(body, 0)
    if at >= len(body):
        raise Malformed("CONNECT ends before its flags")
    _check_protocol(protocol, body[at])
    if at + 4 > len(body):
        raise Malformed("CONNECT ends before its keep alive")
    flags = body[at + 1]
    _check_connect_flags(flags)
    keepalive_s = body[at + 2] << 8 | body[at + 3]
    client_id, at = _text(body, at + 4)
    will = username = password = None
    if flags & 0x04:
        will, at = _will(flags, body, at)
    if flags & 0x80:
        username, at = _text(body, at)
    if flags & 0x40:
        password, at = _binary(body, at)
    if at != len(body):
        raise Malformed("CONNECT holds more than it declares")
    return Connect(client_id, bool(flags & 2), keepalive_s, will, username, password)


def _check_protocol(name: bytes, level: int) -> None:
    if name == b"MQTT" and level == 4:
        return
    if name == b"MQTT" or (name == b"MQIsdp" and level == 3):
        raise UnsupportedProtocol(f"version {level} of the protocol")
    raise Malformed("not the MQTT protocol")


def _check_connect_flags(flags: int) -> None:
    if flags & 0x01:
        raise Malformed("the reserved CONNECT flag is set")
    if flags & 0x18 == 0x18:
        raise Malformed("a will with QoS 3")
    if not flags & 0x04 and flags & 0x38:
        raise Malformed("will QoS or retain without a will")
    if flags & 0x40 and not flags & 0x80:
        raise Malformed("a password without a user name")


def _will(flags: int, body: Bytes, at: int) -> tuple[Will, int]:
    topic, at = _binary(body, at)
    payload, at = _binary(body, at)
    return Will(topic_name(topic), payload, flags >> 3 & 3, bool(flags & 0x20)), at


def ack(kind: int, number: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return _ACK.pack(kind << 4 | (2 if kind == PUBREL else 0), 2, number)


def connack(code: int, present: bool = False) -> bytes:
    return bytes((CONNACK << 4, 2, present, code))


def publish(topic: str, payload: bytes, qos: int, retain: bool, dup: bool = False, number: int = 0) -> bytes:
    name = topic.encode()
    body = _TWO.pack(len(name)) + name + (_TWO.pack(number) if qos else b"") + payload
    return framed(_PUBLISH_FIRST | dup << 3 | qos << 1 | retain, body)


def plain_connect(client_id: str, clean: bool) -> bytes:
    """A CONNECT without keep alive, will or credentials: what goes on behind the door."""
    name = client_id.encode()
    return framed(CONNECT << 4, b"\0\4MQTT\4" + bytes((clean << 1, 0, 0)) + _TWO.pack(len(name)) + name)


def framed(first: int, body: bytes) -> bytes:
    length, header = len(body), bytearray((first,))
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + body
