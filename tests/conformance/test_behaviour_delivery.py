"""Messages from one client to another: QoS, order, payloads, exactly once (3.3, 4.3, 4.4, 4.6)."""

import pytest

from . import packets as mqtt
from .packets import Ack, Publish

QOS = (0, 1, 2)
SIZES = (0, 1, 116, 117, 118, 1000, 16370, 16384, 65535, 65536, 100 * 1024)


@pytest.mark.parametrize("wanted", QOS)
@pytest.mark.parametrize("sent", QOS)
def test_delivered_qos_is_the_lower_one(dial, base, sent, wanted):
    """[MQTT-3.8.4-6]"""
    with dial() as reader, dial() as writer:
        assert reader.subscribe((base, wanted)) == (wanted,)
        writer.publish(base, b"x", sent)
        message = reader.one()
        assert (message.topic, message.payload, message.qos) == (base, b"x", min(sent, wanted))
        assert not message.dup and not message.retain
        assert reader.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_payloads_of_any_size_pass_unchanged(dial, base, qos):
    with dial() as reader, dial() as writer:
        reader.subscribe((base, qos))
        for size in SIZES:
            payload = (bytes(range(256)) * (size // 256 + 1))[:size]
            writer.publish(base, payload, qos)
            assert reader.one().payload == payload
        assert reader.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_order_of_a_burst_is_kept(dial, base, qos):
    """[MQTT-4.6.0-6]; the handshakes are answered as they come."""
    with dial() as reader, dial() as writer:
        reader.subscribe((base, qos))
        count = 300
        for i in range(1, count + 1):
            writer.send(mqtt.publish(base, b"%d" % i, qos=qos, id=i if qos else None))
        for i in range(1, count + 1 if qos == 2 else 1):
            writer.expect(Ack(mqtt.PUBREC, i))
            writer.send(mqtt.ack(mqtt.PUBREL, i))
        writer.ping()
        assert [int(m.payload) for m in reader.receive(count)] == list(range(1, count + 1))
        assert reader.rest() == []


@pytest.mark.parametrize("qos", QOS)
def test_every_subscriber_gets_one_copy(dial, base, qos):
    readers = [dial() for _ in range(15)]
    with dial() as writer:
        for reader in readers:
            reader.__enter__()
            reader.subscribe((f"{base}/+", qos))
        writer.publish(f"{base}/a", b"x", qos)
        for reader in readers:
            assert reader.one().payload == b"x"
            assert reader.rest() == []
            reader.cut()


def test_a_client_hears_itself(dial, base):
    with dial() as client:
        client.subscribe((base, 2))
        for qos in QOS:
            client.publish(base, b"x", qos)
        assert [m.qos for m in client.receive(3)] == [0, 1, 2]


def test_dup_is_not_passed_on(dial, base):
    """[MQTT-3.3.1-3]"""
    with dial() as reader, dial() as writer:
        reader.subscribe((base, 2))
        for qos in (1, 2):
            writer.send(mqtt.publish(base, b"x", qos=qos, id=5, dup=True))
            if qos == 2:
                writer.send(mqtt.ack(mqtt.PUBREL, 5))
            message = reader.one()
            assert message.qos == qos and not message.dup


def test_qos_2_sent_twice_is_delivered_once(broker, dial, base):
    """[MQTT-4.3.3-2]"""
    with dial() as reader, dial() as writer:
        reader.subscribe((base, 2))
        for dup in (False, True, True)[: 3 if broker.ours else 2]:  # Mosquitto closes on the third
            writer.send(mqtt.publish(base, b"first", qos=2, id=8, dup=dup))
            writer.expect(Ack(mqtt.PUBREC, 8))
        for _ in range(2):
            writer.send(mqtt.ack(mqtt.PUBREL, 8))
            writer.expect(Ack(mqtt.PUBCOMP, 8))
        assert reader.one().payload == b"first"
        assert reader.rest() == []
        writer.send(mqtt.publish(base, b"second", qos=2, id=8), mqtt.ack(mqtt.PUBREL, 8))
        writer.expect(Ack(mqtt.PUBCOMP, 8))
        assert reader.one().payload == b"second"


def test_qos_2_resumed_by_the_publisher_is_delivered_once(dial, base):
    """[MQTT-4.4.0-1] the id is part of the session: a resent PUBLISH is the same message."""
    with dial() as reader:
        reader.subscribe((base, 2))
        with dial(f"{base}-w", clean=False) as writer:
            writer.send(mqtt.publish(base, b"x", qos=2, id=3))
            writer.expect(Ack(mqtt.PUBREC, 3))
        with dial(f"{base}-w", clean=False) as writer:
            assert writer.session_present
            writer.send(mqtt.publish(base, b"x", qos=2, id=3, dup=True))
            writer.expect(Ack(mqtt.PUBREC, 3))
            writer.send(mqtt.ack(mqtt.PUBREL, 3))
            writer.expect(Ack(mqtt.PUBCOMP, 3))
        assert reader.one().payload == b"x"
        assert reader.rest() == []


def test_a_clean_session_forgets_ids_of_the_publisher(dial, base):
    """[MQTT-3.1.2-6] the same id after a clean start is another message."""
    with dial() as reader:
        reader.subscribe((base, 2))
        for payload in (b"one", b"two"):
            with dial(f"{base}-w") as writer:
                writer.send(mqtt.publish(base, payload, qos=2, id=3))
                writer.expect(Ack(mqtt.PUBREC, 3))
                writer.send(mqtt.ack(mqtt.PUBREL, 3))
                writer.expect(Ack(mqtt.PUBCOMP, 3))
        assert [m.payload for m in reader.receive(2)] == [b"one", b"two"]


def test_ids_of_both_directions_are_independent(dial, base):
    """2.3.1: client and server may use the same id at the same time."""
    with dial(acks="none") as client:
        client.subscribe((base, 2))
        client.send(mqtt.publish(base, b"x", qos=2, id=1))
        client.expect(Ack(mqtt.PUBREC, 1))
        client.send(mqtt.ack(mqtt.PUBREL, 1))
        client.expect(Ack(mqtt.PUBCOMP, 1))
        ident = client.one().id
        client.send(mqtt.publish(f"{base}/other", b"y", qos=2, id=ident))
        client.expect(Ack(mqtt.PUBREC, ident))
        client.send(mqtt.ack(mqtt.PUBREC, ident))
        client.expect(Ack(mqtt.PUBREL, ident))
        client.send(mqtt.ack(mqtt.PUBREL, ident), mqtt.ack(mqtt.PUBCOMP, ident))
        client.expect(Ack(mqtt.PUBCOMP, ident))
        client.ping()


@pytest.mark.parametrize("qos", (1, 2))
def test_acknowledgements_in_any_order(dial, base, qos):
    with dial(acks="none") as reader, dial() as writer:
        reader.subscribe((base, qos))
        for i in range(6):
            writer.publish(base, b"%d" % i, qos)
        ids = [m.id for m in reader.receive(6)]
        assert len(set(ids)) == 6
        for ident in reversed(ids):
            reader.send(mqtt.ack(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, ident))
        for ident in reversed(ids if qos == 2 else []):
            reader.expect(Ack(mqtt.PUBREL, ident))
            reader.send(mqtt.ack(mqtt.PUBCOMP, ident))
        reader.unfinished.clear()
        writer.publish(base, b"last", qos)
        assert reader.one().payload == b"last"
        assert reader.rest() == []


def test_one_that_never_acknowledges_hinders_nobody(dial, base):
    with dial(acks="none") as lazy, dial() as reader, dial() as writer:
        lazy.subscribe((base, 2))
        reader.subscribe((base, 2))
        for i in range(100):
            writer.publish(base, b"%d" % i, 1 + i % 2)
        assert [int(m.payload) for m in reader.receive(100)] == list(range(100))
        lazy.ping()


def test_one_publish_per_write_or_many(dial, base):
    """4.2: packets do not depend on how TCP cuts them."""
    with dial() as reader, dial() as writer:
        reader.subscribe(base)
        stream = b"".join(mqtt.publish(base, b"%d" % i) for i in range(40))
        for start in range(0, len(stream), 7):
            writer.send(stream[start : start + 7])
        assert [int(m.payload) for m in reader.receive(40)] == list(range(40))


def test_nothing_after_a_bad_packet_is_acted_on(dial, base):
    """[MQTT-4.8.0-1] what stood before the violation counts, what stands after does not."""
    with dial() as reader, dial() as writer:
        reader.subscribe(base)
        bad = mqtt.publish(f"{base}/+", b"x")
        writer.send(mqtt.publish(base, b"before") + bad + mqtt.publish(base, b"after"))
        writer.wait_closed()
        assert reader.one() == Publish(base, b"before")
        assert reader.rest() == []
