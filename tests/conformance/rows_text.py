"""Strings, topic names and topic filters (1.5.3, 3.3.2, 3.8.3, 4.7)."""

from . import packets as mqtt
from .packets import PUBACK, Ack, Suback, Will
from .rows import ALIVE, CLOSED, FREE, SILENT, Row

ILL_FORMED = {
    "lone continuation": b"\x80",
    "two lone continuations": b"a\xbf\xbfb",
    "cut two-byte": b"a\xc3",
    "cut three-byte": b"\xe2\x82",
    "cut four-byte": b"\xf0\x9f\x98",
    "two-byte without continuation": b"\xc3a",
    "overlong NUL": b"\xc0\x80",
    "overlong slash": b"\xc0\xaf",
    "overlong three-byte": b"\xe0\x80\xaf",
    "overlong four-byte": b"\xf0\x80\x80\xaf",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "five-byte": b"\xf8\x88\x80\x80\x80",
    "byte 0xFE": b"a\xfe",
    "byte 0xFF": b"\xff",
}
NULS = {"NUL": b"\0", "NUL within": b"a\0b", "NUL at the end": b"a\0"}
WELL_FORMED = {
    "U+D7FF": "\ud7ff",
    "U+E000": "\ue000",
    "U+10FFFD": "\U0010fffd",
    "BOM": "\ufeffa",
    "umlaut": "ä/ö",
    "emoji": "\U0001f600",
    "space": " ",
}
DISCOURAGED = {"U+0001": "\x01", "U+001F": "\x1f", "U+007F": "\x7f", "U+009F": "\x9f", "U+FFFF": "\uffff"}

TOPIC_PLACES = {
    "publish 0": lambda text: mqtt.publish(text, b"x"),
    "publish 1": lambda text: mqtt.publish(text, b"x", qos=1, id=1),
    "publish 2": lambda text: mqtt.publish(text, b"x", qos=2, id=1),
}
FILTER_PLACES = {
    "subscribe": lambda text: mqtt.subscribe(1, (text, 0)),
    "unsubscribe": lambda text: mqtt.unsubscribe(1, text),
    "second subscribe": lambda text: mqtt.subscribe(1, ("good", 0), (text, 0)),
    "second unsubscribe": lambda text: mqtt.unsubscribe(1, "good", text),
}
CONNECT_PLACES = {
    "client id": lambda text: mqtt.connect(text),
    "will topic": lambda text: mqtt.connect("", will=Will(text)),
    "user name": lambda text: mqtt.connect("", user=text, password=b"p"),
}
WILDCARDS = ("#", "+", "a/#", "a/+/b", "a+", "+a", "a#b", "/+", "$SYS/#")
BAD_FILTERS = (
    "a/#/b",
    "#/",
    "#/a",
    "a#",
    "a/b#",
    "#a",
    "##",
    "a+",
    "+a",
    "a+/b",
    "a/+b",
    "++",
    "+#",
    "a/b+/#",
)
GOOD_FILTERS = (
    *("#", "+", "/", "//", "+/+", "/+", "+/", "a/#", "+/#", "/#", "+/a/#", " ", "a b/ ", "$SYS/#", "$a"),
    *("a/$SYS/+", "a//b", "a/", "//#", "/a", "sport/+/player1", "AbC"),
)
BAD_QOS = (3, 4, 7, 8, 0x40, 0x80, 0xFC, 0xFF)


def strings():
    for texts, statement in ((ILL_FORMED, "MQTT-1.5.3-1"), (NULS, "MQTT-1.5.3-2")):
        for name, text in texts.items():
            for place, build in (TOPIC_PLACES | FILTER_PLACES).items():
                yield Row(statement, f"{name} in {place}", (build(text),), CLOSED)
            for place, build in CONNECT_PLACES.items():
                yield Row(statement, f"{name} in {place}", (build(text),), SILENT, connected=False)
    for name, text in WELL_FORMED.items():
        yield Row("MQTT-1.5.3", f"{name} in a topic", (TOPIC_PLACES["publish 1"](text),), (Ack(PUBACK, 1),))
        yield Row(
            "MQTT-1.5.3", f"{name} in a filter", (FILTER_PLACES["subscribe"](text),), (Suback(1, (0,)),)
        )
        yield Row(
            "MQTT-1.5.3", f"{name} in a will topic", (CONNECT_PLACES["will topic"](text),), ALIVE, False
        )
    for name, text in DISCOURAGED.items():
        yield Row("MQTT-1.5.3", f"{name} in a topic", (TOPIC_PLACES["publish 1"](text),), FREE)
        yield Row("MQTT-1.5.3", f"{name} in a filter", (FILTER_PLACES["subscribe"](text),), FREE)


def topics():
    for text in WILDCARDS:
        for place, build in TOPIC_PLACES.items():
            yield Row("MQTT-3.3.2-2", f"{text} in {place}", (build(text),), CLOSED)
        will = (CONNECT_PLACES["will topic"](text),)
        yield Row("MQTT-4.7.1-1", f"{text} in a will", will, SILENT, connected=False)
    for place, build in (TOPIC_PLACES | FILTER_PLACES).items():
        yield Row("MQTT-4.7.3-1", f"empty in {place}", (build(""),), CLOSED)
    will = (CONNECT_PLACES["will topic"](""),)
    yield Row("MQTT-4.7.3-1", "empty in a will", will, SILENT, connected=False)
    longest = "x" * 65535
    yield Row("MQTT-4.7.3-3", "longest topic", (TOPIC_PLACES["publish 1"](longest),), (Ack(PUBACK, 1),))
    yield Row("MQTT-4.7.3-3", "longest filter", (FILTER_PLACES["subscribe"](longest),), (Suback(1, (0,)),))


def filters():
    for text in BAD_FILTERS:
        for place, build in FILTER_PLACES.items():
            yield Row("MQTT-4.7.1-2", f"{text} in {place}", (build(text),), CLOSED)
    for text in GOOD_FILTERS:
        yield Row(
            "MQTT-4.7.1", f"{text!r} is a filter", (mqtt.unsubscribe(1, text),), (Ack(mqtt.UNSUBACK, 1),)
        )
        yield Row("MQTT-3.8.3-2", f"{text!r} in subscribe", (mqtt.subscribe(1, (text, 0)),), ALIVE)
    for qos in BAD_QOS:
        yield Row("MQTT-3.8.3-4", f"requested QoS {qos:#x}", (mqtt.subscribe(1, ("a", qos)),), CLOSED)
        second = (mqtt.subscribe(1, ("a", 0), ("b", qos)),)
        yield Row("MQTT-3.8.3-4", f"second requested QoS {qos:#x}", second, CLOSED)


ROWS = (*strings(), *topics(), *filters())
