"""CONNECT and the order of packets (3.1, 3.2)."""

from . import packets as mqtt
from .packets import Connack, Will
from .rows import ALIVE, CLOSED, FREE, REFUSED, SILENT, UNTRIED, Row

FULL = mqtt.connect("id", will=Will("w/t", b"gone", 1, True), user="me", password=b"pw", keepalive=60)
ACCEPTED = (Connack(False, 0),)


def flags_byte(flags: int, *parts: bytes) -> bytes:
    """A CONNECT with this flags byte and these length-prefixed parts after the client id."""
    head = mqtt.field("MQTT") + bytes([4, flags]) + mqtt.u16(0) + mqtt.field("")
    return mqtt.packet(mqtt.CONNECT, head + b"".join(map(mqtt.field, parts)))


BAD_CONNECTS = {
    "MQTT-3.1.2-3": {
        "reserved flag": flags_byte(0b0000_0011),
        "reserved flag with all others": flags_byte(0b1110_1111, b"w", b"", b"u", b"p"),
    },
    "MQTT-3.1.2-11": {
        "will QoS 1, no will": flags_byte(0b0000_1010),
        "will QoS 2, no will": flags_byte(0b0001_0010),
    },
    "MQTT-3.1.2-13": {"will QoS 3, no will": flags_byte(0b0001_1010)},
    "MQTT-3.1.2-14": {
        "will QoS 3": flags_byte(0b0001_1110, b"w", b""),
        "will QoS 3 retained": flags_byte(0b0011_1110, b"w", b""),
    },
    "MQTT-3.1.2-15": {
        "will retain, no will": flags_byte(0b0010_0010),
        "will retain and QoS 2, no will": flags_byte(0b0011_0010),
    },
    "MQTT-3.1.2-22": {
        "password without user": flags_byte(0b0100_0010, b"p"),
        "password flag alone": flags_byte(0b0100_0010),
    },
    "MQTT-3.1.2-9": {
        "no will fields": flags_byte(0b0000_0110),
        "will topic, no message": flags_byte(0b0000_0110, b"w"),
    },
    "MQTT-3.1.2-19": {"user flag, no user": flags_byte(0b1000_0010)},
    "MQTT-3.1.2-18": {"user, no flag": flags_byte(0b0000_0010, b"u")},
    "MQTT-3.1.2-21": {"password flag, no password": flags_byte(0b1100_0010, b"u")},
    "MQTT-3.1.2-20": {"password, no flag": flags_byte(0b1000_0010, b"u", b"p")},
    "MQTT-3.1.3-1": {"will, no flag": flags_byte(0b0000_0010, b"w", b"m")},
    "MQTT-3.1.3-3": {"no client id": mqtt.packet(mqtt.CONNECT, mqtt.field("MQTT") + bytes([4, 2, 0, 0]))},
    "MQTT-3.1.4-1": {
        "empty": mqtt.packet(mqtt.CONNECT),
        "a byte too many": mqtt.packet(mqtt.CONNECT, mqtt.connect("")[2:] + b"\0"),
        "a packet too many": mqtt.packet(mqtt.CONNECT, mqtt.connect("")[2:] + mqtt.PING),
        "client id longer than the packet": mqtt.packet(
            mqtt.CONNECT, mqtt.field("MQTT") + bytes([4, 2, 0, 0, 0, 9]) + b"short"
        ),
    },
}
WRONG_NAMES = ("mqtt", "MQTX", "", "MQT", "MQTTT", "MQIsdp", "M" * 200, "HTTP")
WRONG_LEVELS = (0, 1, 2, 6, 7, 127, 255)
# name: (packet, what Mosquitto does instead)
OTHER_PROTOCOLS = {
    "level 3": (mqtt.connect("", level=3), None),
    "level 5 with a body of 3.1.1": (mqtt.connect("", level=5), SILENT),
    "MQTT 5": (mqtt.packet(mqtt.CONNECT, mqtt.field("MQTT") + b"\5\2\0\0\0" + mqtt.field("five")), UNTRIED),
    "a Mosquitto bridge": (mqtt.connect("", level=4 + 128), ALIVE),
}
GOOD_CONNECTS = {
    "MQTT-3.1.3-5": {
        "one character": mqtt.connect("a"),
        "23 characters": mqtt.connect("0123456789abcdefghijABC"),
        "digits": mqtt.connect("12345678901234567890123"),
    },
    "MQTT-3.1.3-6": {"no client id, clean": mqtt.connect("")},
    "MQTT-3.1.2-24": {
        "no keepalive": mqtt.connect("", keepalive=0),
        "longest": mqtt.connect("", keepalive=65535),
    },
    "MQTT-3.1.2-9": {
        "will": mqtt.connect("", will=Will("w", b"m")),
        "empty will": mqtt.connect("", will=Will("w")),
        "binary will": mqtt.connect("", will=Will("w", bytes(range(256)), 2, True)),
        "everything": FULL,
    },
    "MQTT-3.1.2-19": {
        "user alone": mqtt.connect("", user="u"),
        "empty user": mqtt.connect("", user=""),
        "user and password": mqtt.connect("", user="u", password=b"p"),
        "empty password": mqtt.connect("", user="u", password=b""),
        "binary password": mqtt.connect("", user="u", password=bytes(range(256))),
    },
}
FOREIGN = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("16030100f8010000f40303") + bytes(240),
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
}
FIRST_PACKETS = {
    "reserved 0": b"\0\0",
    "CONNACK": mqtt.packet(mqtt.CONNACK, b"\0\0"),
    "PUBLISH 0": mqtt.publish("a", b"b"),
    "PUBLISH 1": mqtt.publish("a", b"b", qos=1, id=1),
    "PUBACK": mqtt.ack(mqtt.PUBACK, 1),
    "PUBREC": mqtt.ack(mqtt.PUBREC, 1),
    "PUBREL": mqtt.ack(mqtt.PUBREL, 1),
    "PUBCOMP": mqtt.ack(mqtt.PUBCOMP, 1),
    "SUBSCRIBE": mqtt.subscribe(1, ("a", 0)),
    "SUBACK": mqtt.packet(mqtt.SUBACK, b"\0\1\0"),
    "UNSUBSCRIBE": mqtt.unsubscribe(1, "a"),
    "UNSUBACK": mqtt.ack(mqtt.UNSUBACK, 1),
    "PINGREQ": mqtt.PING,
    "PINGRESP": mqtt.packet(mqtt.PINGRESP),
    "DISCONNECT": mqtt.BYE,
    "reserved 15": b"\xf0\0",
}


def malformed():
    for statement, cases in BAD_CONNECTS.items():
        for name, data in cases.items():
            yield Row(statement, name, (data,), SILENT, connected=False)
    body = FULL[2:]
    for size in range(1, len(body)):
        data = mqtt.packet(mqtt.CONNECT, body[:size])
        yield Row("MQTT-3.1.4-1", f"ends after {size} bytes", (data,), SILENT, connected=False)


def refused():
    for name in WRONG_NAMES:
        data = (mqtt.connect("", name=name),)
        lax = REFUSED[1] if name == "MQIsdp" else None
        yield Row("MQTT-3.1.2-1", f"name {name[:8]!r}", data, CLOSED, False, mosquitto_differs=lax)
    for level in WRONG_LEVELS:
        data = (mqtt.connect("", level=level),)
        yield Row("MQTT-3.1.2-2", f"level {level}", data, REFUSED[1], connected=False)
    for name, (data, lax) in OTHER_PROTOCOLS.items():
        yield Row("MQTT-3.1.2-2", name, (data,), REFUSED[1], False, mosquitto_differs=lax)
    v31 = (mqtt.connect("a", name="MQIsdp", level=3),)
    yield Row("MQTT-3.1.2-1", "MQTT 3.1", v31, FREE, connected=False)
    data = (mqtt.connect("", clean=False),)
    yield Row("MQTT-3.1.3-8", "no client id, kept session", data, REFUSED[2], connected=False)


def accepted():
    for statement, cases in GOOD_CONNECTS.items():
        for name, data in cases.items():
            yield Row(statement, name, (data,), ACCEPTED, connected=False)
    single = tuple(bytes([byte]) for byte in FULL)
    yield Row("MQTT-4.2", "CONNECT byte by byte", single, ACCEPTED, connected=False)
    yield Row(
        "MQTT-3.1.4", "packets before CONNACK", (FULL + mqtt.publish("a", b"b"),), ACCEPTED, connected=False
    )


def order():
    for name, data in FIRST_PACKETS.items():
        yield Row("MQTT-3.1.0-1", f"{name} first", (data,), SILENT, connected=False)
        yield Row(
            "MQTT-3.1.0-1", f"{name} before CONNECT", (data + mqtt.connect(""),), SILENT, connected=False
        )
    for name, data in FOREIGN.items():
        yield Row("MQTT-3.1.0-1", f"{name} instead of MQTT", (data,), SILENT, connected=False)
    yield Row("MQTT-3.1.0-2", "second CONNECT", (mqtt.connect(""),), CLOSED)
    yield Row("MQTT-3.1.0-2", "second CONNECT, other id", (mqtt.connect("other"),), CLOSED)
    yield Row("MQTT-3.1.0-2", "two CONNECTs at once", (mqtt.connect("") * 2,), CLOSED, connected=False)
    yield Row("MQTT-3.1.0-2", "second CONNECT malformed", (flags_byte(3),), CLOSED)
    yield Row("MQTT-3.14.4-2", "packets after DISCONNECT", (mqtt.BYE + mqtt.PING,), CLOSED)
    yield Row("MQTT-3.14.4-2", "CONNECT after DISCONNECT", (mqtt.BYE + mqtt.connect(""),), CLOSED)


ROWS = (*malformed(), *refused(), *accepted(), *order())
