"""Several clients at once: take-overs that collide, sessions that come and go under load (D3, D5, D8)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from . import packets as mqtt
from .client import Client, Closed, Wire
from .packets import Ack, Connack, Publish

MANY = 30


@pytest.mark.parametrize("clean", (True, False), ids=("clean", "kept"))
def test_many_connections_with_one_id_at_once(broker, dial, base, clean):
    """[MQTT-3.1.4-2] exactly one stays, and it works."""
    wires = [Wire(broker.port).__enter__() for _ in range(MANY)]
    for wire in wires:
        wire.send(mqtt.connect(base, clean=clean), mqtt.subscribe(1, (base, 1)))
    with dial() as writer:
        for _ in range(3):
            writer.rest()
        writer.publish(base, b"x", 1)
        staying = []
        for wire in wires:
            if (packets := read_until_publish(wire)) is not None:
                staying.append(packets)
    for wire in wires:
        wire.cut()
    assert len(staying) == 1, staying


def read_until_publish(wire: Wire):
    """What came up to a PUBLISH, or None when the server closed."""
    found = []
    while (packet := wire.read()) is not None:
        assert not isinstance(packet, Connack) or (not found and packet.code == 0)
        found.append(packet)
        if isinstance(packet, Publish):
            return found
    return None


@pytest.mark.parametrize("qos", (1, 2))
def test_nothing_is_lost_while_a_kept_session_comes_and_goes(dial, base, qos):
    """QoS 1 at least once, QoS 2 exactly once, each in order, over 25 cuts under load."""
    count, got = 600, []
    done = threading.Event()

    def write():
        with dial() as writer:
            for i in range(count):
                writer.publish(base, b"%d" % i, qos)
        done.set()

    with dial(base, clean=False) as reader:
        reader.subscribe((base, qos))
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        held: dict[int, Publish] = {}
        for turn in range(200):
            last = turn > 25 and done.is_set()
            held = read_some(dial, base, got, held, None if last else 17 + turn, count)
            if last:
                break
        writing.result()
    numbers = [int(m.payload) for m in got]
    if qos == 2:
        assert numbers == list(range(count))
    else:
        first = list(dict.fromkeys(numbers))
        assert first == list(range(count))
        assert all(m.dup for i, m in enumerate(got) if int(m.payload) in numbers[:i])


def read_some(dial, name, got, held, limit, count):
    """Receive up to `limit` messages and cut before the last is acknowledged; None: all that is left."""
    with dial(name, clean=False, acks="none") as reader:
        seen = 0
        while limit is None or seen < limit:
            if limit is None and len({m.payload for m in got}) == count and not held:
                reader.ping()
                break
            try:
                packet = reader.pump(0.2 if limit else 15)
            except TimeoutError:
                break
            if isinstance(packet, Publish):
                seen += 1
                accept(reader, packet, got, held, seen == limit)
            elif isinstance(packet, Ack) and packet.kind == mqtt.PUBREL:
                held.pop(packet.id, None)
                reader.send(mqtt.ack(mqtt.PUBCOMP, packet.id))
                reader.unfinished.pop(packet.id, None)
    return held


def accept(reader: Client, message: Publish, got: list, held: dict, silently: bool) -> None:
    """Take a message as a careful client does: QoS 2 is known by its id until PUBREL."""
    if message.qos == 1:
        got.append(message)
        if not silently:
            reader.unfinished.pop(message.id, None)
            reader.send(mqtt.ack(mqtt.PUBACK, message.id))
        return
    if message.id in held:
        assert message.dup and held[message.id].payload == message.payload
    else:
        held[message.id] = message
        got.append(message)
    if not silently:
        reader.send(mqtt.ack(mqtt.PUBREC, message.id))


def test_many_publishers_keep_their_order(dial, base):
    """D8: per topic, QoS and publisher."""
    publishers, count = 6, 150

    def write(who):
        with dial() as writer:
            for i in range(count):
                writer.publish(f"{base}/{i % 3}", b"%d %d" % (who, i), who % 3)

    with dial() as reader, ThreadPoolExecutor(publishers) as pool:
        reader.subscribe((f"{base}/+", 2))
        writing = [pool.submit(write, who) for who in range(publishers)]
        messages = reader.receive(publishers * count)
        for each in writing:
            each.result()
        assert reader.rest() == []
    for who in range(publishers):
        for topic in range(3):
            numbers = [
                int(m.payload.split()[1])
                for m in messages
                if m.topic == f"{base}/{topic}" and m.payload.startswith(b"%d " % who)
            ]
            assert numbers == list(range(topic, count, 3))


def test_churn_disturbs_nobody(dial, base):
    """D5: clients that connect, subscribe, publish retained messages and vanish, all the time."""
    stop = threading.Event()

    def churn(who):
        while not stop.is_set():
            try:
                with dial(f"{base}-{who}", clean=who % 2 == 0, acks="none") as client:
                    client.subscribe((f"{base}/#", 2))
                    client.send(mqtt.publish(f"{base}-churn/{who}", b"x", retain=True))
            except Closed:
                pass

    with dial() as reader, dial() as writer, ThreadPoolExecutor(3) as pool:
        churning = [pool.submit(churn, who) for who in range(3)]
        reader.subscribe((f"{base}/#", 2))
        try:
            for i in range(300):
                writer.publish(f"{base}/a", b"%d" % i, i % 3)
            assert [int(m.payload) for m in reader.receive(300) if m.qos == 1] == list(range(1, 300, 3))
            assert reader.rest() == []
        finally:
            stop.set()
        for each in churning:
            each.result()
