"""Over the real broker: what a module should have finds it again, and what it logs is kept."""

import pytest

from gateway.core.rights import Person, Role
from tests.bridge.house import device, enrol, open_house

pytestmark = pytest.mark.anyio
ADMIN = Person(1, "ann", Role.ADMIN)
DOWN = "MC-1/down/#"


async def approved(house):
    granted = await enrol(house, "MC-1")
    await house.core.decisions.approve(["MC-1"], ADMIN)
    return granted["token"]


async def hello(module):
    """Say it; returns what the module should have, None when it is told nothing."""
    assert await module.subscribe(DOWN) == [1]
    await module.say("MC-1/up/register")
    while True:
        topic, said = await module.hear()
        if topic == "MC-1/down/registered":
            break
    if await module.heard_nothing():
        return None
    topic, said = await module.hear()
    assert topic == "MC-1/down/desired"
    return said


async def test_settings_go_out_at_once_and_again_until_they_are_dealt_with(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        await house.core.desired.set("MC-1", {"interval": 30}, 0, ADMIN)
        first = {"version": 1, "values": {"interval": 30}}
        # Whoever was away, and whoever has not answered, is told at each hello.
        for _ in range(2):
            async with device(house, "MC-1", token) as module:
                assert await hello(module) == first
        async with device(house, "MC-1", token) as module:
            assert await hello(module) == first
            await module.say("MC-1/up/reported", first)
            await house.core.desired.change("MC-1", "mode", "eco", 1, ADMIN)
            assert await module.hear() == (
                "MC-1/down/desired", {"version": 2, "values": {"interval": 30, "mode": "eco"}},
            )  # fmt: skip
            await module.say("MC-1/up/reported", {"version": 2, "values": {"interval": 30, "mode": "eco"}})
            assert await module.heard_nothing()
        async with device(house, "MC-1", token) as module:
            assert await hello(module) is None


async def test_a_module_that_forgot_is_told_once_and_one_that_insists_is_left_alone(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        await house.core.desired.set("MC-1", {"a": 1}, 0, ADMIN)
        async with device(house, "MC-1", token) as module:
            await hello(module)
            await module.say("MC-1/up/reported", {"version": 1, "values": {"a": 1}})
            await module.say("MC-1/up/reported", {"version": 0, "values": {}})
            assert await module.hear() == ("MC-1/down/desired", {"version": 1, "values": {"a": 1}})
            for _ in range(3):
                await module.say("MC-1/up/reported", {"version": 0, "values": {"a": 7}})
            assert await module.heard_nothing()
        assert house.core.desired.of("MC-1").reported == {"a": 7}


@pytest.mark.parametrize("topic", ["MC-1/up/log/fatal", "MC-1/up/log", "MC-1/up/log/info/more"])
async def test_a_log_topic_that_there_is_not_is_set_aside(tmp_path, topic):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        async with device(house, "MC-1", token) as module:
            await module.say(topic, b"x")
            await module.say("MC-1/up/log/warn", b"low\x1bbattery")
            lines = await house.core.device_log.page(house.core.registry.get("MC-1"))
            assert [(line.level, line.text) for line in lines] == [("warn", "low␛battery")]


async def test_a_pending_module_logs_nothing(tmp_path):
    async with open_house(tmp_path) as house:
        token = (await enrol(house, "MC-1"))["token"]
        async with device(house, "MC-1", token) as module:
            await module.say("MC-1/up/log/error", b"let me in")
        assert await house.core.device_log.page(house.core.registry.get("MC-1")) == []
