"""Rollouts over the real ledger: waves, stops, ways back, and what people do with them."""

import pytest

from firmware.facts import Facts
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import Alert, RolloutChanged
from tests.firmware.floor import open_floor
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, Clock, heard, raises

pytestmark = pytest.mark.anyio


class Fleet:
    """Modules of one floor, with an old image that they run and a new one that is on its way."""

    def __init__(self, floor, old, new, modules):
        self.floor, self.old, self.new, self.modules = floor, old, new, modules
        self.rollouts = floor.firmware.rollouts

    async def create(self, by=TECHNICIAN, **plan):
        whom = {} if {"group", "type"} & plan.keys() else {"modules": [module.id for module in self.modules]}
        plan = {"name": "night", "firmware_id": self.new.id, "concurrency": 2} | whom | plan
        rollout = await self.rollouts.create(plan, by)
        await self.settled()
        return rollout

    async def settled(self, seconds=1):
        for _ in range(seconds):
            await self.rollouts.settled()
            self.floor.passes(1)
            await self.rollouts.settled()

    async def updates(self, module, image=None):
        """It takes what it is offered, well, up to the confirmation."""
        await self.floor.installs(module, image or self.new)
        await self.settled(62)

    async def fails_to_boot(self, module, why="no Wi-Fi"):
        self.floor.fetches(module)
        for state in ("downloaded", "verified", "installing"):
            self.floor.says(module, state)
        self.floor.says(module, "rolled_back", error=why)
        await self.settled()

    def states(self, rollout):
        found = {row["module"]: row["state"] for row in self.rollouts.members(rollout.id)}
        return [found[module.id] for module in self.modules]

    def notes(self, rollout):
        found = {row["module"]: row["note"] for row in self.rollouts.members(rollout.id)}
        return [found[module.id] for module in self.modules]

    def state(self, rollout):
        return self.rollouts.get(rollout.id).state

    def told(self, rollout):
        return self.rollouts.describe(self.rollouts.get(rollout.id))

    def offered(self):
        return [module.id for module in self.modules if module.id in self.floor.boards.offers]

    def job(self, place):
        return self.floor.job(self.modules[place])


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def fleet(tmp_path, clock):
    """Five modules that are there and run the old image."""
    async with open_floor(tmp_path, clock) as floor:
        yield await populate(floor)


async def populate(floor, count=5):
    old, new = await floor.image("app-1", "1"), await floor.image("app-2", "2")
    modules = []
    for place in range(1, count + 1):
        module = await floor.module(f"MC-{place}", address=f"10.0.0.{place}")
        await floor.hello(module, old)
        modules.append(floor.core.registry.get(module.id))
    return Fleet(floor, old, new, modules)


async def audited(fleet, action):
    rows = await fleet.floor.core.audit.rows(limit=500)
    return [row for row in rows if row["action"] == action]


# Waves


async def test_a_canary_goes_first_and_the_rest_follows_when_it_is_proved(fleet):
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"percent": 25}, {"rest": True}], wait_s=300)
    assert fleet.offered() == ["MC-1"]
    assert fleet.states(rollout) == ["running", "waiting", "waiting", "waiting", "waiting"]
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout)[0] == "confirmed"
    told = fleet.told(rollout)
    assert (told["wave"], told["state"]) == (1, "running")
    assert told["reason"].startswith("Wave 2 begins in 2")
    assert [wave["size"] for wave in told["waves"]] == [1, 1, 3]
    assert fleet.offered() == ["MC-1"]
    await fleet.settled(300)
    assert fleet.offered() == ["MC-1", "MC-2"]
    await fleet.updates(fleet.modules[1])
    await fleet.settled(300)
    assert fleet.states(rollout) == ["confirmed", "confirmed", "running", "running", "waiting"]
    for module in fleet.modules[2:]:
        await fleet.updates(module)
    told = fleet.told(rollout)
    assert (told["state"], told["counts"]) == ("done", {"size": 5, "confirmed": 5})
    assert told["progress"]["percent"] == 100
    assert told["ended_at"] is not None
    assert len(await audited(fleet, "rollout.done")) == 1
