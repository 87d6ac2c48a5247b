"""Clean and kept sessions, what waits for an absent client, redelivery, take-over (3.1.2.4, 4.1, 4.4)."""

import pytest

from . import packets as mqtt
from .packets import Ack


def leave(client, graceful: bool) -> None:
    """End the connection; a cut only after the server has read everything before it."""
    client.ping()
    if graceful:
        client.disconnect()
    else:
        client.cut()


def test_session_present(dial, base):
    """[MQTT-3.2.2-1, -2, -3, 3.1.2-4, -6]"""
    for clean, present in ((False, False), (False, True), (True, False), (False, False), (False, True)):
        with dial(base, clean=clean) as client:
            assert client.session_present is present
            client.disconnect()


@pytest.mark.parametrize("graceful", (True, False), ids=("goodbye", "cut"))
def test_a_clean_session_leaves_nothing(dial, base, graceful):
    """[MQTT-3.1.2-6]"""
    with dial(base) as client, dial() as writer:
        client.subscribe((base, 2))
        leave(client, graceful)
        writer.publish(base, b"x", 2)
    with dial(base, clean=False) as client:
        assert not client.session_present
        assert client.rest() == []


@pytest.mark.parametrize("graceful", (True, False), ids=("goodbye", "cut"))
def test_messages_wait_for_an_absent_client(dial, base, graceful):
    """[MQTT-3.1.2-5, 4.6.0-6]"""
    with dial() as writer:
        with dial(base, clean=False) as client:
            client.subscribe((f"{base}/#", 2), (f"{base}/one", 1))
            leave(client, graceful)
        for i in range(100):
            writer.publish(f"{base}/two", b"%d" % i, 1 + i % 2, retain=i == 7)
        with dial(base, clean=False) as client:
            assert client.session_present
            messages = client.receive(100)
            for qos in (1, 2):
                want = [i for i in range(100) if 1 + i % 2 == qos]
                assert [int(m.payload) for m in messages if m.qos == qos] == want
            assert not any(m.retain for m in messages)
            assert client.rest() == []
            writer.publish(f"{base}/one", b"live", 1)
            assert client.one().payload == b"live"


def test_absent_and_qos_0(dial, base):
    """3.1.2.4: QoS 0 may be kept or dropped, and later ones arrive in any case."""
    with dial() as writer, dial(base, clean=False) as client:
        client.subscribe((base, 0))
        leave(client, True)
        writer.publish(base, b"absent", 2)
        with dial(base, clean=False) as again:
            writer.publish(base, b"live", 0)
            messages = [again.one()]
            if messages[0].payload == b"absent":
                messages.append(again.one())
            assert messages[-1].payload == b"live"
            assert again.rest() == []


def test_subscriptions_are_kept_as_they_were_last(dial, base):
    with dial() as writer, dial(base, clean=False) as client:
        client.subscribe((f"{base}/a", 2), (f"{base}/b", 2), (f"{base}/c", 2))
        client.subscribe((f"{base}/a", 1))
        client.unsubscribe(f"{base}/b")
        leave(client, True)
        with dial(base, clean=False) as again:
            for word in "abc":
                writer.publish(f"{base}/{word}", word.encode(), 2)
            assert [(m.payload, m.qos) for m in again.receive(2)] == [(b"a", 1), (b"c", 2)]
            assert again.rest() == []


def test_what_waits_goes_with_a_clean_start(dial, base):
    with dial() as writer, dial(base, clean=False) as client:
        client.subscribe((base, 2))
        leave(client, True)
        writer.publish(base, b"x", 2)
        with dial(base) as clean:
            assert not clean.session_present
            assert clean.rest() == []
            leave(clean, True)
        with dial(base, clean=False) as again:
            assert not again.session_present
            assert again.rest() == []


@pytest.mark.parametrize("qos", (1, 2))
def test_unacknowledged_messages_come_again(dial, base, qos):
    """[MQTT-4.4.0-1, 3.3.1-1, 4.6.0-1] same id, DUP, same order, as often as it takes."""
    with dial() as writer:
        with dial(base, clean=False, acks="none") as client:
            client.subscribe((base, qos))
            for i in range(8):
                writer.publish(base, b"%d" % i, qos)
            first = client.receive(8)
            assert not any(m.dup for m in first)
            leave(client, False)
        for acks in ("none", "none", "all"):
            with dial(base, clean=False, acks=acks) as client:
                again = client.receive(8)
                assert [(m.id, m.payload) for m in again] == [(m.id, m.payload) for m in first]
                assert all(m.dup for m in again)
                leave(client, False)
        with dial(base, clean=False) as client:
            assert client.rest() == []


@pytest.mark.parametrize("qos", (1, 2))
def test_more_than_a_window(dial, base, qos):
    """4.4: what was sent comes first and again, then what had to wait, all in order."""
    count = 120
    with dial() as writer:
        with dial(base, clean=False, acks="none") as client:
            client.subscribe((base, qos))
            for i in range(count // 2):
                writer.publish(base, b"%d" % i, qos)
            seen = [client.one()]
            client.ping()
            seen += client.messages
        for i in range(count // 2, count):
            writer.publish(base, b"%d" % i, qos)
        with dial(base, clean=False) as client:
            messages = client.receive(count)
            assert [int(m.payload) for m in messages] == list(range(count))
            assert [(m.id, m.dup) for m in messages[: len(seen)]] == [(m.id, True) for m in seen]
            assert client.rest() == []


def test_unsubscribing_does_not_stop_what_is_under_way(dial, base):
    """[MQTT-3.10.4-3]"""
    with dial() as writer, dial(base, clean=False, acks="none") as client:
        client.subscribe((base, 2))
        for qos in (1, 2):
            writer.publish(base, b"%d" % qos, qos)
        first = client.receive(2)
        client.unsubscribe(base)
        leave(client, False)
        writer.publish(base, b"late", 1)
        with dial(base, clean=False) as client:
            assert [(m.id, m.payload, m.qos, m.dup) for m in client.receive(2)] == [
                (m.id, m.payload, m.qos, True) for m in first
            ]
            assert client.rest() == []


def test_only_the_unacknowledged_come_again(dial, base):
    """[MQTT-4.3.2-1] and what was sent meanwhile follows."""
    with dial() as writer:
        with dial(base, clean=False, acks="none") as client:
            client.subscribe((base, 1))
            for i in range(6):
                writer.publish(base, b"%d" % i, 1)
            first = client.receive(6)
            client.send(*(mqtt.ack(mqtt.PUBACK, first[i].id) for i in (0, 3, 5)))
            leave(client, False)
        for i in (6, 7):
            writer.publish(base, b"%d" % i, 1)
        with dial(base, clean=False, acks="none") as client:
            again = client.receive(5)
            assert [int(m.payload) for m in again] == [1, 2, 4, 6, 7]
            assert [m.id for m in again[:3]] == [first[i].id for i in (1, 2, 4)]
            assert all(m.dup for m in again[:3])
            assert len({m.id for m in again}) == 5


def test_qos_2_resumes_with_pubrel(dial, base):
    """[MQTT-4.3.3-1, 4.4.0-1] after PUBREC the PUBLISH never comes again, the PUBREL does."""
    with dial() as writer, dial(base, clean=False, acks="half") as client:
        client.subscribe((base, 2))
        for i in range(3):
            writer.publish(base, b"%d" % i, 2)
        ids = [m.id for m in client.receive(3)]
        for ident in ids:
            client.expect(Ack(mqtt.PUBREL, ident))
        leave(client, False)
        with dial(base, clean=False, acks="half") as client:
            for ident in ids:
                client.expect(Ack(mqtt.PUBREL, ident))
            assert not client.messages
            leave(client, False)
        with dial(base, clean=False) as client:
            for ident in ids:
                client.expect(Ack(mqtt.PUBREL, ident))
            assert client.rest() == []
            leave(client, False)
        with dial(base, clean=False) as client:
            assert client.rest() == []
            assert not client.control


def test_a_clean_session_gets_nothing_again(dial, base):
    with dial() as writer, dial(base, acks="none") as client:
        client.subscribe((base, 2))
        writer.publish(base, b"x", 2)
        client.one()
        leave(client, False)
    with dial(base) as client:
        assert client.rest() == []


def test_the_newest_connection_takes_over(dial, base):
    """[MQTT-3.1.4-2]"""
    with dial() as writer, dial(base) as old:
        old.subscribe((base, 1))
        with dial(base) as new:
            old.wait_closed()
            new.subscribe((base, 1))
            writer.publish(base, b"x", 1)
            assert new.one().payload == b"x"
            assert new.rest() == []


def test_take_over_continues_a_kept_session(dial, base):
    with dial() as writer, dial(base, clean=False, acks="none") as old:
        old.subscribe((base, 1))
        writer.publish(base, b"1", 1)
        first = old.one()
        with dial(base, clean=False) as new:
            old.wait_closed()
            assert new.session_present
            again = new.one()
            assert (again.id, again.payload, again.dup) == (first.id, b"1", True)
            writer.publish(base, b"2", 1)
            assert new.one().payload == b"2"
            assert new.rest() == []


def test_clean_take_over_discards_the_session(dial, base):
    with dial() as writer, dial(base, clean=False) as old:
        old.subscribe((base, 1))
        with dial(base) as new:
            old.wait_closed()
            assert not new.session_present
            writer.publish(base, b"x", 1)
            assert new.rest() == []


def test_taken_over_many_times(dial, base):
    with dial() as writer:
        old = None
        for turn in range(20):
            client = dial(base, clean=False).__enter__()
            assert client.session_present is (turn > 0)
            client.subscribe((base, 1))
            if old:
                old.wait_closed()
                old.cut()
            old = client
        writer.publish(base, b"x", 1)
        assert [m.payload for m in (old.one(), *old.rest())] == [b"x"]
        old.cut()


def test_clients_without_id_are_different_clients(dial, base):
    """[MQTT-3.1.3-6, -7]"""
    with dial() as first, dial() as second, dial() as writer:
        first.subscribe(base)
        second.subscribe(base)
        writer.publish(base, b"x")
        assert first.one().payload == second.one().payload == b"x"


def test_ids_are_told_apart_exactly(dial, base):
    names = (base, base.upper(), f"{base} ", f"{base}/", f"{base}é", f"{base}e\u0301")
    clients = [dial(name, clean=False).__enter__() for name in names]
    for client in clients:
        assert not client.session_present
        client.ping()
        client.cut()


def test_a_publisher_may_leave_at_once(dial, base):
    """3.14.4: what stood before DISCONNECT is delivered."""
    with dial() as reader, dial() as writer:
        reader.subscribe((base, 1))
        writer.send(*(mqtt.publish(base, b"%d" % i, qos=1, id=i + 1) for i in range(50)), mqtt.BYE)
        writer.wait_closed()
        assert [int(m.payload) for m in reader.receive(50)] == list(range(50))
