"""Bounds: crowds, sizes, slow readers, rates, memory."""

import asyncio
import gc
import os
import resource
import socket
import tracemalloc

import pytest

from bridge.mqtt.limits import Limits

from .client import PUBACK, PUBLISH, SUBACK, client, connect, dial, packet, publish, subscribe, text, until
from .support import OpenGatekeeper, RecordingReceiver, open_broker

pytestmark = pytest.mark.anyio


async def test_strangers_are_capped_per_address_and_refused_at_once():
    async with open_broker(strangers_per_address=20) as broker, client(broker.port, "known") as known:
        idle = [await dial(broker.port) for _ in range(100)]
        await until(lambda: broker.stats()["connections_refused"] == 80)
        assert await known.quiet()
        for one in idle:
            one.writer.close()
        await until(lambda: broker.stats()["connections"] == 1)
        async with client(broker.port, "next") as one:
            assert await one.quiet()


async def test_connections_are_capped_in_all():
    async with open_broker(connections=2) as broker:
        async with client(broker.port, "a"), client(broker.port, "b") as b:
            one = await dial(broker.port)
            assert await one.closed()
            one.writer.close()
            assert await b.quiet()
        await until(lambda: broker.stats()["connections"] == 0)
        async with client(broker.port, "c") as one:
            assert await one.quiet()


async def test_a_length_over_the_limit_is_refused_before_the_body():
    async with open_broker() as broker, client(broker.port, "s") as sub:
        await sub.ask(subscribe(1, ("#", 0)))
        async with client(broker.port, "a") as one:
            biggest = text("a") + b"x" * (128 * 1024 - 3)
            one.send(packet(0x30, biggest))
            assert len((await sub.message()).payload) == 128 * 1024 - 3
            one.send(packet(0x30, biggest + b"x")[:5])
            assert await one.read() is None


async def test_a_slow_consumer_is_closed_and_the_others_get_all():
    async with open_broker() as broker:
        slow, fast = socket.socket(), await dial(broker.port)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", broker.port))
        slow.sendall(connect("slow") + subscribe(1, ("a", 0)))
        await fast.ask(connect("fast"))
        assert (await fast.ask(subscribe(1, ("a", 0)))).kind == SUBACK
        await until(lambda: broker.stats()["sessions"] == 2 and broker.stats()["subscriptions"] == 1)
        for number in range(2000):
            broker.link.publish("a", b"%d " % number + b"x" * 8192, qos=0)
            assert (await fast.message()).payload.startswith(b"%d " % number)
        await until(lambda: broker.stats()["too_slow"] == 1)
        assert broker.stats()["connections"] == 1
        slow.close()
        fast.writer.close()


async def test_a_fast_talker_is_slowed_down_but_loses_nothing():
    receiver = RecordingReceiver()

    class ToGateway(OpenGatekeeper):
        def for_gateway(self, topic):
            return True

    async with open_broker(
        receiver=receiver, gatekeeper=ToGateway(), packets_per_s=500, packets_burst=50
    ) as broker:
        async with client(broker.port, "a") as one:
            one.send(*(publish("a", b"%d" % number, 1, number + 1) for number in range(400)))
            begun = asyncio.get_running_loop().time()
            for _ in range(400):
                assert (await one.read()).kind == PUBACK
            assert asyncio.get_running_loop().time() - begun > 0.5
        assert [got.payload for got in receiver.messages] == [b"%d" % number for number in range(400)]
        assert broker.stats()["throttled"] > 0


async def test_unacknowledged_publishes_are_bounded():
    receiver = RecordingReceiver(hold=[])

    class ToGateway(OpenGatekeeper):
        def for_gateway(self, topic):
            return True

    async with open_broker(receiver=receiver, gatekeeper=ToGateway(), unacknowledged=50) as broker:
        async with client(broker.port, "a") as one:
            one.send(*(publish("a", b"x", 1, number + 1) for number in range(500)))
            await until(lambda: len(receiver.hold) == 51)
            await asyncio.sleep(0.1)
            assert len(receiver.hold) == 51
            for at in range(500):
                await until(lambda at=at: len(receiver.hold) > at)
                receiver.hold[at]()
            for number in range(500):
                assert (await one.read()).number == number + 1


async def test_too_many_or_too_deep_subscriptions_are_refused():
    async with open_broker(subscriptions=3) as broker, client(broker.port, "a") as one:
        asked = subscribe(1, *((f"a/{number}", 0) for number in range(5)), ("a/1", 1))
        assert (await one.ask(asked)).body == b"\0\1\0\0\0\x80\x80\1"
        deep = subscribe(2, ("/".join("+" * 300), 0))
        assert (await one.ask(deep)).body == b"\0\2\x80"
        await one.ask(publish("/" * 60_000, b"", 1, 1, retain=True))
        assert broker.stats()["retained"] == 0
        assert await one.quiet()


async def test_sessions_per_identity_are_bounded():
    async with open_broker(sessions_per_identity=2) as broker:
        for name in ("a", "b"):
            async with client(broker.port, name, clean=False):
                pass
        async with client(broker.port, "c", clean=False, code=3) as one:
            assert await one.closed()
        async with client(broker.port, "a", clean=False, present=True) as one:
            assert await one.quiet()


async def test_out_of_descriptors_it_refuses_and_recovers():
    """U13"""
    async with open_broker() as broker, client(broker.port, "known") as known:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = len(os.listdir("/proc/self/fd"))
        ones = [await dial(broker.port) for _ in range(5)]
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        spare = socket.socket()
        spare.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, hard))
        try:
            spare.connect_ex(("127.0.0.1", broker.port))
            await asyncio.sleep(0.2)
            assert await known.quiet()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            asyncio.get_running_loop().set_exception_handler(None)
        for one in ones:
            one.writer.close()
        spare.close()
        async with client(broker.port, "next") as one:
            assert await one.quiet()


async def test_memory_of_an_idle_device():
    """At most 60 KB each in the whole process; here the client's side counts too."""
    async with open_broker() as broker:
        ones = [await _device(broker.port, number) for number in range(20)]
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        ones += [await _device(broker.port, 100 + number) for number in range(200)]
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / 200
        tracemalloc.stop()
        print(f"{each / 1000:.1f} KB per connection, the client's side included")
        assert each < 40_000
        assert len(asyncio.all_tasks()) < 220 + 10
        for one in ones:
            one.writer.close()


async def _device(port, number):
    one, own = await dial(port), f"gw/1/MC-{number}"
    await one.ask(connect(f"MC-{number}", keepalive=60, will=(f"{own}/up/availability", b"offline", 1, 1)))
    await one.ask(subscribe(1, (f"{own}/down/#", 1)))
    return one


async def test_switched_off_limits_keep_the_sizes():
    limits = Limits().unlimited()
    assert limits.packet_bytes == Limits().packet_bytes
    assert limits.connections > 1_000_000


async def test_closing_does_not_wait_for_clients_that_do_not_read():
    """U12"""
    async with open_broker() as broker:
        ones = [await dial(broker.port) for _ in range(50)]
        for number, one in enumerate(ones):
            await one.ask(connect(f"c{number}"))
            await one.ask(subscribe(1, ("a", 0)))
            one.writer.transport.pause_reading()
        for _ in range(100):
            broker.link.publish("a", b"x" * 20_000, qos=0)
        begun = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - begun < 5
    for one in ones:
        one.cut()


async def test_asking_again_and_again_for_retained_messages_piles_nothing_up():
    async with open_broker() as broker, client(broker.port, "a") as one:
        for number in range(200):
            broker.link.publish(f"r/{number}", b"x" * 2000, retain=True)
        for _ in range(100):
            one.send(subscribe(1, ("r/#", 1)))
        codes = messages = 0
        while codes < 100 or messages < 20:
            got = await one.read()
            codes += got.kind == SUBACK
            messages += got.kind == PUBLISH
        assert messages == Limits().window
        assert broker.stats()["queued"] == Limits().window
