"""Modules with an old image that they run and a new one that is on its way, and a gateway that is killed."""

import shutil
import sqlite3
from contextlib import AsyncExitStack, closing

from tests.firmware.floor import open_floor
from tests.gateway.core.heart import TECHNICIAN

NAME = "passerelle.db"


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


class Lives:
    """A fleet whose gateway is killed and started again, on one clock."""

    def __init__(self, folder, clock, count=5):
        self.folder, self.clock, self.count = folder, clock, count
        self.lives = 0

    async def __aenter__(self):
        await self._open()
        self.fleet = await populate(self.floor, self.count)
        return self

    async def __aexit__(self, *_):
        await self._stack.aclose()

    async def _open(self):
        self._stack = AsyncExitStack()
        place = self.folder / str(self.lives)
        self.floor = await self._stack.enter_async_context(open_floor(place, self.clock))

    async def kill(self, *, stored=True):
        """What the database has not committed at this moment is lost; with `stored` that is nothing.

        Modules that were there connect again and say hello with what they run.
        """
        old, there = self.fleet, set(self.floor.boards.there)
        if stored:
            await old.floor.core.store.run(lambda: None)
        self._copy(self.folder / str(self.lives), self.folder / str(self.lives + 1))
        running = {module.id: old.floor.core.registry.get(module.id).firmware for module in old.modules}
        await self._stack.aclose()
        self.lives += 1
        await self._open()
        core, images = self.floor.core, {image.id: image for image in self.floor.firmware.images.all()}
        modules = [core.registry.get(module.id) for module in old.modules]
        self.fleet = Fleet(self.floor, images[old.old.id], images[old.new.id], modules)
        by_serial = {image.serial: image for image in images.values()}
        for module in modules:
            if module.id in there:
                self.floor.connects(module)
                await self.floor.hello(module, by_serial.get(running[module.id]))
        await self.fleet.settled()
        return self.fleet

    @staticmethod
    def _copy(before, after):
        after.mkdir()
        shutil.copytree(before / "firmware", after / "firmware")
        with closing(sqlite3.connect(before / NAME)) as old, closing(sqlite3.connect(after / NAME)) as new:
            old.backup(new)
