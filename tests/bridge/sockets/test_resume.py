"""`modules:watch` after a break: what came meanwhile, all of it, and nothing twice."""

import asyncio
import random
from contextlib import suppress

import pytest

from tests.bridge.sockets.tabs import PATIENCE_S, tab
from tests.bridge.sockets.test_browsers import open_world

pytestmark = pytest.mark.anyio
ROUNDS, KEYS = 12, 150


class Page:
    """Keeps what it was told over all its connections; every key is reported once, so it may come once."""

    def __init__(self):
        self.seq, self.known, self.snapshots = None, {}, 0

    def take(self, event, data):
        if event == "modules:snapshot":
            self.snapshots += 1
            self.known = {id: dict(module["telemetry"]) for id, module in data["modules"].items()}
        elif event == "modules:changes":
            assert data["seq"] >= self.seq
            for id, change in data["modules"].items():
                new = change.get("telemetry", {})
                assert not new.keys() & self.known[id].keys(), "said twice"
                self.known[id] |= new
        self.seq = data["seq"]


async def report_all(core, chance):
    for number in range(KEYS):
        for id in chance.sample(["HERS", "HOUSE"], 2):
            core.telemetry.report(core.registry.get(id), {f"k{number}": number})
            await asyncio.sleep(chance.choice([0, 0, 0.01, 0.05]))


async def visit(page, address, cookie, more):
    """Connect, take up where one was, read so many more events, and go."""
    async with tab(address, cookie) as one:
        await one.say("modules:watch", {} if page.seq is None else {"since": page.seq})
        page.take(*await one.hear("modules:snapshot", "modules:changes"))
        # Unless nothing comes any more.
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                for _ in range(more):
                    page.take(*await one.hear("modules:snapshot", "modules:changes"))


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_comes_and_goes_misses_nothing_and_hears_nothing_twice(tmp_path, seed):
    chance = random.Random(seed)
    async with open_world(tmp_path) as (house, address, cookies):
        core, page, steady = house.core, Page(), Page()
        async with tab(address, cookies["ann"]) as other:
            await other.say("modules:watch", {})
            reporting = asyncio.create_task(report_all(core, random.Random(seed)))
            async with asyncio.timeout(3 * PATIENCE_S):
                for _ in range(ROUNDS):
                    await visit(page, address, cookies["ann"], chance.randrange(3))
                    await asyncio.sleep(chance.choice([0, 0.1, 0.3]))
                await reporting
                await visit(page, address, cookies["ann"], 0)
                everything = {id: core.telemetry.latest(id) for id in ("HERS", "HOUSE")}
                while steady.known != everything:
                    steady.take(*await other.hear("modules:snapshot", "modules:changes"))
        assert page.known == everything and page.snapshots == steady.snapshots == 1
