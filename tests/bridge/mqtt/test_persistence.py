"""What was acknowledged survives a restart, in order or by SIGKILL (a real database)."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from gateway.core.rights import ModuleIdentity
from gateway.storage.store import Store

from .client import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    Packet,
    ack,
    client,
    publish,
    subscribe,
    unsubscribe,
    until,
)
from .support import OpenGatekeeper, RecordingReceiver, open_broker

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def broker_on(path, **options):
    async with Store(f"sqlite:///{path}/broker.db") as store:
        async with open_broker(store, **options) as broker:
            yield broker


@asynccontextmanager
async def process_on(path):
    """The broker as a process; killed at the end, without mercy."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bridge.mqtt.serve",
        "--data",
        f"{path}/broker.db",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield int((await process.stdout.readline()).split()[-1])
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
        process._transport.close()


async def test_sessions_subscriptions_queues_and_retained_survive_a_restart(tmp_path):
    async with broker_on(tmp_path) as broker:
        async with client(broker.port, "s", clean=False) as sub:
            await sub.ask(subscribe(1, ("a/#", 2), ("b", 1), ("c", 1)))
            assert (await sub.ask(unsubscribe(2, "c"))).kind == UNSUBACK
        async with client(broker.port, "p") as pub:
            assert (await pub.ask(publish("a/1", b"one", 1, 1, retain=True))).kind == PUBACK
            assert (await pub.ask(publish("a/2", b"two", 2, 2))).kind == PUBREC
            assert (await pub.ask(publish("c", b"not any more", 1, 3))).kind == PUBACK
    async with broker_on(tmp_path) as broker:
        async with client(broker.port, "s", clean=False, present=True) as sub:
            assert [(await sub.message())[:5] for _ in range(2)] == [
                ("a/1", b"one", 1, False, False),
                ("a/2", b"two", 2, False, False),
            ]
            assert await sub.quiet()
            broker.link.publish("b", b"live")
            assert (await sub.message()).payload == b"live"
        async with client(broker.port, "t") as other:
            await other.ask(subscribe(1, ("#", 0)))
            assert (await other.message())[:4] == ("a/1", b"one", 0, True)
        async with client(broker.port, "s") as sub:
            assert await sub.quiet()
    async with broker_on(tmp_path) as broker:
        assert broker.stats()["sessions"] == broker.stats()["queued"] == 0


async def test_in_flight_keeps_ids_over_a_restart_and_qos_2_is_never_sent_twice(tmp_path):
    async with broker_on(tmp_path) as broker, client(broker.port, "s", clean=False) as sub:
        await sub.ask(subscribe(1, ("a", 2)))
        broker.link.publish("a", b"1", qos=2)
        broker.link.publish("a", b"2", qos=2)
        broker.link.publish("a", b"3", qos=1)
        sent = [await sub.message() for _ in range(3)]
        assert (await sub.ask(ack(PUBREC, sent[0].number))).kind == PUBREL
    async with broker_on(tmp_path) as broker, client(broker.port, "s", clean=False, present=True) as sub:
        assert await sub.read() == Packet(PUBREL << 4 | 2, sent[0].number.to_bytes(2, "big"))
        assert await sub.message() == sent[1]._replace(dup=True)
        assert await sub.message() == sent[2]._replace(dup=True)
        sub.send(ack(PUBCOMP, sent[0].number), ack(PUBACK, sent[2].number))
        assert (await sub.ask(ack(PUBREC, sent[1].number))).kind == PUBREL
        sub.send(ack(PUBCOMP, sent[1].number))
        assert await sub.quiet()
    async with broker_on(tmp_path) as broker, client(broker.port, "s", clean=False, present=True) as sub:
        assert await sub.quiet()


async def test_a_qos_2_publish_is_known_again_after_a_restart(tmp_path):
    receiver = RecordingReceiver()

    class ToGateway(OpenGatekeeper):
        def for_gateway(self, topic):
            return True

    options = {"receiver": receiver, "gatekeeper": ToGateway()}
    async with broker_on(tmp_path, **options) as broker:
        async with client(broker.port, "p", clean=False) as pub:
            assert (await pub.ask(publish("a", b"1", 2, 77))).kind == PUBREC
    async with broker_on(tmp_path, **options) as broker:
        async with client(broker.port, "p", clean=False, present=True) as pub:
            assert (await pub.ask(publish("a", b"1", 2, 77, dup=True))).kind == PUBREC
            assert (await pub.ask(ack(PUBREL, 77))).kind == PUBCOMP
            assert len(receiver.messages) == 1
            assert (await pub.ask(publish("a", b"2", 2, 77))).kind == PUBREC
            assert len(receiver.messages) == 2


async def test_wills_of_a_stopped_gateway_are_published_once_unless_the_client_returns(tmp_path):
    async with broker_on(tmp_path) as broker:
        options = {"keepalive": 1, "clean": False}
        async with client(broker.port, "gone", will=("w/gone", b"x", 1, 0), **options):
            async with client(broker.port, "back", will=("w/back", b"x", 1, 0), **options):
                await broker.link.door.close()
    async with broker_on(tmp_path) as broker, client(broker.port, "watch") as watch:
        await watch.ask(subscribe(1, ("w/#", 1)))
        async with client(broker.port, "back", clean=False, present=True) as back:
            assert (await watch.message()).topic == "w/gone"
            await until(lambda: broker.stats()["wills"] == 1)
            await back.leave()
        assert await watch.quiet()
    async with broker_on(tmp_path) as broker, client(broker.port, "watch") as watch:
        await watch.ask(subscribe(1, ("w/#", 1)))
        await asyncio.sleep(3)
        assert await watch.quiet()
        assert broker.stats()["wills"] == 0


async def test_a_late_store_does_not_forget_the_newer_will(tmp_path):
    class ToGateway(OpenGatekeeper):
        def for_gateway(self, topic):
            return True

    receiver = RecordingReceiver(hold=[])
    options = {"receiver": receiver, "gatekeeper": ToGateway()}
    async with broker_on(tmp_path, **options) as broker:
        async with client(broker.port, "a", keepalive=1, will=("w", b"1", 1, 0)):
            async with client(broker.port, "a", keepalive=1, will=("w", b"2", 1, 0)):
                receiver.hold[0]()
                await broker.link.door.close()
    async with broker_on(tmp_path, **options) as broker:
        await until(lambda: broker.stats()["wills"] == 1)
        assert [(got.payload, got.will) for got in receiver.messages] == [(b"1", True), (b"2", True)]


async def test_sessions_of_nobody_are_not_restored(tmp_path):
    class Named(OpenGatekeeper):
        gone = False

        def admit(self, client_id, username, password, address):
            return ModuleIdentity(client_id, True)

        def identify(self, principal):
            return None if self.gone else principal

    gatekeeper = Named()
    async with broker_on(tmp_path, gatekeeper=gatekeeper) as broker:
        async with client(broker.port, "m", clean=False) as one:
            await one.ask(subscribe(1, ("a", 1)))
    gatekeeper.gone = True
    async with broker_on(tmp_path, gatekeeper=gatekeeper) as broker:
        assert broker.stats()["sessions"] == broker.stats()["subscriptions"] == 0
    gatekeeper.gone = False
    async with broker_on(tmp_path, gatekeeper=gatekeeper) as broker:
        assert broker.stats()["sessions"] == 0


async def test_memory_only_retained_messages_leave_no_row(tmp_path):
    async with broker_on(tmp_path) as broker:
        broker.link.publish("a", b"kept", retain=True)
        broker.link.publish("b", b"kept", retain=True)
        broker.link.publish("b", b"newer", retain=True, durable=False)
        broker.link.publish("c", b"never", retain=True, durable=False)
    async with broker_on(tmp_path) as broker:
        assert broker.stats()["retained"] == 1


@pytest.mark.parametrize("round_", range(3))
async def test_kill_9_loses_nothing_acknowledged(tmp_path, round_):
    """D1, D2 in small: a queue, a retained message each, killed in the middle of publishing."""
    acknowledged = []
    async with process_on(tmp_path) as port:
        async with client(port, "s", clean=False) as sub:
            assert (await sub.ask(subscribe(1, ("q/#", 1)))).kind == SUBACK
        async with client(port, "p") as pub:
            for at in range(900):
                pub.send(publish(f"q/{at}", b"%d" % at, 1, at + 1, retain=at % 3 == 0))
            for _ in range(300 + 150 * round_):
                got = await pub.read()
                assert got.kind == PUBACK
                acknowledged.append(got.number - 1)
    async with process_on(tmp_path) as port:
        async with client(port, "s", clean=False, present=True) as sub:
            seen = []
            while not set(acknowledged) <= set(seen):
                got = await sub.message()
                seen.append(int(got.payload))
                sub.send(ack(PUBACK, got.number))
            assert seen == sorted(set(seen))
        async with client(port, "t") as other:
            await other.ask(subscribe(1, ("q/#", 0)))
            missing = {at for at in acknowledged if at % 3 == 0}
            while missing:
                missing.discard(int((await other.message()).payload))
