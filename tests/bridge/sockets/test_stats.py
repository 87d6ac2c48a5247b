"""The house in numbers: for admins who look, when something changed, at most once a second."""

import asyncio
import time
from itertools import pairwise

import pytest

from bridge.sockets.audience import Audience, Browser
from bridge.sockets.stats import Stats
from tests.bridge.house import device, enrol
from tests.bridge.sockets.tabs import tab
from tests.bridge.sockets.test_browsers import open_world
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, application, approved, open_heart

pytestmark = pytest.mark.anyio
EVENT = "admin:stats:updated"


class Ear:
    def __init__(self):
        self.said = []

    def say(self, event, data, to):
        assert event == EVENT
        self.said.append((data["stats"], list(to)))


class House:
    """Statistics that are pushed when a test says so."""

    def __init__(self, core, monkeypatch):
        # The rest of a process's figures change by themselves.
        monkeypatch.setattr("bridge.sockets.stats.time.process_time", lambda: 0.0)
        monkeypatch.setattr("bridge.sockets.stats._memory_mb", lambda: 50)
        self.core, self.audience, self.ear, self.received = core, Audience(), Ear(), 0
        self.stats = Stats(core, self.audience, self.ear, lambda: self.received)

    def enter(self, sid, person, page="admin"):
        self.audience.enter(Browser(sid, person, 1, page=page))

    def pushed(self):
        before = len(self.ear.said)
        self.stats._push()
        return self.ear.said[before:]


async def test_only_a_change_is_said_and_only_to_admins_who_look(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        house = House(core, monkeypatch)
        house.enter("tech", TECHNICIAN)
        house.enter("elsewhere", ADMIN, "modules")
        assert house.pushed() == []
        house.enter("a", ADMIN)
        ((stats, to),) = house.pushed()
        assert to == ["a"] and (stats["usersOnline"], stats["browsers"]) == (2, 3)
        assert house.pushed() == []
        house.enter("b", ADMIN)
        assert [to for _, to in house.pushed()] == [["a", "b"]]
        assert house.pushed() == []
        module, _ = await approved(core, "A")
        await core.enrolment.register(application("B"), "10.0.0.3")
        ((stats, _),) = house.pushed()
        assert stats["modules"] == {
            "total": 2, "online": 0, "offline": 1, "pending": 1, "sleeping": 0, "unknown": 0, "rejected": 0
        }  # fmt: skip
        assert stats["waiting"] == 1 and set(stats["process"]) == {
            "cpuPercent", "memoryMb", "loopLagMs", "uptimeS"
        }  # fmt: skip
        core.presence.heard(module)
        assert house.pushed()[0][0]["modules"]["online"] == 1
        core.telemetry.report(module, {"a": 1})
        assert house.pushed() == []
        await core.registry.delete("A", ADMIN)
        assert house.pushed()[0][0]["modules"]["total"] == 1


async def test_nothing_is_counted_while_nobody_looks(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        house = House(core, monkeypatch)
        house.enter("olga", OWNER)
        await approved(core, "A")
        monkeypatch.setattr(house.stats, "_figures", None)
        assert house.pushed() == []


async def test_one_who_comes_back_to_the_page_is_told_at_once(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        house = House(core, monkeypatch)
        house.enter("a", ADMIN)
        assert len(house.pushed()) == 1
        house.audience.get("a").page = "modules"
        assert house.pushed() == []
        house.audience.get("a").page = "admin"
        assert len(house.pushed()) == 1


async def test_the_admin_page_is_told_over_the_wire_and_no_other(tmp_path):
    async with (
        open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"]) as admin,
        tab(address, cookies["ann"]) as elsewhere, tab(address, cookies["olga"]) as olga,
    ):  # fmt: skip
        for one, page in ((admin, "admin"), (elsewhere, "modules"), (olga, "admin")):
            await one.say("register_page", {"page": page})
        _, data = await admin.hear(EVENT)
        assert data["stats"]["usersOnline"] == 2 and data["stats"]["browsers"] == 3
        assert data["stats"]["modules"]["total"] == 2
        said_ms = [data["timestamp"]]
        for number in range(3):
            await enrol(house, serial=f"MC-{number}", nonce=f"nonce-000{number}")
            waiting = -1
            while waiting != number + 1:
                _, data = await admin.hear(EVENT)
                waiting = data["stats"]["waiting"]
                said_ms.append(data["timestamp"])
        assert all(later - earlier > 900 for earlier, later in pairwise(said_ms))
        for one in (elsewhere, olga):
            await one.say("request_module_states")
            await one.hear("module_states_sync")
            assert EVENT not in one.passed()


async def test_an_admin_who_asks_is_answered_on_any_page_and_nobody_else(tmp_path):
    async with (
        open_world(tmp_path) as (_, address, cookies), tab(address, cookies["ann"]) as ann,
        tab(address, cookies["olga"]) as olga, tab(address) as nobody,
    ):  # fmt: skip
        for one, answer in ((ann, EVENT), (olga, "client:auth:error"), (nobody, "client:auth:error")):
            await one.say("request_stats")
            event, data = await one.hear(EVENT, "client:auth:error")
            assert event == answer
            assert event == EVENT or set(data) == {"message"}


async def test_messages_of_all_transports_are_counted(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"]) as ann:
        granted = await enrol(house)
        await house.core.decisions.approve([granted["id"]], ADMIN)
        await ann.say("register_page", {"page": "admin"})
        async with device(house, granted["id"], granted["token"]) as one:
            talking = asyncio.create_task(talk(one))
            while (await ann.hear(EVENT))[1]["stats"]["messagesPerSecond"] < 2:
                pass
            talking.cancel()
            await asyncio.wait([talking])


async def talk(one):
    while True:
        await one.say("MC-1/up/telemetry", {"a": time.time()})
        await asyncio.sleep(0.02)
