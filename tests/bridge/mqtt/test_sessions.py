"""Who is connected: take-over, keep alive, wills, what the receiver is told."""

import asyncio
import os
import time

import pytest

from bridge.mqtt.link import Refusal
from gateway.core.rights import Enrolling, ModuleIdentity, Service, ServiceRole

from .client import GOODBYE, PING, SUBACK, client, connect, dial, publish, subscribe, until
from .support import OpenGatekeeper, RecordingReceiver, open_broker

pytestmark = pytest.mark.anyio


class ByUserName(OpenGatekeeper):
    """The user name decides: none enrols, `s-..` is a service, anything else a module."""

    def __init__(self):
        self.gone = set()

    def admit(self, client_id, username, password, address):
        if password == b"wrong":
            return Refusal.CREDENTIALS
        if username is None:
            return Enrolling(client_id)
        if username.startswith("s-"):
            return Service(username, ServiceRole.READER)
        return ModuleIdentity(username, True)

    def identify(self, principal):
        return None if getattr(principal, "id", None) in self.gone else principal

    def for_gateway(self, topic):
        return "/up/" in topic


async def test_takeover_closes_the_old_and_fires_its_will_once():
    receiver = RecordingReceiver()
    async with open_broker(receiver=receiver) as broker, client(broker.port, "watch") as watch:
        await watch.ask(subscribe(1, ("#", 0)))
        async with client(broker.port, "a", will=("w", b"gone", 0, 0)) as old:
            async with client(broker.port, "a", will=("w", b"new", 0, 0)) as new:
                assert await old.closed()
                assert (await watch.message())[:2] == ("w", b"gone")
                assert await new.quiet()
                assert await watch.quiet()
                new.send(GOODBYE)
                assert await new.closed()
        assert await watch.quiet()
        assert ("disconnected", "a", "takeover") in receiver.told
        assert [word for word in receiver.told if word[1] == "a"] == [
            ("connected", "a"),
            ("disconnected", "a", "takeover"),
            ("connected", "a"),
            ("disconnected", "a", "goodbye"),
        ]


async def test_nobody_takes_over_another_credential():
    async with open_broker(gatekeeper=ByUserName()) as broker:
        async with client(broker.port, "MC-1", user="MC-1") as module:
            async with (
                client(broker.port, "MC-1") as stranger,
                client(broker.port, "MC-1", user="s-ha") as service,
            ):
                for one in (module, stranger, service):
                    assert await one.quiet()
        assert broker.stats()["takeovers"] == 0


async def test_200_reconnects_leave_no_descriptor():
    async with open_broker() as broker:
        before = len(os.listdir("/proc/self/fd"))
        ones = []
        for _ in range(200):
            one = await dial(broker.port)
            assert (await one.ask(connect("same"))).body == b"\0\0"
            ones.append(one)
        for one in ones[:-1]:
            assert await one.closed()
            one.writer.close()
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2)
        assert broker.stats()["connections"] == 1
        ones[-1].writer.close()


async def test_keepalive_counts_whole_packets():
    async with open_broker() as broker, client(broker.port, "watch") as watch:
        await watch.ask(subscribe(1, ("#", 0)))
        async with client(broker.port, "half", keepalive=2, will=("w", b"silent", 0, 0)) as one:
            await one.ask(PING)
            begun = time.monotonic()
            for byte in publish("a", b"x" * 50):
                if time.monotonic() - begun > 2.5:
                    break
                one.send(bytes((byte,)))
                await asyncio.sleep(0.2)
            assert await one.closed()
            assert 2.9 < time.monotonic() - begun < 4.5
            assert (await watch.message()).payload == b"silent"
        assert await watch.quiet()


async def test_a_socket_without_connect_is_closed():
    async with open_broker(connect_within_s=1) as broker:
        idle, half = await dial(broker.port), await dial(broker.port)
        half.send(connect("x" * 100)[:20])
        assert await idle.read() is None
        assert await half.read() is None
        idle.writer.close()
        half.writer.close()


async def test_will_after_crash_but_not_after_goodbye():
    receiver = RecordingReceiver()
    async with open_broker(gatekeeper=ByUserName(), receiver=receiver) as broker:
        async with client(broker.port, "m1", user="m1", will=("m1/up/availability", b"offline", 1, 1)) as one:
            one.cut()
        await until(lambda: ("disconnected", "m1", "will") in receiver.told)
        (will,) = receiver.messages
        assert (will.topic, will.payload, will.qos, will.retain, will.will) == (
            "m1/up/availability",
            b"offline",
            1,
            True,
            True,
        )
        assert will.sender == ModuleIdentity("m1", True)
        async with client(broker.port, "m1", user="m1", will=("m1/up/availability", b"offline", 1, 1)) as one:
            await one.leave()
        await until(lambda: ("disconnected", "m1", "goodbye") in receiver.told)
        assert len(receiver.messages) == 1


async def test_revoked_session_ends_without_its_will():
    gatekeeper, receiver = ByUserName(), RecordingReceiver()
    async with open_broker(gatekeeper=gatekeeper, receiver=receiver) as broker:
        async with client(broker.port, "m1", user="m1", clean=False, will=("m1/up/w", b"", 0, 0)) as one:
            await one.ask(subscribe(1, ("m1/down/#", 1)))
            gatekeeper.gone.add("m1")
            broker.link.publish("m1/down/registered", b"last words", only_for=ModuleIdentity("m1", True))
            broker.link.refresh("m1")
            assert (await one.message()).payload == b"last words"
            assert await one.read() is None
        assert receiver.told[-1] == ("disconnected", "m1", "revoked")
        assert receiver.messages == []
        assert broker.stats()["sessions"] == 0
        gatekeeper.gone.clear()
        async with client(broker.port, "m1", user="m1", clean=False) as one:
            assert await one.quiet()


async def test_listening_is_told_at_subscribe_and_at_return():
    receiver = RecordingReceiver()
    async with open_broker(gatekeeper=ByUserName(), receiver=receiver) as broker:
        async with client(broker.port, "m1", user="m1", clean=False) as one:
            await one.ask(subscribe(1, ("gw/1/m1/out/x", 1)))
            assert ("listening", "m1") not in receiver.told
            assert not broker.link.listens("m1", "gw/1/m1/down/command")
            assert (await one.ask(subscribe(1, ("gw/1/m1/down/#", 1)))).kind == SUBACK
            await one.ask(PING)
            assert receiver.told.count(("listening", "m1")) == 1
            assert broker.link.listens("m1", "gw/1/m1/down/command")
        await until(lambda: not broker.link.listens("m1", "gw/1/m1/down/command"))
        async with client(broker.port, "m1", user="m1", clean=False, present=True) as one:
            await one.ask(PING)
            assert receiver.told.count(("listening", "m1")) == 2


async def test_enrolling_clients_leave_nothing_behind():
    async with open_broker(gatekeeper=ByUserName()) as broker:
        for _ in range(2):
            async with client(broker.port, "nonce-1234", clean=False) as one:
                await one.ask(subscribe(1, ("r/nonce-1234/reply", 1)))
                await one.leave()
        await until(lambda: broker.stats()["sessions"] == 0)


async def test_will_topic_needs_the_right():
    class Narrow(OpenGatekeeper):
        def allows(self, principal, action, topic):
            return topic.startswith("mine/")

    async with open_broker(gatekeeper=Narrow()) as broker:
        for topic in ("yours/x", "$SYS/x"):
            async with client(broker.port, "a", code=5, will=(topic, b"", 0, 0)) as one:
                assert await one.closed()
        async with client(broker.port, "a", will=("mine/x", b"", 0, 0)) as one:
            assert await one.quiet()


async def test_failed_logins_are_limited_by_address_and_name():
    async with open_broker(gatekeeper=ByUserName(), failures_per_min=3) as broker:
        for code in (4, 4, 4, 3, 3):
            async with client(broker.port, "m1", user="m1", password=b"wrong", code=code) as one:
                assert await one.closed()
        async with client(broker.port, "m2", user="m2") as one, client(broker.port, "nonce-1234") as other:
            assert await one.quiet()
            assert await other.quiet()
        assert broker.stats()["logins_limited"] == 2
