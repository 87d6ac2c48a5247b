"""MQTT 3.1.1 packets: builders that can also build wrong ones, and a strict reader of what a server sends."""

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = range(8, 15)
NAMES = (
    "reserved0 CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP "
    "SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT reserved15"
).split()
REQUIRED_FLAGS = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}


class ServerFault(AssertionError):
    """The server itself sent something that the standard forbids."""


@dataclass(frozen=True)
class Connack:
    session_present: bool
    code: int


@dataclass(frozen=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    id: int | None = None


@dataclass(frozen=True)
class Ack:
    """PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK."""

    kind: int
    id: int


@dataclass(frozen=True)
class Suback:
    id: int
    codes: tuple[int, ...]


@dataclass(frozen=True)
class Pingresp:
    pass


Packet = Connack | Publish | Ack | Suback | Pingresp


# --- building


def length(number: int) -> bytes:
    """The remaining length in as few bytes as it needs (2.2.3)."""
    digits = bytearray()
    while True:
        number, digit = divmod(number, 128)
        digits.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(digits)


def packet(kind: int, body: bytes = b"", flags: int | None = None) -> bytes:
    """Any packet; `flags` left out are those that the standard wants."""
    if flags is None:
        flags = REQUIRED_FLAGS.get(kind, 0)
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def field(value: str | bytes) -> bytes:
    """A length-prefixed string; bytes pass as they are, so that wrong UTF-8 can be sent."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return u16(len(data)) + data


@dataclass(frozen=True)
class Will:
    topic: str | bytes
    payload: bytes = b""
    qos: int = 0
    retain: bool = False


def connect(
    client_id: str | bytes,
    *,
    clean: bool = True,
    keepalive: int = 0,
    will: Will | None = None,
    user: str | bytes | None = None,
    password: bytes | None = None,
    name: str | bytes = "MQTT",
    level: int = 4,
    flags: int | None = None,
) -> bytes:
    """A CONNECT; `flags` overrides the byte that follows from the other arguments."""
    made = clean << 1 | (user is not None) << 7 | (password is not None) << 6
    payload = field(client_id)
    if will:
        made |= 4 | will.qos << 3 | will.retain << 5
        payload += field(will.topic) + field(will.payload)
    payload += b"".join(field(part) for part in (user, password) if part is not None)
    head = field(name) + bytes([level, made if flags is None else flags]) + u16(keepalive)
    return packet(CONNECT, head + payload)


def publish(
    topic: str | bytes,
    payload: bytes = b"",
    *,
    qos: int = 0,
    retain: bool = False,
    dup: bool = False,
    id: int | None = None,
) -> bytes:
    ident = b"" if id is None else u16(id)
    return packet(PUBLISH, field(topic) + ident + payload, dup << 3 | qos << 1 | retain)


def ack(kind: int, id: int) -> bytes:
    return packet(kind, u16(id))


def subscribe(id: int, *filters: tuple[str | bytes, int], flags: int = 2) -> bytes:
    body = u16(id) + b"".join(field(topic) + bytes([qos]) for topic, qos in filters)
    return packet(SUBSCRIBE, body, flags)


def unsubscribe(id: int, *filters: str | bytes, flags: int = 2) -> bytes:
    return packet(UNSUBSCRIBE, u16(id) + b"".join(map(field, filters)), flags)


PING = packet(PINGREQ)
BYE = packet(DISCONNECT)


# --- strict reading


def need(good: bool, why: str, data: bytes) -> None:
    if not good:
        raise ServerFault(f"{why}: {data[:64].hex(' ')}")


def cut(buffer: bytes) -> tuple[int, bytes, int] | None:
    """First byte, body and size of the first whole packet in `buffer`, or None when it is not whole."""
    size, shift = 0, 0
    for place in range(1, min(len(buffer), 5)):
        size |= (buffer[place] & 0x7F) << shift
        shift += 7
        if buffer[place] < 0x80:
            need(length(size) == buffer[1 : place + 1], "remaining length longer than it needs to be", buffer)
            end = place + 1 + size
            return (buffer[0], buffer[place + 1 : end], end) if len(buffer) >= end else None
    need(len(buffer) < 5, "remaining length of five bytes", buffer)
    return None


def read(first: int, body: bytes) -> Packet:
    """One packet as a server may send it; everything else is a ServerFault."""
    reader = READERS.get(first >> 4)
    need(reader is not None, f"a server never sends {NAMES[first >> 4]}", bytes([first]) + body)
    if first >> 4 != PUBLISH:
        need(first & 15 == REQUIRED_FLAGS.get(first >> 4, 0), "reserved flags", bytes([first]) + body)
    return reader(first, body)


def read_connack(first: int, body: bytes) -> Connack:
    need(len(body) == 2 and body[0] in (0, 1) and body[1] <= 5, "CONNACK", body)
    need(body[1] == 0 or body[0] == 0, "session present on a refusal [MQTT-3.2.2-4]", body)
    return Connack(body[0] == 1, body[1])


def read_publish(first: int, body: bytes) -> Publish:
    qos, dup, retain = first >> 1 & 3, bool(first & 8), bool(first & 1)
    need(qos < 3, "QoS 3 [MQTT-3.3.1-4]", body)
    need(qos > 0 or not dup, "DUP on QoS 0 [MQTT-3.3.1-2]", body)
    need(len(body) >= 2, "PUBLISH without topic", body)
    end = 2 + int.from_bytes(body[:2], "big")
    need(len(body) >= end + (2 if qos else 0), "PUBLISH cut short", body)
    topic = read_topic(body[2:end])
    if not qos:
        return Publish(topic, body[end:], 0, retain)
    ident = int.from_bytes(body[end : end + 2], "big")
    need(ident > 0, "packet id 0 [MQTT-2.3.1-1]", body)
    return Publish(topic, body[end + 2 :], qos, retain, dup, ident)


def read_topic(data: bytes) -> str:
    try:
        topic = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ServerFault(f"ill-formed topic [MQTT-1.5.3-1]: {data[:64].hex(' ')}") from error
    need(bool(topic) and not set(topic) & set("\0+#"), "topic name [MQTT-3.3.2-2]", data)
    return topic


def read_ack(first: int, body: bytes) -> Ack:
    need(len(body) == 2 and body != b"\0\0", f"{NAMES[first >> 4]}", body)
    return Ack(first >> 4, int.from_bytes(body, "big"))


def read_suback(first: int, body: bytes) -> Suback:
    need(len(body) > 2 and body[:2] != b"\0\0", "SUBACK", body)
    need(set(body[2:]) <= {0, 1, 2, 0x80}, "SUBACK return code [MQTT-3.9.3-2]", body)
    return Suback(int.from_bytes(body[:2], "big"), tuple(body[2:]))


def read_pingresp(first: int, body: bytes) -> Pingresp:
    need(not body, "PINGRESP with a body", body)
    return Pingresp()


READERS = {
    CONNACK: read_connack,
    PUBLISH: read_publish,
    PUBACK: read_ack,
    PUBREC: read_ack,
    PUBREL: read_ack,
    PUBCOMP: read_ack,
    SUBACK: read_suback,
    UNSUBACK: read_ack,
    PINGRESP: read_pingresp,
}
