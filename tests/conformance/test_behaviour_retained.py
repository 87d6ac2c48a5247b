"""Retained messages (3.3.1.3, 3.8.4)."""

import pytest

from . import packets as mqtt
from .client import Wire
from .packets import Publish

QOS = (0, 1, 2)


@pytest.mark.parametrize("wanted", QOS)
@pytest.mark.parametrize("sent", QOS)
def test_a_new_subscriber_gets_the_last_one(dial, base, sent, wanted):
    """[MQTT-3.3.1-5, -6, -8]"""
    with dial() as writer, dial() as reader:
        writer.publish(base, b"old", 1, retain=True)
        writer.publish(base, b"new", sent, retain=True)
        reader.subscribe((base, wanted))
        message = reader.one()
        assert (message.payload, message.qos, message.retain, message.dup) == (
            b"new",
            min(sent, wanted),
            True,
            False,
        )
        assert reader.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_live_delivery_does_not_carry_the_flag(dial, base, qos):
    """[MQTT-3.3.1-9]"""
    with dial() as writer, dial() as reader:
        reader.subscribe((base, qos))
        writer.publish(base, b"x", qos, retain=True)
        assert not reader.one().retain
        assert reader.rest() == []


def test_an_empty_one_clears(dial, base):
    """[MQTT-3.3.1-10, -11] it is delivered as a message, and nothing stays."""
    with dial() as writer, dial() as live, dial() as late:
        live.subscribe((base, 1))
        for payload in (b"x", b"", b""):
            writer.publish(base, payload, 1, retain=True)
        assert [(m.payload, m.retain) for m in live.receive(3)] == [(b"x", False), (b"", False), (b"", False)]
        late.subscribe((base, 1), (f"{base}/#", 1))
        assert late.rest() == []


def test_without_the_flag_nothing_is_stored_or_replaced(dial, base):
    """[MQTT-3.3.1-12]"""
    with dial() as writer, dial() as reader:
        writer.publish(f"{base}/a", b"kept", 1, retain=True)
        writer.publish(f"{base}/a", b"live", 1)
        writer.publish(f"{base}/a", b"", 1)
        writer.publish(f"{base}/b", b"live", 1)
        reader.subscribe(f"{base}/+")
        assert reader.one() == Publish(f"{base}/a", b"kept", retain=True)
        assert reader.rest() == []


def test_subscribing_again_sends_them_again(dial, base):
    """[MQTT-3.8.4-3]"""
    with dial() as writer, dial() as reader:
        writer.publish(f"{base}/a", b"x", 1, retain=True)
        for qos in (1, 1, 0):
            reader.subscribe((f"{base}/#", qos))
            message = reader.one()
            assert (message.payload, message.retain, message.qos) == (b"x", True, qos)
            assert reader.rest() == []


def test_only_the_one_who_subscribes_gets_them(dial, base):
    with dial() as writer, dial() as first, dial() as second:
        writer.publish(f"{base}/a", b"x", 1, retain=True)
        first.subscribe((f"{base}/#", 1))
        assert first.one().retain
        second.subscribe((f"{base}/#", 1))
        assert second.one().retain
        first.subscribe((f"{base}/other", 1))
        second.unsubscribe(f"{base}/#")
        assert first.rest() == second.rest() == []


def test_resuming_a_session_does_not_send_them(dial, base):
    """They belong to the topic, not to the session; only SUBSCRIBE asks for them."""
    with dial() as writer, dial(base, clean=False) as reader:
        writer.publish(f"{base}/a", b"x", 1, retain=True)
        reader.subscribe((f"{base}/#", 1))
        assert reader.one().retain
        assert reader.rest() == []
    with dial(base, clean=False) as reader:
        assert reader.session_present
        assert reader.rest() == []


def test_they_outlive_their_publisher(dial, base):
    """[MQTT-3.1.2-7]"""
    with dial(base) as writer:
        writer.publish(base, b"x", 0, retain=True)
        writer.disconnect()
    with dial(base) as again:
        again.disconnect()
    with dial() as reader:
        reader.subscribe(base)
        assert reader.one() == Publish(base, b"x", retain=True)


def test_a_wildcard_gets_each_once(dial, base):
    topics = {f"{base}/{i}/{j}" for i in range(5) for j in range(5)}
    with dial() as writer, dial() as reader:
        for topic in topics:
            writer.publish(topic, topic.encode(), 1, retain=True)
        writer.publish(f"{base}/elsewhere", b"x", 1, retain=True)
        reader.subscribe((f"{base}/+/+", 2))
        got = reader.receive(25)
        assert {m.topic for m in got} == topics
        assert all(m.payload == m.topic.encode() and m.retain for m in got)
        assert reader.rest() == []


def test_two_filters_of_one_packet(dial, base):
    """[MQTT-3.8.4-4] as two SUBSCRIBE packets: each may bring its own copy, at least one comes."""
    with dial() as writer, dial() as reader:
        writer.publish(f"{base}/a", b"x", 1, retain=True)
        reader.subscribe((f"{base}/a", 1), (f"{base}/+", 1))
        copies = [reader.one(), *reader.rest()]
        assert 1 <= len(copies) <= 2
        assert all(m.payload == b"x" and m.retain for m in copies)


def test_parent_of_a_hash_filter(dial, base):
    with dial() as writer, dial() as reader:
        writer.publish(base, b"parent", 1, retain=True)
        reader.subscribe(f"{base}/#")
        assert reader.one() == Publish(base, b"parent", retain=True)


def test_big_and_binary(dial, base):
    payload = bytes(range(256)) * 400
    with dial() as writer, dial() as reader:
        writer.publish(base, payload, 2, retain=True)
        reader.subscribe((base, 2))
        assert reader.one().payload == payload


def test_a_refused_connect_publishes_nothing(broker, dial, base):
    """[MQTT-3.1.4-5]"""
    refused = (mqtt.connect("", clean=False), mqtt.connect("", level=9), mqtt.connect("", flags=3))
    for connect in refused:
        with Wire(broker.port) as wire:
            wire.send(connect + mqtt.publish(base, b"x", retain=True))
            wire.read_all()
    with dial() as reader:
        reader.subscribe(base)
        assert reader.rest() == []
