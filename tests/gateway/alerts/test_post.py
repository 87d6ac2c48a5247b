"""News on its way to channels: kept until it is taken, bounded, held back at night, given up after a day."""

import asyncio
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.core.errors import Conflict, Forbidden, Invalid, Said
from gateway.core.notify.channel_values import Plan, Target
from gateway.core.notify.post import GIVE_UP_S, Undelivered
from gateway.core.notify.quiet import QuietHours
from gateway.storage.models_alerts import ChannelRow, DeliveryRow
from tests.gateway.alerts.watched import MINUTE_S, watched
from tests.gateway.core.heart import ADMIN, TECHNICIAN, raises

pytestmark = pytest.mark.anyio
NIGHT = QuietHours("22:00", "07:00")


class Receiver:
    """A courier that keeps what it is given; `fault` makes it fail."""

    def __init__(self):
        self.taken, self.tries, self.fault = [], 0, None

    async def send(self, channel, secret, news):
        self.tries += 1
        if self.fault is not None:
            raise self.fault
        self.taken.append(news)

    def texts(self):
        return [str(Said(item.template, **item.values)) for news in self.taken for item in news.items]


def employ(house):
    receiver = Receiver()
    for kind in ("webhook", "email", "ntfy"):
        house.alerting.post.carry(kind, receiver)
    return receiver


async def settled(house):
    """All that may leave by now has left."""
    post = house.alerting.post
    for _ in range(3):
        await house.core.store.run(lambda: None)
        post.tick()
        while tasks := list(post._sending.values()):
            await asyncio.wait(tasks)


async def rows(house):
    return await house.core.store.run(lambda: DeliveryRow.select().count())


def alarm(house, text="trouble", kind="gateway"):
    return house.book.note(kind, Said("%(text)s", text=text))


async def test_nothing_is_kept_or_sent_without_a_channel(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        alarm(house)
        await settled(house)
        assert receiver.tries == 0 and await rows(house) == 0


async def test_it_is_sent_once_and_forgotten(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        channel = await house.channel()
        alarm(house, "first")
        alarm(house, "second")
        await settled(house)
        assert receiver.texts() == ["first", "second"]
        await settled(house)
        assert receiver.tries == 2 and await rows(house) == 0
        assert house.alerting.channels.get(channel.id).succeeded_at_ms == clock.ms


async def test_a_channel_gets_the_kinds_it_wants_and_the_ends_if_it_wants_them(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await house.channel(kinds=("offline",), closings=False)
        module = await house.module()
        house.comes(module)
        house.goes(module)
        house.after(10 * MINUTE_S)
        alarm(house)
        house.comes(module)
        await settled(house)
        assert receiver.texts() == ["MC-1 has been offline for 10 minutes."]


async def test_a_failure_is_tried_again_with_the_same_key_and_less_and_less_often(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        channel = await house.channel()
        receiver.fault = Undelivered(Said("Nobody is there."))
        alarm(house)
        tries = []
        for _ in range(2000):
            await settled(house) if house.alerting.post._next(channel.id) else None
            house.alerting.post.tick()
            await settled(house)
            tries.append(receiver.tries)
            clock.pass_s(10)
            if receiver.tries > 9:
                break
        assert receiver.tries == 10 and len(tries) > 100
        known = house.alerting.channels.get(channel.id)
        assert str(known.fault.said) == "Nobody is there." and known.failed_at_ms
        receiver.fault = None
        clock.pass_s(3600)
        await settled(house)
        assert len(receiver.taken) == 1 and house.alerting.channels.get(channel.id).fault is None


async def test_after_a_day_it_is_given_up_and_counted(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        channel = await house.channel()
        receiver.fault = Undelivered(Said("no"))
        alarm(house)
        await settled(house)
        clock.pass_s(GIVE_UP_S + 1)
        house.alerting.post.tick()
        receiver.fault = None
        await settled(house)
        assert receiver.taken == [] and await rows(house) == 0
        assert house.alerting.channels.get(channel.id).dropped == 1


async def test_what_one_receiver_refuses_does_not_hold_up_the_rest(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await house.channel()
        receiver.fault = Undelivered(Said("It answered 400."), refused=True)
        alarm(house, "poison")
        await settled(house)
        receiver.fault = None
        alarm(house, "fine")
        await settled(house)
        assert receiver.texts() == ["fine"]
        clock.pass_s(60)
        await settled(house)
        assert receiver.texts() == ["fine", "poison"]


async def test_the_queue_is_bounded_and_the_oldest_go(tmp_path, clock, monkeypatch):
    monkeypatch.setattr("gateway.core.notify.deliveries.MOST_WAITING", 10)
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        channel = await house.channel()
        receiver.fault = Undelivered(Said("no"))
        for number in range(25):
            alarm(house, str(number))
        await settled(house)
        assert await rows(house) == 10
        receiver.fault = None
        clock.pass_s(3600)
        await settled(house)
        assert receiver.texts() == [str(number) for number in range(15, 25)]
        assert house.alerting.channels.get(channel.id).dropped == 15


async def test_after_a_crash_it_is_sent_with_the_key_it_had(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await house.channel()
        receiver.fault = Undelivered(Said("no"))
        alarm(house)
        await settled(house)
        (before,) = await house.core.store.run(lambda: [row.key for row in DeliveryRow.select()])
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await settled(house)
        assert [news.key for news in receiver.taken] == [before]


def paris(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)


async def test_quiet_hours_hold_back_all_but_the_urgent_and_send_one_digest(tmp_path, clock):
    """The night in which summer time begins: 07:00 comes an hour earlier."""
    async with watched(tmp_path, clock, time_zone="Europe/Paris") as house:
        receiver = employ(house)
        await house.channel(quiet=NIGHT)
        clock.ms = paris("2026-03-28T22:30")
        alarm(house, "one")
        alarm(house, "disk", kind="disk")
        await settled(house)
        assert receiver.texts() == ["disk"]
        clock.pass_s(7 * 3600)
        alarm(house, "two")
        await settled(house)
        # Half past six in the morning by the clock on the wall.
        assert receiver.texts() == ["disk"]
        clock.pass_s(30 * 60)
        await settled(house)
        (digest,) = receiver.taken[1:]
        assert digest.what == "digest" and receiver.texts() == ["disk", "one", "two"]
        alarm(house, "three")
        await settled(house)
        assert receiver.taken[-1].what == "opened" and await rows(house) == 0


async def test_a_digest_keeps_its_key_over_a_crash(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        clock.ms = int(datetime.fromisoformat("2026-01-15T23:00+00:00").timestamp() * 1000)
        await house.channel(quiet=NIGHT)
        for number in range(3):
            alarm(house, str(number))
        await settled(house)
        receiver.fault = Undelivered(Said("no"))
        clock.pass_s(9 * 3600)
        await settled(house)
        batches = await house.core.store.run(lambda: {row.batch for row in DeliveryRow.select()})
        assert receiver.tries == 1 and len(batches) == 1
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await settled(house)
        assert [news.key for news in receiver.taken] == list(batches) and len(receiver.texts()) == 3


async def test_a_module_that_is_gone_is_not_told_of(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await house.channel()
        receiver.fault = Undelivered(Said("no"))
        module = await house.module()
        house.comes(module)
        house.goes(module)
        house.after(10 * MINUTE_S)
        await settled(house)
        await house.core.registry.delete("MC-1", TECHNICIAN)
        assert await rows(house) == 0
        receiver.fault = None
        clock.pass_s(3600)
        await settled(house)
        assert receiver.taken == []


async def test_while_the_database_takes_nothing_people_are_told_all_the_same(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        receiver = employ(house)
        await house.channel()
        house.core.store.healthy = False
        house.after(1)
        house.after(6)
        house.alerting.post.tick()
        await asyncio.wait(list(house.alerting.post._sending.values()))
        assert receiver.texts()[0].startswith("The database cannot take writes")


async def test_secrets_are_sealed_and_in_no_audit_row(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        channels = house.alerting.channels
        channel = await house.channel(secret="correct-horse-battery")
        assert channels.secret(channel.id) == "correct-horse-battery"
        await channels.change(channel.id, channel.plan, "another-secret-1234", ADMIN)
        kept = await house.core.store.run(lambda: [(row.sealed, row.plan) for row in ChannelRow.select()])
        trail = await house.core.audit.rows(limit=50)
        for secret in ("correct-horse-battery", "another-secret-1234", "/hook"):
            assert secret not in repr(trail)
            assert secret not in repr([sealed for sealed, _ in kept])
    async with watched(tmp_path, clock) as house:
        assert house.alerting.channels.secret(channel.id) == "another-secret-1234"
        assert [one.plan.name for one in house.alerting.channels.all()] == ["webhook 1"]


async def test_who_may_and_what_may_be_a_channel(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        channels = house.alerting.channels
        channel = await house.channel()
        async with raises(Forbidden):
            await channels.add(channel.plan, "x", TECHNICIAN)
        async with raises(Conflict):
            await house.channel(name="WEBHOOK 1")
        for url in (
            "",
            "ftp://x/",
            "http://",
            "http://a:b@host/",
            "javascript:x",
            "http://h/\nx",
            "http://[x/",
        ):
            async with raises(Invalid):
                await house.channel(name="other", target=Target(url=url))
        mail = Target(host="mail.test", sender="a@b.c", receivers="d@e.f", user="u", security="none")
        async with raises(Invalid):
            await house.channel(kind="email", target=mail)
        forged = Target(host="h", sender="a@b.c\r\nX: y", receivers="d@e.f")
        async with raises(Invalid):
            await house.channel(kind="email", secret="", target=forged)


async def test_a_password_goes_to_no_other_machine(tmp_path, clock):
    async with watched(tmp_path, clock) as house:
        target = Target(url="https://ntfy.test", topic="t")
        channel = await house.channel(kind="ntfy", target=target)
        plan = Plan(name="n", kind="ntfy", target=Target(url="https://evil.test", topic="t"))
        async with raises(Invalid):
            await house.alerting.channels.change(channel.id, plan, None, ADMIN)
        await house.alerting.channels.change(channel.id, plan, "new", ADMIN)
