"""Large numbers, deep topics, clients that do not read: the server may refuse them, and serves the others."""

import itertools
import socket

import psutil
import pytest

from . import packets as mqtt
from .client import Client, Closed, Wire
from .packets import Connack, Will

ODD_IDS = ("a" * 24, "a" * 1000, "#", "+", "a/b", "$SYS", " ", "é", "\U0001f600", "a\nb", "../../x", "'; --")


@pytest.fixture
def well(dial, base):
    """A client that must go on undisturbed during the test."""
    with dial() as client:
        client.subscribe((f"{base}/#", 1))
        yield client
        client.publish(f"{base}/well", b"well", 1)
        assert client.one().payload == b"well"
        assert client.rest() == []


@pytest.mark.parametrize("client_id", ODD_IDS, ids=range(len(ODD_IDS)))
def test_odd_client_ids(broker, well, client_id):
    """[MQTT-3.1.3-5, -9] only 1 to 23 letters and digits are sure to be taken; others get 0 or 2.
    With a control character the server may also close [1.5.3]."""
    with Wire(broker.port) as wire:
        wire.send(mqtt.connect(client_id), mqtt.PING)
        allowed = [Connack(False, 0), Connack(False, 2)] + [None] * ("\n" in client_id)
        assert wire.read() in allowed


@pytest.mark.parametrize("levels", (150, 1000, 30000))
@pytest.mark.parametrize("word", ("", "a", "+", "a/+"))
def test_filters_of_many_levels(dial, well, levels, word):
    """Matching must not depend on the depth of a call stack, nor take for ever."""
    levels //= word.count("/") + 1
    wanted = "/".join([word] * levels)
    topic = "/".join([word.replace("+", "a")] * levels)
    try:
        with dial() as client:
            codes = client.subscribe((wanted, 1), (f"{wanted}/#", 1))
            client.publish(topic, b"deep", 1, retain=True)
            if 0x80 in codes:  # refused for their depth
                assert levels > 150
                client.publish(topic, b"", 1, retain=True)
                return
            assert client.one().topic == topic
            client.subscribe(f"{wanted}/#")
            client.publish(topic, b"", 1, retain=True)
            client.unsubscribe(wanted, f"{wanted}/#")
    except Closed:
        assert levels > 150


def test_filters_that_branch_at_every_level(dial, base, well):
    """All 2^10 mixtures of a level and `+`: one message still comes."""
    mixtures = ["/".join(("x", base, *words)) for words in itertools.product(("a", "+"), repeat=10)]
    with dial() as client:
        for start in range(0, len(mixtures), 128):
            client.subscribe(*((wanted, 1) for wanted in mixtures[start : start + 128]))
        client.publish("/".join(("x", base, *"aaaaaaaaaa")), b"x", 1)
        assert {m.payload for m in (client.one(), *client.rest())} == {b"x"}
        client.unsubscribe(*mixtures)


def test_thousands_of_retained_messages(dial, base, well):
    with dial() as writer, dial() as reader:
        topics = [f"r/{base}/{i}" for i in range(2000)]
        writer.send(*(mqtt.publish(t, b"x" * 20, qos=1, id=i + 1, retain=True) for i, t in enumerate(topics)))
        writer.expect(mqtt.Ack(mqtt.PUBACK, 2000))
        for qos in (0, 1, 2):
            reader.subscribe((f"r/{base}/+", qos))
            assert {m.topic for m in reader.receive(2000)} == set(topics)
            assert reader.rest() == []
        writer.send(*(mqtt.publish(t, retain=True) for t in topics))
        writer.ping()


@pytest.mark.parametrize("qos", (0, 1, 2))
def test_large_retained_messages_all_come(dial, base, well, qos):
    """More than any write buffer holds, to a client that reads."""
    with dial() as writer, dial() as reader:
        topics = {f"r/{base}/{i}" for i in range(100)}
        for topic in topics:
            writer.publish(topic, b"x" * 100_000, 1, retain=True)
        reader.subscribe((f"r/{base}/+", qos))
        assert {m.topic for m in reader.receive(100)} == topics
        assert reader.rest() == []
        for topic in topics:
            writer.publish(topic, retain=True)


def test_large_messages_wait_for_an_absent_client(dial, base, well):
    """20 MB: less than the bound of an offline queue, more than any write buffer."""
    with dial() as writer:
        with dial(base, clean=False) as reader:
            reader.subscribe((f"q/{base}", 1))
            reader.disconnect()
        for i in range(200):
            writer.publish(f"q/{base}", b"%d " % i + b"x" * 100_000, 1)
        with dial(base, clean=False) as reader:
            assert [int(m.payload.split()[0]) for m in reader.receive(200)] == list(range(200))
            assert reader.rest() == []


def test_a_client_that_does_not_read_its_answers(ours, base):
    """U6: we stop reading or close; Mosquitto keeps the answers."""
    process = psutil.Process(ours.process.pid)
    before = process.memory_info().rss
    with Client(ours.port) as client, Client(ours.port) as well:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.setblocking(False)
        sent, stalled = 0, 0
        while sent < 64_000_000 and stalled < 20:
            try:
                sent += client.sock.send(mqtt.PING * 50_000)
                stalled = 0
            except BlockingIOError:
                stalled += 1
                well.idle(0.05)
            except OSError:
                break
        well.ping()
        assert process.memory_info().rss - before < 40_000_000


def test_qos_2_publishes_never_released(dial, base, well):
    """A server keeps their ids, and may close when it is too many."""
    with dial() as client:
        client.sock.settimeout(15)
        try:
            for start in range(1, 6000, 1000):
                ids = range(start, start + 1000)
                client.send(b"".join(mqtt.publish("never", b"x", qos=2, id=i) for i in ids))
                client.expect(mqtt.Ack(mqtt.PUBREC, ids[-1]))
                client.control.clear()
        except (TimeoutError, Closed):
            assert start > 1


def test_thousands_of_filters(dial, base, well):
    with dial() as client:
        try:
            codes = client.subscribe(*((f"f/{base}/{i}", i % 3) for i in range(4000)))
            assert set(codes) <= {0, 1, 2, 0x80}
            client.unsubscribe(*(f"f/{base}/{i}" for i in range(4000)))
        except Closed:
            return


def test_hundreds_of_clients(dial, base, well):
    clients = [dial(f"{base}-{i}", will=Will(f"{base}-wills/{i}", b"x", 1)) for i in range(300)]
    with dial() as watcher:
        watcher.subscribe((f"{base}-wills/+", 1))
        for client in clients:
            client.__enter__()
            client.subscribe(f"{base}-all")
        watcher.publish(f"{base}-all", b"all")
        for client in clients:
            assert client.one().payload == b"all"
        for client in clients:
            client.cut()
        assert len({m.topic for m in watcher.receive(300)}) == 300
        assert watcher.rest() == []


def test_wrong_kind_of_acknowledgement(dial, base, well):
    """PUBACK for QoS 2, PUBREC for QoS 1, PUBCOMP too early: no hang, and nothing for others."""
    for kind, qos in ((mqtt.PUBACK, 2), (mqtt.PUBREC, 1), (mqtt.PUBCOMP, 2), (mqtt.PUBCOMP, 1)):
        try:
            with dial(acks="none") as client:
                client.subscribe((f"w/{base}", qos))
                client.publish(f"w/{base}", b"x", qos)
                client.send(mqtt.ack(kind, client.one().id))
                client.ping()
                client.publish(f"w/{base}", b"y", qos)
                assert client.one().payload == b"y"
        except Closed:
            continue
