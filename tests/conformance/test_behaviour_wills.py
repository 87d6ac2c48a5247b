"""Last wills and keepalive (3.1.2.5, 3.1.2.10, 3.14.4)."""

import time

import pytest

from . import packets as mqtt
from .client import Client, Wire
from .packets import Will

QOS = (0, 1, 2)
# Ends of a connection that are not a DISCONNECT.
VIOLATIONS = {
    "reserved type": b"\xf0\0",
    "second CONNECT": mqtt.connect("other"),
    "bad topic": mqtt.publish("a/+", b"x"),
    "DISCONNECT with flags": b"\xe1\0",
    "DISCONNECT with a body": b"\xe0\1\0",
    "half a packet": b"\x30\x10ab",
}


@pytest.fixture
def reader(dial, base):
    with dial() as client:
        client.subscribe((f"{base}/#", 2))
        yield client


@pytest.mark.parametrize("qos", QOS)
def test_a_cut_publishes_the_will(dial, base, reader, qos):
    """[MQTT-3.1.2-8, -16]"""
    will = Will(f"{base}/w", b"\x00gone\xff", qos)
    with dial(base, will=will) as client:
        client.ping()
    message = reader.one()
    assert (message.topic, message.payload, message.qos, message.retain) == (
        will.topic,
        will.payload,
        qos,
        False,
    )
    assert reader.rest() == []
    with dial() as late:
        late.subscribe(will.topic)
        assert late.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_a_goodbye_discards_the_will(dial, base, reader, qos):
    """[MQTT-3.1.2-10, 3.14.4-3]"""
    with dial(base, will=Will(f"{base}/w", b"x", qos, True)) as client:
        client.disconnect()
    with dial(base) as again:
        again.ping()
    assert reader.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_a_retained_will_stays(dial, base, reader, qos):
    """[MQTT-3.1.2-17]"""
    will = Will(f"{base}/w", b"offline", qos, True)
    with dial(base, will=will) as client:
        client.publish(will.topic, b"online", 1, retain=True)
        assert reader.one().payload == b"online"
    message = reader.one()
    assert (message.payload, message.retain) == (b"offline", False)
    with dial() as late:
        late.subscribe((will.topic, 2))
        message = late.one()
        assert (message.payload, message.qos, message.retain) == (b"offline", qos, True)


def test_an_empty_retained_will_clears(dial, base, reader):
    will = Will(f"{base}/w", b"", 1, True)
    with dial(base, will=will) as client:
        client.publish(will.topic, b"online", 1, retain=True)
    assert [m.payload for m in reader.receive(2)] == [b"online", b""]
    with dial() as late:
        late.subscribe(will.topic)
        assert late.rest() == []


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_publishes_the_will(broker, dial, base, reader, name):
    """3.1.2.5: the server closes because of a protocol error."""
    with dial(base, will=Will(f"{base}/w", b"x", 1)) as client:
        client.send(VIOLATIONS[name])
        client.finish()
        client.wait_closed()
    if broker.ours or name != "second CONNECT":  # for which Mosquitto 2.0.11 forgets the will
        assert reader.one().payload == b"x"
    assert reader.rest() == []


@pytest.mark.parametrize("clean", (True, False))
def test_a_take_over_publishes_the_will_once(broker, dial, base, reader, clean):
    with dial(base, clean=clean, will=Will(f"{base}/w", b"first", 1)) as old:
        with dial(base, clean=clean, will=Will(f"{base}/w", b"second", 1)) as new:
            old.wait_closed()
            if broker.ours or clean:  # Mosquitto 2.0.11 forgets the will of a session that is resumed
                assert reader.one().payload == b"first"
            new.ping()
            assert reader.rest() == []
            new.disconnect()
    assert reader.rest() == []


def test_a_will_belongs_to_one_connection(dial, base, reader):
    """[MQTT-3.1.2-10] published once; the next connection of the session has its own or none."""
    with dial(base, clean=False, will=Will(f"{base}/w", b"x", 1)) as client:
        client.ping()
    assert reader.one().payload == b"x"
    with dial(base, clean=False) as client:
        client.ping()
    with dial(base, clean=False) as client:
        client.disconnect()
    assert reader.rest() == []


def test_a_kept_session_receives_its_own_will(dial, base, reader):
    with dial(base, clean=False, will=Will(f"{base}/w", b"x", 1)) as client:
        client.subscribe((f"{base}/w", 1))
    assert reader.one().payload == b"x"
    with dial(base, clean=False) as client:
        assert client.one().payload == b"x"


def test_a_refused_connect_has_no_will(broker, base, reader):
    """[MQTT-3.1.4-5]"""
    will = Will(f"{base}/w", b"x", 1)
    refused = mqtt.connect("", clean=False, will=will), mqtt.connect(base, level=9, will=will)
    malformed = mqtt.connect(base, flags=7, will=will), mqtt.connect(base, will=will)[:-1]
    for data in refused + malformed:
        with Wire(broker.port) as wire:
            wire.send(data)
            wire.finish()
            wire.read_all()
    assert reader.rest() == []


def test_keepalive(broker, base, reader):
    """[MQTT-3.1.2-24] Silence ends a connection after 1.5 times its keepalive; whole packets prevent it."""
    started = time.monotonic()
    silent = Client(broker.port, f"{base}-1", keepalive=2, will=Will(f"{base}/w", b"silent", 1))
    trickling = Client(broker.port, f"{base}-2", keepalive=2, will=Will(f"{base}/w", b"trickling", 1))
    pinging = Client(broker.port, f"{base}-3", keepalive=2, will=Will(f"{base}/w", b"pinging", 1))
    forever = Client(broker.port, f"{base}-4", keepalive=0, will=Will(f"{base}/w", b"forever", 1))
    with silent, trickling, pinging, forever:
        trickling.send(b"\x30\x7f\x00\x70")
        while not reader.messages or (broker.ours and len(reader.messages) < 2):
            assert time.monotonic() < started + 30
            pinging.ping()
            trickling.send(b"x")
            reader.idle(0.4)
        assert 2.9 < time.monotonic() - started < (8 if broker.ours else 30)
        wills = [m.payload for m in reader.receive(len(reader.messages))]
        assert b"silent" in wills and set(wills) <= {b"silent", b"trickling"}
        silent.wait_closed()
        pinging.ping()
        forever.ping()
        pinging.disconnect()
        forever.disconnect()
    assert not {m.payload for m in reader.rest()} & {b"silent", b"pinging", b"forever"}
