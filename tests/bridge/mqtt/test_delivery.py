"""From one client to others: QoS, order, windows, queues, rights, retained messages."""

import asyncio

import pytest

from gateway.core.clock import now_ms
from gateway.core.rights import Everything, ModuleIdentity

from .client import (
    GOODBYE,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    Packet,
    ack,
    client,
    message,
    publish,
    subscribe,
    unsubscribe,
    until,
)
from .support import OpenGatekeeper, RecordingReceiver, open_broker

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("asked", [0, 1, 2])
async def test_delivered_with_the_lower_qos(published, asked):
    async with open_broker() as broker, client(broker.port, "s") as sub, client(broker.port, "p") as pub:
        assert (await sub.ask(subscribe(1, ("a/+", asked)))).body == bytes((0, 1, asked))
        pub.send(publish("a/b", b"x", published, 5))
        if published:
            assert await pub.read() == Packet((PUBACK if published == 1 else PUBREC) << 4, b"\0\5")
        if published == 2:
            assert await pub.ask(ack(PUBREL, 5)) == Packet(PUBCOMP << 4, b"\0\5")
        got = await sub.message()
        assert got[:5] == ("a/b", b"x", min(published, asked), False, False)


async def test_overlapping_filters_deliver_once_with_the_highest_qos():
    async with open_broker() as broker, client(broker.port, "s") as sub:
        await sub.ask(subscribe(1, ("a/#", 0), ("a/+", 2), ("a/b", 1)))
        broker.link.publish("a/b", b"x", qos=2)
        assert (await sub.message()).qos == 2
        assert await sub.quiet()


async def test_subscribing_again_changes_the_qos():
    async with open_broker() as broker, client(broker.port, "s") as sub:
        await sub.ask(subscribe(1, ("a", 1)))
        await sub.ask(subscribe(2, ("a", 0)))
        broker.link.publish("a", b"x")
        assert (await sub.message()).qos == 0
        assert (await sub.ask(unsubscribe(3, "a"))).kind == UNSUBACK
        broker.link.publish("a", b"y")
        assert await sub.quiet()


async def test_qos_2_is_taken_once():
    async with open_broker() as broker, client(broker.port, "s") as sub, client(broker.port, "p") as pub:
        await sub.ask(subscribe(1, ("a", 0)))
        for dup in (False, True, True):
            assert (await pub.ask(publish("a", b"x", 2, 9, dup=dup))).kind == PUBREC
        assert (await pub.ask(ack(PUBREL, 9))).kind == PUBCOMP
        assert (await pub.ask(ack(PUBREL, 9))).kind == PUBCOMP
        assert (await sub.message()).payload == b"x"
        assert await sub.quiet()
        assert (await pub.ask(publish("a", b"y", 2, 9))).kind == PUBREC
        assert (await sub.message()).payload == b"y"


async def test_unacknowledged_comes_again_with_dup_in_order():
    async with open_broker(window=3) as broker:
        async with client(broker.port, "s", clean=False) as sub:
            await sub.ask(subscribe(1, ("a", 2)))
            for number in range(6):
                broker.link.publish("a", b"%d" % number, qos=1 + number % 2)
            first = [await sub.message() for _ in range(3)]
            assert [got.payload for got in first] == [b"0", b"1", b"2"]
            assert await sub.quiet()
            assert (await sub.ask(ack(PUBREC, first[1].number))) == Packet(
                PUBREL << 4 | 2, first[1].number.to_bytes(2, "big")
            )
            sub.cut()
        await until(lambda: broker.stats()["connections"] == 0)
        async with client(broker.port, "s", clean=False, present=True) as sub:
            again = [await sub.read() for _ in range(3)]
            assert [got.kind for got in again] == [PUBLISH, PUBREL, PUBLISH]
            assert message(again[0]) == first[0]._replace(dup=True)
            assert again[1].number == first[1].number
            assert message(again[2]) == first[2]._replace(dup=True)
            sub.send(
                ack(PUBACK, first[0].number), ack(PUBCOMP, first[1].number), ack(PUBACK, first[2].number)
            )
            rest = [await sub.message() for _ in range(3)]
            assert [got.payload for got in rest] == [b"3", b"4", b"5"]
            assert not any(got.dup for got in rest)


async def test_queue_is_bounded_and_the_oldest_give_way():
    async with open_broker(queue_messages=10) as broker:
        async with client(broker.port, "s", clean=False) as sub:
            await sub.ask(subscribe(1, ("a", 1)))
        await until(lambda: broker.stats()["connections"] == 0)
        for number in range(25):
            broker.link.publish("a", b"%d" % number)
        broker.link.publish("a", b"lost", qos=0)
        assert broker.stats()["dropped_full"] == 15
        async with client(broker.port, "s", clean=False, present=True) as sub:
            assert [(await sub.message()).payload for _ in range(10)] == [b"%d" % n for n in range(15, 25)]


async def test_queue_is_bounded_in_bytes():
    async with open_broker(queue_bytes=100_000) as broker:
        async with client(broker.port, "s", clean=False) as sub:
            await sub.ask(subscribe(1, ("a", 1)))
        await until(lambda: broker.stats()["connections"] == 0)
        for _ in range(4000):
            broker.link.publish("a", b"x" * 20_000)
        assert broker.stats()["queued"] == 5
        assert broker.stats()["dropped_full"] == 3995


async def test_expired_messages_are_not_delivered():
    async with open_broker() as broker:
        async with client(broker.port, "s", clean=False) as sub:
            await sub.ask(subscribe(1, ("a", 1)))
        await until(lambda: broker.stats()["connections"] == 0)
        broker.link.publish("a", b"late", expires_at_ms=now_ms() + 50)
        broker.link.publish("a", b"past", expires_at_ms=now_ms() - 1)
        broker.link.publish("a", b"fine", expires_at_ms=now_ms() + 60_000)
        await asyncio.sleep(0.1)
        async with client(broker.port, "s", clean=False, present=True) as sub:
            assert (await sub.message()).payload == b"fine"
            assert broker.stats()["dropped_expired"] == 2


async def test_retained_only_on_ones_own_subscribe():
    async with open_broker() as broker, client(broker.port, "s") as sub, client(broker.port, "t") as other:
        await sub.ask(subscribe(1, ("a/#", 1)))
        broker.link.publish("a/b", b"kept", retain=True)
        assert not (await sub.message()).retain
        assert (await other.ask(subscribe(1, ("a/+", 2)))).kind == SUBACK
        assert (await other.message())[:4] == ("a/b", b"kept", 1, True)
        assert await sub.quiet()
        broker.link.publish("a/b", b"", retain=True)
        assert (await sub.message()).payload == b""
        assert (await other.message()).payload == b""
        assert (await other.ask(subscribe(2, ("a/b", 0)))).kind == SUBACK
        assert await other.quiet()
        assert broker.stats()["retained"] == 0


async def test_many_retained_messages_reach_a_client_that_acknowledges():
    async with open_broker(queue_messages=100, window=5) as broker, client(broker.port, "s") as sub:
        for number in range(3000):
            broker.link.publish(f"r/{number}", b"x" * 200, retain=True)
        await sub.ask(subscribe(1, ("r/#", 1)))
        seen = set()
        for _ in range(3000):
            got = await sub.message()
            assert got.retain
            seen.add(got.topic)
            sub.send(ack(PUBACK, got.number))
        assert len(seen) == 3000
        assert broker.stats()["dropped_full"] == 0


async def test_many_retained_bytes_do_not_look_like_a_slow_client():
    async with open_broker(write_buffer_bytes=600_000) as broker, client(broker.port, "s") as sub:
        for number in range(400):
            broker.link.publish(f"r/{number}", b"x" * 20_000, retain=True)
        sub.send(subscribe(1, ("r/#", 0)))
        assert (await sub.read()).kind == SUBACK
        assert len({(await sub.message()).topic for _ in range(400)}) == 400


async def test_clear_takes_retained_messages_by_prefix():
    async with open_broker() as broker:
        for topic in ("m/1/a", "m/1/b/c", "m/10/a", "other"):
            broker.link.publish(topic, b"x", retain=True)
        broker.link.clear("m/1/")
        assert broker.stats()["retained"] == 2


async def test_only_for_one_credential():
    class Named(OpenGatekeeper):
        def admit(self, client_id, username, password, address):
            return ModuleIdentity(username, True) if username else Everything()

    async with open_broker(gatekeeper=Named()) as broker:
        async with client(broker.port, "m", user="m") as module, client(broker.port, "spy") as spy:
            for one in (module, spy):
                await one.ask(subscribe(1, ("#", 1)))
            broker.link.publish("m/down/command", b"go", only_for=ModuleIdentity("m", False))
            assert (await module.message()).payload == b"go"
            assert broker.link.pending(ModuleIdentity("m", True)) == 1
            assert await spy.quiet()


class Narrow(OpenGatekeeper):
    """Everybody may do all under the words in `open`."""

    def __init__(self, *words):
        self.open = set(words)

    def allows(self, principal, action, topic):
        return topic.split("/")[0] in self.open


async def test_rights_at_publish_subscribe_and_delivery():
    gatekeeper = Narrow("mine", "late")
    async with open_broker(gatekeeper=gatekeeper) as broker:
        async with client(broker.port, "s", clean=False) as sub, client(broker.port, "p") as pub:
            asked = subscribe(
                7, ("mine/#", 1), ("yours/#", 1), ("#", 0), ("+/x", 0), ("$SYS/#", 0), ("late/#", 1)
            )
            assert (await sub.ask(asked)).body == b"\0\7\1\x80\x80\x80\x80\1"
            assert (await pub.ask(publish("yours/x", b"no", 1, 1, retain=True))).kind == PUBACK
            assert (await pub.ask(publish("yours/x", b"no", 2, 2))).kind == PUBREC
            assert (await pub.ask(publish("$SYS/x", b"no", 1, 3))).kind == PUBACK
            assert (await pub.ask(publish("mine/x", b"yes", 1, 4))).kind == PUBACK
            assert (await sub.message()).payload == b"yes"
            assert broker.stats()["refused_publishes"] == 3
            assert broker.stats()["retained"] == 0
            sub.cut()
            await until(lambda: broker.stats()["connections"] == 1)
            broker.link.publish("late/x", b"queued, then out of reach")
            broker.link.publish("mine/x", b"queued")
            gatekeeper.open.discard("late")
            broker.link.refresh("")
        async with client(broker.port, "s", clean=False, present=True) as sub:
            assert (await sub.message()).payload == b"yes"
            assert (await sub.message()).payload == b"queued"
            broker.link.publish("late/x", b"out of reach")
            assert await sub.quiet()


async def test_rights_lost_between_two_publishes():
    gatekeeper = Narrow("mine")
    async with open_broker(gatekeeper=gatekeeper) as broker:
        async with client(broker.port, "s") as sub, client(broker.port, "p") as pub:
            await sub.ask(subscribe(1, ("mine/#", 0)))
            pub.send(publish("mine/x", b"1"))
            assert (await sub.message()).payload == b"1"
            gatekeeper.open.clear()
            broker.link.refresh("")
            await pub.ask(publish("mine/x", b"2", 1, 1))
            assert await sub.quiet()
            assert broker.stats()["refused_publishes"] == 1


async def test_order_and_nothing_lost_while_others_come_and_go():
    async with open_broker() as broker, client(broker.port, "s") as sub, client(broker.port, "p") as pub:
        await sub.ask(subscribe(1, ("a/#", 1)))
        done = asyncio.Event()

        async def churn():
            async with client(broker.port, "churn") as one:
                while not done.is_set():
                    await one.ask(subscribe(1, ("a/+", 0), ("x/#", 1)))
                    one.send(unsubscribe(2, "a/+", "x/#"))
                    while (await one.read()).kind != UNSUBACK:
                        pass

        async def publishing():
            for number in range(10_000):
                pub.send(publish("a/b", b"%d" % number, 1, number % 60_000 + 1))
                if number % 100 == 99:
                    for _ in range(100):
                        assert (await pub.read()).kind == PUBACK

        churning, sending = asyncio.create_task(churn()), asyncio.create_task(publishing())
        for number in range(10_000):
            got = await sub.message()
            assert got.payload == b"%d" % number
            sub.send(ack(PUBACK, got.number))
        done.set()
        await asyncio.gather(churning, sending)
        assert broker.stats()["errors"] == 0


async def test_what_was_sent_before_goodbye_arrives():
    async with open_broker() as broker, client(broker.port, "s") as sub, client(broker.port, "p") as pub:
        await sub.ask(subscribe(1, ("a", 0)))
        pub.send(publish("a", b"1"), publish("a", b"2"), GOODBYE)
        assert [(await sub.message()).payload for _ in range(2)] == [b"1", b"2"]


class ForGateway(OpenGatekeeper):
    def for_gateway(self, topic):
        return topic.startswith("up/")


async def test_acknowledged_when_stored_in_order_of_arrival():
    receiver = RecordingReceiver(hold=[])
    async with open_broker(gatekeeper=ForGateway(), receiver=receiver) as broker:
        async with client(broker.port, "m") as one:
            one.send(publish("up/a", b"1", 1, 1), publish("else", b"2", 1, 2), publish("up/b", b"3", 2, 3))
            one.send(publish("up/c", b"4"), publish("up/b", b"3", 2, 3, dup=True))
            assert (await one.ask(b"\xc0\0")).kind == PINGRESP == PINGREQ + 1
            assert [got.payload for got in receiver.messages] == [b"1", b"3", b"4"]
            receiver.hold[1]()
            assert await one.quiet()
            receiver.hold[0]()
            assert [await one.read() for _ in range(4)] == [
                Packet(PUBACK << 4, b"\0\1"),
                Packet(PUBACK << 4, b"\0\2"),
                Packet(PUBREC << 4, b"\0\3"),
                Packet(PUBREC << 4, b"\0\3"),
            ]


async def test_fast_path_also_feeds_other_sessions():
    receiver = RecordingReceiver()
    async with open_broker(gatekeeper=ForGateway(), receiver=receiver) as broker:
        async with client(broker.port, "m") as one, client(broker.port, "s") as sub:
            await one.ask(publish("up/a", b"1", 1, 1))
            await sub.ask(subscribe(1, ("up/#", 1)))
            await one.ask(publish("up/a", b"2", 1, 2))
            assert (await sub.message()).payload == b"2"
            await one.ask(publish("up/r", b"3", 1, 3, retain=True))
            assert [got.payload for got in receiver.messages] == [b"1", b"2", b"3"]
            assert broker.stats()["retained"] == 1


async def test_a_failing_receiver_hurts_nobody():
    class Broken(RecordingReceiver):
        def receive(self, message, stored):
            raise RuntimeError("broken")

    async with open_broker(gatekeeper=ForGateway(), receiver=Broken()) as broker:
        async with client(broker.port, "m") as one:
            one.send(publish("up/a", b"1"))
            assert await one.quiet()
            assert broker.stats()["errors"] == 1
