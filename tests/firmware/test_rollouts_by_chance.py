"""Whatever modules, people and kills do to a rollout: its bounds hold, its counts add up, and it ends."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from firmware.job_records import load_rollout
from firmware.rollout_values import MEMBER_ENDED, OVER
from firmware.values import UNDER_WAY
from gateway.core.errors import Conflict
from tests.firmware.fleet import Lives
from tests.gateway.core.heart import ADMIN, Clock

# An example takes a second, so few are tried each time, others each time, and none is made smaller.
EXAMPLES = int(os.environ.get("EXAMPLES", "15"))
COUNT = 6
IDS = [f"MC-{place}" for place in range(1, COUNT + 1)]
places = st.integers(0, COUNT - 1)
waves = st.sampled_from(
    [
        [{"rest": True}],
        [{"modules": ["MC-2"]}, {"rest": True}],
        [{"percent": 30}, {"percent": 30}, {"rest": True}],
        [{"modules": ["MC-1", "MC-4"]}, {"percent": 50}, {"rest": True}],
    ]
)
plans = st.fixed_dictionaries(
    {
        "waves": waves,
        "wait_s": st.sampled_from([0, 40]),
        "success_percent": st.sampled_from([0, 50, 100]),
        "stop": st.sampled_from([{"count": 1}, {"count": 2}, {"percent": 50}]),
        "on_stop": st.sampled_from(["pause", "pause", "revert"]),
        "concurrency": st.integers(1, 3),
        "never_both": st.sampled_from([[], [["MC-1", "MC-2"]], [["MC-1", "MC-2"], ["MC-2", "MC-3"]]]),
    }
)
PEOPLE = ("pause", "resume", "cancel", "retry", "revert")
actions = st.one_of(
    st.tuples(st.sampled_from(["works", "works", "works", "breaks", "fails", "goes", "comes"]), places),
    st.tuples(st.just("time"), st.sampled_from([1, 45, 130])),
    st.tuples(st.sampled_from(PEOPLE), st.just(0)),
    st.tuples(st.just("kill"), st.sampled_from([0, 1])),
)


class World:
    def __init__(self, lives, plan):
        self.lives, self.plan = lives, plan
        self.rollout = None
        self.begun, self.chances = set(), 1

    @property
    def fleet(self):
        return self.lives.fleet

    async def begin(self):
        self.rollout = await self.fleet.create(**self.plan)
        self.check("begin", "running")

    async def do(self, action, argument):
        before = self.fleet.state(self.rollout)
        await getattr(self, f"_{action}")(argument)
        await self.fleet.settled()
        self.check(action, before)

    # What modules do: honest ones, whose update works or does not

    def _under_way(self, place):
        module = self.fleet.modules[place]
        job = self.fleet.floor.job(module)
        is_there = module.id in self.fleet.floor.boards.there
        return (module, job) if is_there and job is not None and job.state in UNDER_WAY else (module, None)

    async def _works(self, place):
        module, job = self._under_way(place)
        floor = self.fleet.floor
        if job is None:
            return
        if job.state == "offered":
            floor.fetches(module)
        elif job.state == "downloading":
            floor.fetches(module)
            floor.says(module, "downloaded")
        elif job.state in ("downloaded", "verified"):
            floor.says(module, "installing")
        else:
            floor.goes(module)
            floor.connects(module)
            await floor.hello(module, floor.firmware.images.get(job.image_id))
            floor.passes(62)

    async def _breaks(self, place):
        module, job = self._under_way(place)
        if job is not None:
            self.fleet.floor.says(module, "rolled_back", error="no Wi-Fi")

    async def _fails(self, place):
        module, job = self._under_way(place)
        if job is not None:
            self.fleet.floor.says(module, "failed", error="flash is worn")

    async def _goes(self, place):
        if self.fleet.modules[place].id in self.fleet.floor.boards.there:
            self.fleet.floor.goes(self.fleet.modules[place])

    async def _comes(self, place):
        module = self.fleet.modules[place]
        if module.id not in self.fleet.floor.boards.there:
            self.fleet.floor.connects(module)

    async def _time(self, seconds):
        """The look for modules that are due comes every ten seconds."""
        self.fleet.floor.passes(seconds)
        await self.fleet.floor.firmware.reconcile.look()

    # What people and accidents do

    async def _step(self, name, **more):
        try:
            await getattr(self.fleet.rollouts, name)(self.rollout.id, ADMIN, **more)
        except Conflict:
            return
        self.chances += name in ("resume", "retry")

    async def _pause(self, _):
        await self._step("pause")

    async def _resume(self, _):
        await self._step("resume")

    async def _cancel(self, _):
        await self._step("cancel")

    async def _retry(self, _):
        await self._step("retry", override=True)

    async def _revert(self, _):
        await self._step("revert")

    async def _kill(self, stored):
        await self.fleet.settled()
        before = self._seen()
        await self.lives.kill(stored=bool(stored))
        if stored:
            # Whoever was offered the image and said nothing yet may have lost his turn to another meanwhile.
            after = self._seen()
            assert after["state"] == before["state"] or before["state"] == "running"
            for state in ("confirmed", "failed", "rolled_back", "cancelled", "skipped", "reverted"):
                assert after["counts"].get(state, 0) >= before["counts"].get(state, 0) or state == "cancelled"
        self.begun = set()

    def _seen(self):
        return self.fleet.told(self.rollout)

    # What always holds

    def check(self, action, before):
        told, rows = self._seen(), self.fleet.rollouts.members(self.rollout.id)
        ledger = self.fleet.floor.firmware.ledger
        own = [job for job in ledger.open_jobs() if job.rollout_id == self.rollout.id]
        at_it = {job.module_number for job in own if job.state in UNDER_WAY}
        assert len(at_it) <= self.plan["concurrency"]
        names = {self.fleet.floor.core.registry.numbered(number).id for number in at_it}
        for pair in self.plan["never_both"]:
            assert not set(pair) <= names
        counts = dict(told["counts"])
        assert counts.pop("size") == sum(counts.values()) == len(rows) == COUNT
        assert sum(wave["size"] for wave in told["waves"]) == COUNT
        open_jobs = {job.id for job in own}
        for row in rows:
            if row["state"] == "running":
                assert row["job_id"] in open_jobs
            if row["state"] == "waiting":
                assert row["wave"] >= told["wave"] or told["state"] != "done"
        begun = {job.id for job in own if job.state in UNDER_WAY}
        halted = ("paused", "stopped", "cancelled", "done", "reverted")
        if before in halted and told["state"] == before and action != "kill":
            assert begun <= self.begun, "something began in a rollout that was halted"
        self.begun = begun
        if told["state"] in ("done", "reverted"):
            assert all(row["state"] in MEMBER_ENDED for row in rows)
        if told["state"] == "cancelled":
            assert not open_jobs

    async def ends(self):
        """With patient people and modules that work from now on, it is over at last, and nothing is left."""
        for _ in range(40):
            if self.fleet.state(self.rollout) in OVER:
                break
            if self.fleet.state(self.rollout) in ("paused", "stopped"):
                await self.do("resume", 0)
            for place in range(COUNT):
                await self._comes(place)
                for _ in range(4):
                    await self.do("works", place)
            await self.do("retry", 0)
            await self.do("time", 130)
        assert self.fleet.state(self.rollout) in OVER, self._seen()
        found = await self.fleet.floor.core.store.read(lambda: load_rollout(self.rollout.id))
        forth = [job.module_number for job in found if job.image_id == self.rollout.image_id]
        assert all(forth.count(module.number) <= self.chances for module in self.fleet.modules)


async def play(plan, script, clock):
    with tempfile.TemporaryDirectory() as folder:
        async with Lives(Path(folder), clock, COUNT) as lives:
            world = World(lives, plan)
            await world.begin()
            for action, argument in script:
                await world.do(action, argument)
            await world.ends()


@settings(
    max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(plans, st.lists(actions, max_size=30))
def test_a_rollout_by_chance(plan, script):
    with pytest.MonkeyPatch.context() as patch:
        asyncio.run(play(plan, script, Clock(patch)))
