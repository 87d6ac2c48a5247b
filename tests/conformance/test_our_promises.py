"""What the standard leaves to the server and we promise (RELIABILITY: the front door, D4, U2, U5, U7)."""

import time

from . import packets as mqtt
from .client import Client, Wire
from .packets import Connack

LARGEST = 128 * 1024
QUEUE = 1000


def first_bytes(kind: int, size: int, flags: int = 0) -> bytes:
    """A fixed header that promises a body of this size."""
    return bytes([kind << 4 | flags]) + mqtt.length(size)


def test_a_packet_up_to_the_bound_passes(ours, base):
    with Client(ours.port) as client:
        client.subscribe((base, 1))
        payload = b"x" * (LARGEST - 2 - len(base) - 2 - 4)
        client.publish(base, payload, 1)
        assert client.one().payload == payload


def test_a_declared_length_beyond_the_bound_is_refused_before_the_body(ours):
    """U5"""
    for size in (2 * LARGEST, 1 << 20, 268_435_455):
        with Client(ours.port) as client:
            client.send(first_bytes(mqtt.PUBLISH, size))
            client.wait_closed()
        with Wire(ours.port) as wire:
            wire.send(first_bytes(mqtt.CONNECT, size))
            assert wire.read_all() == []


def test_no_connect_within_ten_seconds(ours):
    """U2: silence, half a CONNECT and a trickle all end after about 10 s."""
    hello = mqtt.connect("x" * 200)
    started = time.monotonic()
    with Wire(ours.port) as silent, Wire(ours.port) as half, Wire(ours.port) as trickle:
        half.send(hello[:30])
        for i in range(24):
            trickle.send(hello[i : i + 1])
            time.sleep(0.25)
        for wire in (silent, half, trickle):
            assert wire.read_all(30) == []
        assert 5 < time.monotonic() - started < 25


def test_half_a_packet_does_not_keep_a_connection(ours):
    """U7: keepalive counts whole packets."""
    started = time.monotonic()
    with Client(ours.port, keepalive=1) as client:
        client.send(first_bytes(mqtt.PUBLISH, 100) + mqtt.field("a/b"))
        while not client.eof and time.monotonic() < started + 20:
            client.send(b"x")
            client.idle_or_closed(0.2)
        assert client.eof
        assert time.monotonic() - started > 1.4


def test_queue_of_an_absent_client_is_bounded(ours, base):
    """D4: the oldest are dropped, what stays is in order."""
    with Client(ours.port) as writer, Client(ours.port, base, clean=False) as reader:
        reader.subscribe((base, 1))
        reader.disconnect()
        count = QUEUE + 300
        for i in range(1, count + 1):
            writer.send(mqtt.publish(base, b"%d" % i, qos=1, id=i))
        writer.expect(mqtt.Ack(mqtt.PUBACK, count))
        with Client(ours.port, base, clean=False) as again:
            got = [int(m.payload) for m in again.receive(QUEUE)]
            assert got == list(range(count - QUEUE + 1, count + 1))
            assert again.rest() == []


def test_mqtt_5_is_told_which_version_we_speak(ours):
    """[MQTT-3.1.2-2] so that clients fall back."""
    with Wire(ours.port) as wire:
        wire.send(mqtt.packet(mqtt.CONNECT, mqtt.field("MQTT") + b"\5\2\0\x3c\0" + mqtt.field("five")))
        assert wire.read_all() == [Connack(False, 1)]


def test_one_that_does_not_read_hinders_nobody(ours, base):
    """U6: it is bounded, then closed; the others get everything."""
    with Client(ours.port) as stuck, Client(ours.port) as reader, Client(ours.port) as writer:
        stuck.subscribe(base)
        reader.subscribe(base)
        for i in range(300):
            writer.publish(base, b"%d " % i + b"x" * 60_000)
            assert reader.one().payload.startswith(b"%d " % i)
        stuck.sock.settimeout(15)
        size = 0
        while data := stuck.sock.recv(1 << 20):
            size += len(data)
        assert size < 300 * 60_000
