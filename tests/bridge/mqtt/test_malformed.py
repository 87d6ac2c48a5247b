"""Whatever breaks MQTT 3.1.1 closes that connection, and nothing else notices."""

import asyncio

import pytest

from .client import (
    GOODBYE,
    PING,
    PUBREL,
    ack,
    client,
    connect,
    dial,
    packet,
    publish,
    subscribe,
    text,
    unsubscribe,
    word,
)
from .support import open_broker

pytestmark = pytest.mark.anyio

BEFORE_CONNECT = {
    "no CONNECT first": PING,
    "PUBLISH first": publish("a"),
    "reserved type 0": packet(0x00),
    "reserved type 15": packet(0xF0),
    "flags of CONNECT": b"\x11" + connect()[1:],
    "protocol name": connect(name="MQTX"),
    "empty protocol name": connect(name=""),
    "MQIsdp with level 4": connect(name="MQIsdp"),
    "reserved CONNECT flag": packet(0x10, text("MQTT") + bytes((4, 3, 0, 0)) + text("c")),
    "will QoS 3": packet(0x10, text("MQTT") + bytes((4, 0x1E, 0, 0)) + text("c") + text("w") + text("")),
    "will QoS without will": packet(0x10, text("MQTT") + bytes((4, 0x0A, 0, 0)) + text("c")),
    "will retain without will": packet(0x10, text("MQTT") + bytes((4, 0x22, 0, 0)) + text("c")),
    "password without user": packet(0x10, text("MQTT") + bytes((4, 0x42, 0, 0)) + text("c") + text("p")),
    "will topic with +": connect(will=("a/+", b"", 0, 0)),
    "will topic with #": connect(will=("#", b"", 0, 0)),
    "empty will topic": connect(will=("", b"", 0, 0)),
    "NUL in client id": connect("a\0b"),
    "surrogate in client id": connect(b"\xed\xa0\x80"),
    "overlong UTF-8 in client id": connect(b"\xc0\x80"),
    "bad UTF-8 in user": connect(user=b"\xff"),
    "trailing bytes": packet(0x10, connect()[2:] + b"x"),
    "cut off": packet(0x10, connect()[2:-1]),
    "no body": packet(0x10),
    "length in five bytes": b"\x10\xff\xff\xff\xff\x7f",
    "over 8 KiB before CONNECT": b"\x10\xff\xff\x7f",
}

AFTER_CONNECT = {
    "second CONNECT": connect(),
    "CONNACK": packet(0x20, b"\0\0"),
    "SUBACK": packet(0x90, b"\0\1\0"),
    "UNSUBACK": packet(0xB0, b"\0\1"),
    "PINGRESP": packet(0xD0),
    "reserved type 0": packet(0x00),
    "reserved type 15": packet(0xF0),
    "QoS 3": packet(0x36, text("a") + word(1)),
    "DUP with QoS 0": packet(0x38, text("a")),
    "PUBLISH with +": publish("a/+"),
    "PUBLISH with #": publish("#"),
    "PUBLISH with an empty topic": publish(""),
    "PUBLISH with NUL": publish("a\0"),
    "PUBLISH with a surrogate": publish(b"\xed\xbf\xbf"),
    "PUBLISH with bad UTF-8": publish(b"\xfe"),
    "PUBLISH with packet id 0": publish("a", b"", 1, 0),
    "PUBLISH without packet id": packet(0x32, text("a")),
    "PUBLISH whose topic is cut off": packet(0x30, word(9) + b"a"),
    "PUBLISH without topic": packet(0x30),
    "flags of SUBSCRIBE": b"\x80" + subscribe(1, ("a", 0))[1:],
    "SUBSCRIBE without filter": packet(0x82, word(1)),
    "SUBSCRIBE with packet id 0": subscribe(0, ("a", 0)),
    "SUBSCRIBE with QoS 3": subscribe(1, ("a", 3)),
    "SUBSCRIBE with reserved bits": subscribe(1, ("a", 0x81)),
    "SUBSCRIBE without QoS": packet(0x82, word(1) + text("a")),
    "SUBSCRIBE with an empty filter": subscribe(1, ("", 0)),
    "SUBSCRIBE a#": subscribe(1, ("a#", 0)),
    "SUBSCRIBE #/a": subscribe(1, ("#/a", 0)),
    "SUBSCRIBE a+": subscribe(1, ("a/b+", 0)),
    "SUBSCRIBE +a": subscribe(1, ("+a", 0)),
    "SUBSCRIBE # then newline": subscribe(1, ("#\n", 0)),
    "SUBSCRIBE with NUL": subscribe(1, ("a\0", 0)),
    "one good and one bad filter": subscribe(1, ("a", 0), ("b#", 0)),
    "flags of UNSUBSCRIBE": b"\xa0" + unsubscribe(1, "a")[1:],
    "UNSUBSCRIBE without filter": packet(0xA2, word(1)),
    "UNSUBSCRIBE with packet id 0": unsubscribe(0, "a"),
    "UNSUBSCRIBE an empty filter": unsubscribe(1, ""),
    "flags of PUBREL": b"\x60" + ack(PUBREL, 1)[1:],
    "flags of PUBACK": packet(0x42, word(1)),
    "PUBACK with packet id 0": packet(0x40, word(0)),
    "PUBACK too long": packet(0x40, word(1) + b"x"),
    "PUBACK too short": packet(0x40, b"\0"),
    "PUBREC with packet id 0": packet(0x50, word(0)),
    "PUBREL with packet id 0": packet(0x62, word(0)),
    "PUBCOMP with packet id 0": packet(0x70, word(0)),
    "PINGREQ with a body": packet(0xC0, b"x"),
    "flags of PINGREQ": packet(0xC1),
    "DISCONNECT with a body": packet(0xE0, b"x"),
    "flags of DISCONNECT": packet(0xE8),
    "length in five bytes": b"\x30\xff\xff\xff\xff\x7f",
    "over 128 KiB": b"\x30\x81\x80\x08",
}


async def test_malformed_before_connect():
    async with open_broker() as broker, client(broker.port, "witness") as witness:
        for name, data in BEFORE_CONNECT.items():
            bad = await dial(broker.port)
            bad.send(data)
            assert await bad.read() is None, name
            bad.writer.close()
        assert await witness.quiet()
        assert broker.stats()["malformed"] == len(BEFORE_CONNECT)
        assert broker.stats()["errors"] == 0


async def test_malformed_after_connect():
    async with open_broker() as broker, client(broker.port, "witness") as witness:
        for name, data in AFTER_CONNECT.items():
            async with client(broker.port, "bad") as bad:
                bad.send(data)
                assert await bad.read() is None, name
        assert await witness.quiet()
        assert broker.stats()["malformed"] == len(AFTER_CONNECT)
        assert broker.stats()["errors"] == 0


async def test_other_versions_are_told_so():
    async with open_broker() as broker:
        for name, level in (("MQTT", 3), ("MQTT", 5), ("MQTT", 0x84), ("MQIsdp", 3)):
            one = await dial(broker.port)
            assert (await one.ask(connect(name=name, level=level))).body == b"\0\1"
            assert await one.read() is None
            one.writer.close()


async def test_empty_client_id():
    async with open_broker() as broker:
        async with client(broker.port, "", clean=False, code=2) as one:
            assert await one.closed()
        async with client(broker.port, "") as one, client(broker.port, "") as other:
            assert await one.quiet()
            assert await other.quiet()


SAMPLE = [
    connect("c", will=("w", b"gone", 1, 1), user="u", password=b"p"),
    subscribe(1, ("a/+", 1), ("b/#", 2)),
    publish("a/b", b"one", 1, 7),
    publish("b/c", b"two", 2, 8),
    ack(PUBREL, 8),
    publish("x", b"three"),
    unsubscribe(2, "a/+"),
    PING,
    GOODBYE,
]


async def test_split_at_any_byte():
    whole = b"".join(SAMPLE)
    async with open_broker() as broker:
        expected = await _answers(broker.port, [whole])
        assert len(expected) == 9
        for at in range(1, len(whole)):
            assert await _answers(broker.port, [whole[:at], whole[at:]]) == expected, at
        assert await _answers(broker.port, [whole[at : at + 1] for at in range(len(whole))]) == expected


async def _answers(port, pieces):
    one = await dial(port)
    one.writer.transport.get_extra_info("socket").setsockopt(6, 1, 1)
    for piece in pieces:
        one.send(piece)
        await asyncio.sleep(0)
    answers = []
    while (got := await one.read()) is not None:
        answers.append(got)
    one.writer.close()
    return sorted(answers)  # acknowledgements and messages may pass each other


async def test_every_prefix_and_every_changed_byte():
    async with open_broker(queue_messages=10) as broker, client(broker.port, "witness") as witness:
        for index, good in enumerate(SAMPLE):
            before = SAMPLE[:1] if index else []
            changed = [
                good[:at] + bytes((good[at] ^ 1 << at % 8,)) + good[at + 1 :] for at in range(len(good))
            ]
            for data in [good[:at] for at in range(len(good))] + changed:
                one = await dial(broker.port)
                one.send(*before, data)
                one.writer.write_eof()
                await asyncio.wait_for(one.reader.read(-1), 20)
                one.writer.close()
        assert await witness.quiet()
        assert broker.stats()["errors"] == 0
        assert broker.stats()["connections"] == 1
