"""Filters, matching, re-subscribing and unsubscribing (3.8, 3.10, 4.7)."""

import secrets

import pytest

MATCHES = (
    ("{t}", "{t}"),
    ("{t}/#", "{t}"),
    ("{t}/#", "{t}/"),
    ("{t}/#", "{t}/a/b/c"),
    ("{t}/+", "{t}/a"),
    ("{t}/+", "{t}/"),
    ("{t}/+/c", "{t}/b/c"),
    ("{t}/+/c", "{t}//c"),
    ("{t}/+/#", "{t}/b"),
    ("{t}/+/#", "{t}/b/c/d"),
    ("+/{t}", "/{t}"),
    ("/{t}", "/{t}"),
    ("+/+/{t}", "//{t}"),
    ("#", "{t}"),
    ("#", "/{t}"),
    ("+", "{t}"),
    ("+/#", "{t}"),
    ("{t}/ä/+", "{t}/ä/ö"),
    ("{t}/a b/#", "{t}/a b/c"),
    ("{t}/\ufeffa", "{t}/\ufeffa"),
    ("{t}/+/+/+/+", "{t}////"),
    ("{t}/$x/+", "{t}/$x/y"),
    ("{t}/+", "{t}/$x"),
    ("$probe/{t}/#", "$probe/{t}/a"),
)
MISSES = (
    ("{t}", "{t}/"),
    ("{t}/", "{t}"),
    ("{t}", "/{t}"),
    ("/{t}", "{t}"),
    ("{t}/a", "{t}/A"),
    ("{t}/+", "{t}"),
    ("{t}/+", "{t}/a/b"),
    ("{t}/+/c", "{t}/c"),
    ("{t}/+/+", "{t}/a"),
    ("{t}/a/#", "{t}/ab"),
    ("+", "/{t}"),
    ("+", "{t}/a"),
    ("+/+", "/{t}/a"),
    ("{t}/a", "{t}/\ufeffa"),
    ("{t}/\u00e9", "{t}/e\u0301"),
    ("{t}/a", "{t}/a "),
    ("#", "$probe/{t}"),
    ("+/{t}", "$probe/{t}"),
    ("+/{t}/#", "$probe/{t}/a"),
    ("{t}/$probe", "$probe"),
)


@pytest.mark.parametrize(("wanted", "topic"), MATCHES)
def test_filter_matches(broker, dial, base, wanted, topic):
    """[MQTT-4.7.1-2, 4.7.1-3, 4.7.2-1]"""
    payload = secrets.token_bytes(8)
    with dial() as reader, dial() as writer:
        codes = reader.subscribe(wanted.format(t=base))
        writer.publish(topic.format(t=base), payload)
        if broker.ours and topic.startswith("$"):  # which we refuse (PROTOCOLS, section 3)
            assert codes == (0x80,) and reader.rest() == []
            return
        assert codes == (0,)
        while (message := reader.one()).payload != payload:
            assert wanted[0] in "#+", "only these may see the messages of other tests"
        assert message.topic == topic.format(t=base)
        assert not [m for m in reader.rest() if m.payload == payload]


@pytest.mark.parametrize(("wanted", "topic"), MISSES)
def test_filter_does_not_match(dial, base, wanted, topic):
    """[MQTT-4.7.2-1, 4.7.3-4] and the examples of 4.7.1."""
    payload = secrets.token_bytes(8)
    with dial() as reader, dial() as writer:
        assert reader.subscribe(wanted.format(t=base)) == (0,)
        writer.publish(topic.format(t=base), payload)
        assert not [m for m in reader.rest() if m.payload == payload]


def test_sys_topics_are_not_for_everybody(dial, base):
    """[MQTT-4.7.2-1] retained $ topics neither."""
    with dial() as reader:
        reader.subscribe("#", "+/#", "+/broker/+", "+/+")
        assert not [m for m in reader.rest() if m.topic.startswith("$")]


def test_subscribing_again_replaces_the_qos(dial, base):
    """[MQTT-3.8.4-3]"""
    with dial() as reader, dial() as writer:
        for qos in (0, 2, 1, 0):
            reader.subscribe((base, qos))
            writer.publish(base, b"x", 2)
            assert reader.one().qos == qos
            assert reader.rest() == []


def test_overlapping_filters_deliver_the_highest_qos(broker, dial, base):
    """[MQTT-3.3.5-1] one copy with the highest QoS; further ones, if any, with those of the other filters."""
    with dial() as reader, dial() as writer:
        reader.subscribe((f"{base}/#", 0), (f"{base}/+", 2), (f"{base}/a", 1))
        writer.publish(f"{base}/a", b"x", 2)
        copies = [reader.one(), *reader.rest()]
        assert {m.payload for m in copies} == {b"x"}
        qos = sorted(m.qos for m in copies)
        assert set(qos) <= {0, 1, 2} and len(qos) == len(set(qos))
        if broker.ours:  # Mosquitto 2.0.11 sends one copy with the QoS of any of the filters
            assert qos[-1] == 2


def test_many_filters_in_one_packet_are_like_many_packets(dial, base):
    """[MQTT-3.8.4-4]"""
    with dial() as reader, dial() as writer:
        codes = reader.subscribe(*((f"{base}/{i}", i % 3) for i in range(50)))
        assert codes == tuple(i % 3 for i in range(50))
        for i in range(50):
            writer.publish(f"{base}/{i}", b"%d" % i, 2)
        messages = reader.receive(50)
        assert {(int(m.payload), m.qos) for m in messages} == {(i, i % 3) for i in range(50)}
        assert reader.rest() == []


def test_unsubscribing_ends_the_delivery(dial, base):
    """[MQTT-3.10.4-2]"""
    with dial() as reader, dial() as writer:
        reader.subscribe((base, 1), (f"{base}/+", 1))
        reader.unsubscribe(base)
        writer.publish(base, b"gone", 1)
        writer.publish(f"{base}/a", b"kept", 1)
        assert [m.payload for m in (reader.one(), *reader.rest())] == [b"kept"]
        reader.unsubscribe(f"{base}/+", "never", base)
        writer.publish(f"{base}/a", b"gone", 1)
        assert reader.rest() == []


def test_unsubscribing_compares_the_filter_itself(dial, base):
    """[MQTT-3.10.4-1]"""
    with dial() as reader, dial() as writer:
        reader.subscribe((f"{base}/+", 0))
        reader.unsubscribe(f"{base}/#", f"{base}/a", f"{base}/+/", "#", "+/+")
        writer.publish(f"{base}/a", b"kept")
        assert reader.one().payload == b"kept"


def test_unsubscribing_one_of_two_overlapping(dial, base):
    with dial() as reader, dial() as writer:
        reader.subscribe((f"{base}/+", 2), (f"{base}/#", 1))
        reader.unsubscribe(f"{base}/+")
        writer.publish(f"{base}/a", b"x", 2)
        assert [(m.payload, m.qos) for m in (reader.one(), *reader.rest())] == [(b"x", 1)]


def test_one_client_unsubscribing_leaves_the_others(dial, base):
    with dial() as stays, dial() as leaves, dial() as writer:
        stays.subscribe(f"{base}/#")
        leaves.subscribe(f"{base}/#")
        leaves.unsubscribe(f"{base}/#")
        writer.publish(f"{base}/a", b"x")
        assert stays.one().payload == b"x"
        assert leaves.rest() == []


def test_deep_topics(dial, base):
    deep = "/".join([base, *"abcdefghij" * 9])
    with dial() as reader, dial() as writer:
        reader.subscribe(f"{base}/#", deep.replace("/e/", "/+/"))
        writer.publish(deep, b"x")
        assert reader.one().topic == deep


def test_others_hear_all_while_one_comes_and_goes(dial, base):
    """RELIABILITY D5, small."""
    with dial() as reader, dial() as writer, dial() as churner:
        reader.subscribe((f"{base}/#", 1))
        for i in range(150):
            if i % 2:
                churner.unsubscribe(f"{base}/+")
            else:
                churner.subscribe((f"{base}/+", 1))
            writer.publish(f"{base}/{i % 3}", b"%d" % i, 1)
        assert [int(m.payload) for m in reader.receive(150)] == list(range(150))
