"""Fixed headers, lengths, packet ids and the answers to single packets (2.2, 2.3, 3.3 to 3.14)."""

from . import packets as mqtt
from .packets import PUBACK, PUBCOMP, PUBREC, UNSUBACK, Ack, Suback
from .rows import ALIVE, CLOSED, FREE, SILENT, Row

ACKS = (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBREL, mqtt.PUBCOMP)
BODIES = {
    mqtt.CONNECT: mqtt.connect("")[2:],
    **dict.fromkeys(ACKS, b"\0\1"),
    mqtt.SUBSCRIBE: mqtt.subscribe(1, ("a/b", 1))[2:],
    mqtt.UNSUBSCRIBE: mqtt.unsubscribe(1, "a/b")[2:],
    mqtt.PINGREQ: b"",
    mqtt.DISCONNECT: b"",
}
FLAG_STATEMENTS = {
    mqtt.PUBREL: "MQTT-3.6.1-1",
    mqtt.SUBSCRIBE: "MQTT-3.8.1-1",
    mqtt.UNSUBSCRIBE: "MQTT-3.10.1-1",
    mqtt.DISCONNECT: "MQTT-3.14.1-1",
}
# Mosquitto 2.0.11 ignores flags and trailing bytes in these, and takes these types from a client.
LAX_FLAGS = (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP, mqtt.PINGREQ)
LAX_TYPES = ("SUBACK", "UNSUBACK", "PINGRESP")
FORBIDDEN = {
    "reserved type 0": b"\0\0",
    "reserved type 0 with flags": b"\x0f\0",
    "reserved type 15": b"\xf0\0",
    "reserved type 15 with flags": b"\xff\0",
    "reserved type 15 with body": b"\xf0\2\0\1",
    "CONNACK": mqtt.packet(mqtt.CONNACK, b"\0\0"),
    "SUBACK": mqtt.packet(mqtt.SUBACK, b"\0\1\0"),
    "UNSUBACK": mqtt.ack(mqtt.UNSUBACK, 1),
    "PINGRESP": mqtt.packet(mqtt.PINGRESP),
}
LONG_LENGTHS = {
    "five bytes": b"\xc0\x80\x80\x80\x80\x00",
    "five full bytes": b"\x30\xff\xff\xff\xff\x7f",
    "five bytes of one": b"\x30\x80\x80\x80\x80\x01",
    "seven bytes": b"\x30\xff\xff\xff\xff\xff\xff\x01",
}
OVERLONG_LENGTHS = {"two": b"\xc0\x80\x00", "three": b"\xc0\x80\x80\x00", "four": b"\xc0\x80\x80\x80\x00"}
PUBLISHES = {
    "MQTT-3.3.1-4": {
        f"QoS 3, flags {flags:#x}": mqtt.packet(mqtt.PUBLISH, mqtt.field("a") + b"\0\1x", flags)
        for flags in (0x6, 0x7, 0xE, 0xF)
    },
    "MQTT-3.3.1-2": {
        "DUP with QoS 0": mqtt.publish("a", b"x", dup=True),
        "DUP with QoS 0 retained": mqtt.publish("a/dup", b"", dup=True, retain=True),
    },
    "MQTT-2.3.1-1": {
        "PUBLISH QoS 1 id 0": mqtt.publish("a", b"x", qos=1, id=0),
        "PUBLISH QoS 2 id 0": mqtt.publish("a", b"x", qos=2, id=0),
        "PUBLISH QoS 1 DUP id 0": mqtt.publish("a", b"x", qos=1, id=0, dup=True),
        "PUBLISH QoS 1 no id": mqtt.publish("a", qos=1),
        "PUBLISH QoS 2 no id": mqtt.publish("a", qos=2),
        "PUBLISH QoS 1 half an id": mqtt.publish("a", b"\1", qos=1),
        "SUBSCRIBE id 0": mqtt.subscribe(0, ("a", 0)),
        "UNSUBSCRIBE id 0": mqtt.unsubscribe(0, "a"),
    },
    "MQTT-3.3.2-1": {
        "PUBLISH empty": mqtt.packet(mqtt.PUBLISH),
        "PUBLISH half a topic length": mqtt.packet(mqtt.PUBLISH, b"\0"),
        "PUBLISH topic cut": mqtt.packet(mqtt.PUBLISH, b"\0\5abc"),
        "PUBLISH topic length 65535": mqtt.packet(mqtt.PUBLISH, b"\xff\xffabc"),
    },
    "MQTT-3.8.3-3": {
        "SUBSCRIBE nothing": mqtt.subscribe(1),
        "SUBSCRIBE empty": mqtt.packet(mqtt.SUBSCRIBE),
    },
    "MQTT-3.10.3-2": {
        "UNSUBSCRIBE nothing": mqtt.unsubscribe(1),
        "UNSUBSCRIBE empty": mqtt.packet(mqtt.UNSUBSCRIBE),
    },
}
ANSWERS = {
    "MQTT-4.3.1-1": {"QoS 0": ((mqtt.publish("a", b"x"),), ())},
    "MQTT-4.3.2-2": {
        "QoS 1": ((mqtt.publish("a", b"x", qos=1, id=9),), (Ack(PUBACK, 9),)),
        "QoS 1 id 65535": ((mqtt.publish("a", b"x", qos=1, id=65535),), (Ack(PUBACK, 65535),)),
        "QoS 1 DUP": ((mqtt.publish("a", b"x", qos=1, id=9, dup=True),), (Ack(PUBACK, 9),)),
        "QoS 1 same id again": ((mqtt.publish("a", b"x", qos=1, id=9),) * 2, (Ack(PUBACK, 9),) * 2),
        "QoS 1 empty": ((mqtt.publish("a", qos=1, id=9),), (Ack(PUBACK, 9),)),
    },
    "MQTT-4.3.3-2": {
        "QoS 2": (
            (mqtt.publish("a", b"x", qos=2, id=9), mqtt.ack(mqtt.PUBREL, 9)),
            (Ack(PUBREC, 9), Ack(PUBCOMP, 9)),
        ),
        "QoS 2 sent again": (
            (mqtt.publish("a", b"x", qos=2, id=9), mqtt.publish("a", b"x", qos=2, id=9, dup=True)),
            (Ack(PUBREC, 9),) * 2,
        ),
        "PUBREL again": (
            (mqtt.publish("a", b"x", qos=2, id=9), *(mqtt.ack(mqtt.PUBREL, 9),) * 2),
            (Ack(PUBREC, 9), Ack(PUBCOMP, 9), Ack(PUBCOMP, 9)),
        ),
        "PUBREL of an unknown id": ((mqtt.ack(mqtt.PUBREL, 77),), (Ack(PUBCOMP, 77),)),
    },
    "MQTT-4.6.0-2": {
        "answers in order": (
            tuple(mqtt.publish("a", b"x", qos=1, id=i) for i in range(1, 50)),
            tuple(Ack(PUBACK, i) for i in range(1, 50)),
        )
    },
    "MQTT-3.8.4-2": {
        "one filter": ((mqtt.subscribe(65535, ("q/0", 0)),), (Suback(65535, (0,)),)),
        "each QoS": ((mqtt.subscribe(7, ("q/0", 0), ("q/1", 1), ("q/2", 2)),), (Suback(7, (0, 1, 2)),)),
        "same filter twice": ((mqtt.subscribe(7, ("q", 0), ("q", 2)),), (Suback(7, (0, 2)),)),
        "100 filters": ((mqtt.subscribe(7, *((f"q/{i}", 1) for i in range(100))),), (Suback(7, (1,) * 100),)),
    },
    "MQTT-3.10.4-4": {
        "one filter": (
            (mqtt.subscribe(1, ("q", 0)), mqtt.unsubscribe(2, "q")),
            (Suback(1, (0,)), Ack(UNSUBACK, 2)),
        ),
        "three filters": ((mqtt.unsubscribe(65535, "q", "r", "s"),), (Ack(UNSUBACK, 65535),)),
    },
    "MQTT-3.10.4-5": {"no such subscription": ((mqtt.unsubscribe(2, "never"),), (Ack(UNSUBACK, 2),))},
    "MQTT-4.2": {
        "PUBLISH byte by byte": (
            tuple(bytes([b]) for b in mqtt.publish("a/b", b"xyz", qos=1, id=3)),
            (Ack(PUBACK, 3),),
        ),
        "many in one write": ((mqtt.publish("a/b", b"xyz", qos=1, id=3) * 20,), (Ack(PUBACK, 3),) * 20),
    },
}


def flags():
    for kind, body in BODIES.items():
        right = mqtt.REQUIRED_FLAGS.get(kind, 0)
        statement = FLAG_STATEMENTS.get(kind, "MQTT-2.2.2-2")
        connected = kind != mqtt.CONNECT
        for wrong in sorted(set(range(16)) - {right}):
            data = (mqtt.packet(kind, body, wrong),)
            expects = CLOSED if connected else SILENT
            lax = ALIVE if kind in LAX_FLAGS else None
            yield Row(statement, f"{mqtt.NAMES[kind]} flags {wrong:#x}", data, expects, connected, lax)


def lengths():
    for name, data in LONG_LENGTHS.items():
        yield Row("MQTT-2.2.3", f"length of {name}", (data,), CLOSED)
        yield Row("MQTT-2.2.3", f"first length of {name}", (data,), SILENT, connected=False)
    for name, data in OVERLONG_LENGTHS.items():
        yield Row("MQTT-2.2.3", f"zero in {name} bytes", (data,), FREE)
    for kind in ACKS:
        for body in (b"", b"\1", b"\0\1\0", b"\0\1\0\0"):
            data = (mqtt.packet(kind, body),)
            lax = ALIVE if len(body) > 2 else None
            name = f"{mqtt.NAMES[kind]} of {len(body)} bytes"
            yield Row("MQTT-4.8.0-1", name, data, CLOSED, mosquitto_differs=lax)
        yield Row("MQTT-2.3.1-6", f"{mqtt.NAMES[kind]} id 0", (mqtt.ack(kind, 0),), CLOSED)
    for kind in (mqtt.PINGREQ, mqtt.DISCONNECT):
        for body in (b"\0", b"\0\1"):
            data = (mqtt.packet(kind, body),)
            lax = ALIVE if kind == mqtt.PINGREQ else None
            name = f"{mqtt.NAMES[kind]} of {len(body)} bytes"
            yield Row("MQTT-4.8.0-1", name, data, CLOSED, mosquitto_differs=lax)
    for kind in (mqtt.SUBSCRIBE, mqtt.UNSUBSCRIBE):
        body = BODIES[kind]
        for size in range(1, len(body)):
            data = (mqtt.packet(kind, body[:size]),)
            yield Row("MQTT-4.8.0-1", f"{mqtt.NAMES[kind]} ends after {size} bytes", data, CLOSED)
        for extra in (b"\0", b"\0\3", b"\0\3ab"):
            data = (mqtt.packet(kind, body + extra),)
            yield Row("MQTT-4.8.0-1", f"{mqtt.NAMES[kind]} and {len(extra)} bytes", data, CLOSED)


def single_packets():
    for name, data in FORBIDDEN.items():
        lax = ALIVE if name in LAX_TYPES else None
        yield Row("MQTT-4.8.0-1", f"{name} from a client", (data,), CLOSED, mosquitto_differs=lax)
    for statement, cases in PUBLISHES.items():
        for name, data in cases.items():
            lax = ALIVE if statement == "MQTT-3.3.1-2" else None
            yield Row(statement, name, (data,), CLOSED, mosquitto_differs=lax)
    for statement, cases in ANSWERS.items():
        for name, (sends, expects) in cases.items():
            yield Row(statement, name, sends, expects)
    for kind in (mqtt.PUBACK, mqtt.PUBREC, mqtt.PUBCOMP):
        yield Row("MQTT-4.3", f"{mqtt.NAMES[kind]} of an unknown id", (mqtt.ack(kind, 77),), FREE)
    yield Row("MQTT-3.12.4-1", "PINGREQ", (), ALIVE)


ROWS = (*flags(), *lengths(), *single_packets())
