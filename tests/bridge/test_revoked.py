"""One click, and a module is out: its sessions, its login, what waits for it, what is retained of it."""

import anyio
import pytest

from gateway.core.rights import Person, Role, ServiceRole
from tests.bridge.house import device, enrol, open_house, until

pytestmark = pytest.mark.anyio
ADMIN = Person(1, "ann", Role.ADMIN)


async def approved(house):
    granted = await enrol(house, "MC-1")
    await house.core.decisions.approve(["MC-1"], ADMIN)
    return granted["token"]


async def at_work(house, token):
    """It said hello and a reading, and something waits for it."""
    async with device(house, "MC-1", token) as module:
        await module.say("MC-1/up/register")
        await module.say("MC-1/up/availability", b"online", retain=True)
        await module.say("MC-1/up/telemetry", {"a": 1})
    return await house.core.commands.send("MC-1", "set", {"values": {"a": 2}}, ADMIN)


async def retained(house, token):
    """What somebody who listens from now on gets of the module."""
    async with device(house, "grafana", token) as listener:
        assert await listener.subscribe("+/out/#") == [1]
        found = []
        with anyio.move_on_after(0.5):
            while True:
                found.append(await listener.hear())
        return [topic for topic, _ in found]


async def test_all_of_it_ends_within_two_seconds_and_nothing_is_left_for_it(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        waiting = await at_work(house, token)
        _, reader = await house.core.services.add("grafana", ServiceRole.READER, ADMIN)
        assert await retained(house, reader)
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/registered")
            await module.say("MC-1/up/telemetry", {"a": 3})
            with anyio.fail_after(2):
                await house.core.registry.revoke("MC-1", ADMIN)
                await module.cut_off()
        async with device(house, "MC-1", token, code=4):
            pass
        ended = house.core.commands.get(waiting.id, "MC-1")
        assert (ended.status, ended.error) == ("canceled", "The module was revoked.")
        await until(lambda: house.core.presence.of("MC-1").reason == "revoked")
        assert await retained(house, reader) == []
        (row,) = [r for r in await house.core.audit.rows(subject="MC-1") if r["action"] == "module.revoke"]
        assert row["who"] == "ann"


async def test_it_stays_out_over_a_restart_that_comes_between(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        waiting = await at_work(house, token)
        _, reader = await house.core.services.add("grafana", ServiceRole.READER, ADMIN)
        # The gateway ends after the revocation is durable and before anybody heard of it.
        house.core.hub._listeners.clear()
        await house.core.registry.revoke("MC-1", ADMIN)
        assert house.core.commands.get(waiting.id, "MC-1").status == "queued"
    async with open_house(tmp_path) as house:
        async with device(house, "MC-1", token, code=4):
            pass
        assert house.core.commands.get(waiting.id, "MC-1").status == "canceled"
        assert await retained(house, reader) == []


async def test_it_comes_back_with_its_name_and_is_told_to_listeners_again(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        await at_work(house, token)
        await house.core.registry.edit("MC-1", ADMIN, name="Lamp")
        await house.core.registry.revoke("MC-1", ADMIN)
        again = await enrol(house, "MC-1", nonce="nonce-5678")
        await house.core.decisions.approve(["MC-1"], ADMIN)
        async with device(house, "MC-1", again["token"]) as module:
            await module.say("MC-1/up/register")
            _, reader = await house.core.services.add("grafana", ServiceRole.READER, ADMIN)
            await anyio.sleep(1)
            assert sorted(await retained(house, reader)) == ["MC-1/out/availability", "MC-1/out/state"]
        assert house.core.registry.get("MC-1").name == "Lamp"
