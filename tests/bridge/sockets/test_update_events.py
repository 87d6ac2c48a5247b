"""How updates and rollouts get on, told to tabs: who hears it, the newest for slow ones, nothing lost."""

import asyncio
import random

import pytest

from bridge.sockets import updates_news
from bridge.sockets.audience import Audience, Browser
from bridge.sockets.updates_news import JOB, ROLLOUT, UpdatesNews
from gateway.core.events import FirmwareJobChanged, RolloutChanged
from tests.bridge.sockets.tabs import tab
from tests.bridge.sockets.test_browsers import open_world
from tests.bridge.sockets.test_slow_tabs import held_bytes, slow_tab
from tests.gateway.core.heart import ADMIN, OWNER, STRANGER, TECHNICIAN, approved, open_heart

pytestmark = pytest.mark.anyio
PATIENCE_S = 20


def job(id="j1", module="HERS", received=0, **more):
    told = {"id": id, "module": module, "state": "downloading", "received": received, "size": 1000}
    return FirmwareJobChanged(module, told | more)


def rollout(id=1, **more):
    return RolloutChanged({"id": id, "name": "May", "state": "running"} | more)


class Room:
    """Tabs without a wire: what each of them was told, some of them slow or deaf."""

    def __init__(self, core):
        self.core, self.audience, self.told, self.slow, self.deaf = core, Audience(), {}, set(), set()
        self.news = UpdatesNews(core, self.audience, self)

    def enter(self, person):
        self.audience.enter(Browser(person.name, person, 1))
        self.told[person.name] = []

    def say(self, event, data, to):
        for name in to:
            if name not in self.deaf:
                self.told[name].append((event, data))

    def is_behind(self, sid):
        return sid in self.slow

    def flush(self):
        if self.news._timer is not None:
            self.news._timer.cancel()
        self.news._flush()

    def goes_deaf(self, name):
        self.deaf.add(name)
        browser = self.audience.get(name)
        browser.missed = browser.missed_updates = True

    def made_good(self, name):
        self.deaf.discard(name)
        self.audience.get(name).missed = False

    def hear(self, name):
        heard, self.told[name] = self.told[name], []
        return heard


@pytest.fixture
async def room(anyio_backend, tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, "HERS", owner_id=OWNER.id)
        await approved(core, "HOUSE")
        one = Room(core)
        for person in (ADMIN, TECHNICIAN, OWNER, STRANGER):
            one.enter(person)
        yield one


async def test_who_hears_what(room):
    hers, ours, plan = job(), job("j2", "HOUSE"), rollout()
    for event in (hers, ours, rollout(plan={"modules": ["HERS"] * 10_000})):
        room.core.hub.publish(event)
    room.flush()
    everything = [(JOB, hers.job), (JOB, ours.job), (ROLLOUT, plan.rollout)]
    assert room.hear(ADMIN.name) == room.hear(TECHNICIAN.name) == everything
    assert room.hear(OWNER.name) == [(JOB, hers.job)]
    assert room.hear(STRANGER.name) == []


async def test_whoever_gets_the_module_hears_of_its_update_and_who_had_it_no_more(room):
    await room.core.registry.edit("HERS", ADMIN, owner_id=STRANGER.id)
    room.core.hub.publish(job())
    room.flush()
    assert room.hear(OWNER.name) == []
    assert room.hear(STRANGER.name) == [(JOB, job().job)]
    await room.core.registry.delete("HERS", ADMIN)
    room.core.hub.publish(job(received=5))
    room.flush()
    assert room.hear(STRANGER.name) == room.hear(ADMIN.name)[1:] == []


async def test_a_slow_tab_gets_the_newest_of_each_once_it_has_read(room):
    room.slow.add(OWNER.name)
    for received in range(500):
        room.core.hub.publish(job(received=received))
        room.flush()
    assert len(room.hear(ADMIN.name)) == 500
    assert room.hear(OWNER.name) == []
    room.slow.clear()
    room.flush()
    assert room.hear(OWNER.name) == [(JOB, job(received=499).job)]
    room.flush()
    assert room.hear(OWNER.name) == []


async def test_a_tab_that_missed_something_is_told_how_all_stands(room):
    room.core.hub.publish(job("j0"))
    room.core.hub.publish(job("j2", "HOUSE"))
    room.flush()
    room.hear(OWNER.name)
    room.goes_deaf(OWNER.name)
    room.core.hub.publish(job("j0", received=7))
    room.flush()
    # What it missed last may have been the last word for long: it does not take another to make it good.
    assert room.news._timer is not None
    room.made_good(OWNER.name)
    room.flush()
    assert room.hear(OWNER.name) == [(JOB, job("j0", received=7).job)]
    assert not room.audience.get(OWNER.name).missed_updates


async def test_what_is_kept_for_slow_tabs_has_an_end(room, monkeypatch):
    monkeypatch.setattr(updates_news, "MOST_KNOWN", 50)
    monkeypatch.setattr(updates_news, "MOST_AT_ONCE", 20)
    room.slow.add(ADMIN.name)
    for number in range(200):
        room.core.hub.publish(job(f"j{number}"))
        room.flush()
    assert len(room.news._known) == 50 and room.news.forgotten == 150
    assert all(len(keys) <= 50 for keys in room.news._backlogs.values())
    room.slow.clear()
    shares = []
    while room.news._backlogs:
        room.flush()
        shares.append(len(room.hear(ADMIN.name)))
    assert shares == [20, 20, 10]
    # A tab that left takes its backlog along; with nobody there nothing is kept.
    room.slow.add(OWNER.name)
    room.core.hub.publish(job())
    room.flush()
    for name in list(room.told):
        room.audience.leave(name)
    room.flush()
    room.flush()
    assert not room.news._backlogs and not room.news._known


@pytest.mark.parametrize("seed", range(5))
async def test_in_the_end_everybody_knows_the_newest_whatever_went_wrong(room, seed):
    dice, newest, known = random.Random(seed), {}, {name: {} for name in room.told}
    for step in range(400):
        event = job(f"j{dice.randrange(8)}", dice.choice(["HERS", "HOUSE"]), step)
        event = FirmwareJobChanged("HERS" if int(event.job["id"][1]) < 4 else "HOUSE", event.job)
        newest[event.job["id"]] = event.job
        room.core.hub.publish(event)
        name = dice.choice(list(room.told))
        what, *whose = dice.choice(
            [(room.slow.add, name), (room.slow.discard, name), (room.goes_deaf, name), (room.made_good, name),
             (room.flush,), (room.flush,)]
        )  # fmt: skip
        what(*whose)
    room.slow.clear()
    for name in room.told:
        room.made_good(name)
    room.flush()
    for name in room.told:
        known[name] = {data["id"]: data for _, data in room.hear(name)}
    assert known[ADMIN.name] == known[TECHNICIAN.name] == newest
    assert known[OWNER.name] == {id: told for id, told in newest.items() if int(id[1]) < 4}
    assert known[STRANGER.name] == {}


async def test_on_the_wire_at_once_and_then_four_times_a_second(tmp_path):
    async with (
        open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"]) as ann,
        tab(address, cookies["olga"]) as olga, tab(address, cookies["sam"]) as sam,
    ):  # fmt: skip
        for received in range(300):
            house.core.hub.publish(job(received=received))
            await asyncio.sleep(0.002)
        house.core.hub.publish(rollout())
        heard = 0
        while (await olga.hear(JOB))[1]["received"] != 299:
            heard += 1
        assert heard < 100
        assert (await ann.hear(ROLLOUT))[1] == rollout().rollout
        await sam.say("request_module_states")
        await sam.hear("module_states_sync")
        assert not {JOB, ROLLOUT} & set(sam.passed())
        assert ROLLOUT not in olga.passed()


async def test_a_tab_that_does_not_read_holds_little_and_learns_how_it_ended(tmp_path):
    async with (
        open_world(tmp_path) as (house, address, cookies), slow_tab(address, cookies["ann"]) as slow,
    ):  # fmt: skip
        most, reason = 0, "x" * 400
        for number in range(400):
            for id in range(20):
                house.core.hub.publish(job(f"j{id}", received=number, error=reason))
            await asyncio.sleep(0.01)
            most = max(most, *held_bytes(house))
        assert most < 1_000_000
        newest = {}
        async with asyncio.timeout(PATIENCE_S):
            while newest != dict.fromkeys((f"j{id}" for id in range(20)), 399):
                told = await slow.read_until(JOB)
                newest[told["id"]] = told["received"]
