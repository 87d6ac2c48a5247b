"""Broken input: every prefix and every changed byte of valid packets, and generated ones (RELIABILITY U4).

The server closes or answers, never hangs, and a bystander notices nothing."""

import os
from contextlib import ExitStack, contextmanager
from itertools import islice

import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from . import packets as mqtt
from .client import Client, Wire
from .packets import Connack, Will

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "0"))
AT_ONCE = 25
HELLO = mqtt.connect("")
# A connection that has a QoS 1 and a QoS 2 message of its own in flight.
BUSY = (
    HELLO
    + mqtt.subscribe(1, ("garbage/busy", 2))
    + mqtt.publish("garbage/busy", b"x", qos=1, id=1)
    + mqtt.publish("garbage/busy", b"x", qos=2, id=2)
    + mqtt.ack(mqtt.PUBREL, 2)
)
# name: (what comes before, the packet)
VALID = {
    "CONNECT": (b"", HELLO),
    "CONNECT with all": (
        b"",
        mqtt.connect("id", will=Will("w", b"m", 1, True), user="u", password=b"p", keepalive=9),
    ),
    "PUBLISH 0": (HELLO, mqtt.publish("g/0", b"xy")),
    "PUBLISH 1": (HELLO, mqtt.publish("g/1", b"xy", qos=1, id=7)),
    "PUBLISH 2": (HELLO, mqtt.publish("g/2", b"xy", qos=2, id=7)),
    "PUBLISH retained": (HELLO, mqtt.publish("g/r", b"", retain=True)),
    "PUBACK": (BUSY, mqtt.ack(mqtt.PUBACK, 1)),
    "PUBREC": (BUSY, mqtt.ack(mqtt.PUBREC, 2)),
    "PUBREL": (BUSY, mqtt.ack(mqtt.PUBREL, 2)),
    "PUBCOMP": (BUSY, mqtt.ack(mqtt.PUBCOMP, 2)),
    "SUBSCRIBE": (HELLO, mqtt.subscribe(9, ("g/+", 1), ("g/#", 2))),
    "UNSUBSCRIBE": (HELLO, mqtt.unsubscribe(9, "g/+", "g")),
    "PINGREQ": (HELLO, mqtt.PING),
    "DISCONNECT": (HELLO, mqtt.BYE),
}


def changes(data: bytes, every: bool):
    """`data` with one byte changed: to every other value, or to one bit flipped, 0 and 255."""
    for place, byte in enumerate(data):
        values = range(256) if every else {byte ^ 1 << bit for bit in range(8)} | {0, 255}
        for value in values:
            if value != byte:
                yield data[:place] + bytes([value]) + data[place + 1 :]


@contextmanager
def bystander(port: int, base: str):
    """A client that must go on undisturbed, before and after."""
    with Client(port, f"{base}-bystander") as client:
        client.subscribe((f"{base}/#", 1))
        yield lambda: check(client, base)
        check(client, base)


def check(client: Client, base: str) -> None:
    client.publish(f"{base}/own", b"well", 1)
    assert client.one().payload == b"well"
    assert client.rest() == []


def try_all(port: int, streams) -> None:
    """Send each over a connection of its own and half-close: the server must close too, having said only
    what a server may say."""
    with ExitStack() as stack:
        wires = []
        for stream in streams:
            wire = stack.enter_context(Wire(port))
            wire.send(stream)
            wire.finish()
            wires.append((stream, wire))
        for stream, wire in wires:
            try:
                answers = wire.read_all()
            except (TimeoutError, AssertionError) as error:
                raise AssertionError(f"sent {stream.hex(' ')}: {error!r}") from error
            assert all(isinstance(a, Connack) for a in answers[:1]), f"sent {stream.hex(' ')}: {answers}"
            assert not any(isinstance(a, Connack) for a in answers[1:]), f"sent {stream.hex(' ')}"


def batches(streams):
    streams = iter(streams)
    while batch := list(islice(streams, AT_ONCE)):
        yield batch


@pytest.mark.parametrize("name", VALID)
def test_every_prefix(broker, base, name):
    before, packet = VALID[name]
    with bystander(broker.port, base):
        for batch in batches(before + packet[:size] for size in range(len(packet) + 1)):
            try_all(broker.port, batch)


@pytest.mark.parametrize("name", VALID)
def test_every_changed_byte(broker, base, name):
    before, packet = VALID[name]
    with bystander(broker.port, base) as well:
        for batch in batches(before + changed + mqtt.PING for changed in changes(packet, broker.ours)):
            try_all(broker.port, batch)
            well()


STRINGS = st.binary(max_size=6) | st.sampled_from([b"a", b"a/b", b"#", b"+", b"$SYS", b"\xed\xa0\x80", b"\0"])
BODIES = st.lists(st.binary(max_size=3) | STRINGS.map(mqtt.field), max_size=6).map(b"".join)
PACKETS = st.builds(mqtt.packet, st.integers(0, 15), BODIES, st.integers(0, 15) | st.none())
CONNECTS = st.builds(
    mqtt.connect,
    STRINGS,
    clean=st.booleans(),
    will=st.none() | st.builds(Will, STRINGS, st.binary(max_size=3), st.integers(0, 3), st.booleans()),
    user=st.none() | STRINGS,
    password=st.none() | st.binary(max_size=3),
    flags=st.none() | st.integers(0, 255),
)
STREAMS = st.lists(PACKETS | st.sampled_from([packet for _, packet in VALID.values()]), max_size=6).map(
    b"".join
)
CONVERSATIONS = st.one_of(
    st.binary(max_size=100),
    st.tuples(st.just(HELLO) | CONNECTS, STREAMS).map(b"".join),
    st.tuples(st.just(HELLO), STREAMS, st.binary(max_size=20)).map(b"".join),
)


def test_generated_conversations(broker, base):
    with bystander(broker.port, base) as well:

        @settings(
            max_examples=EXAMPLES or 60,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(CONVERSATIONS, min_size=1, max_size=10))
        def converse(streams):
            try_all(broker.port, streams)
            well()

        converse()


def test_nothing_is_left_open(broker):
    """RELIABILITY U8: connections that ended leave no file descriptor behind."""
    process = psutil.Process(broker.process.pid)
    with Client(broker.port, "left-open") as client:
        client.ping()
        before = process.num_fds()
        for batch in batches([HELLO, HELLO + b"\xf0\0", b"\x10", b"\xf0\0", BUSY] * 20):
            try_all(broker.port, batch)
        for _ in range(200):
            client.ping()
            if process.num_fds() <= before:
                return
            client.idle(0.05)
        assert process.num_fds() <= before
