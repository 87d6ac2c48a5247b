"""Modules on `/esp32`, with a plain websocket client against the whole gateway."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.core.events import PresenceChanged
from tests.bridge.house import open_house, until
from tests.bridge.sockets.esp32_firmware import firmware
from tests.bridge.sockets.test_browsers import serve
from tests.gateway.core.heart import TECHNICIAN, approved, heard

pytestmark = pytest.mark.anyio
SWITCH = 2
PASSWORD = "built into the firmware"


@asynccontextmanager
async def open_world(folder, **settings):
    async with open_house(folder, **settings) as house, serve(house) as address:
        yield house.core, address


async def approve(core, module_id):
    (outcome,) = await core.decisions.approve([module_id], TECHNICIAN)
    assert outcome.error is None


def state(core, module_id):
    presence = core.presence.of(module_id)
    return presence.state, presence.reason


async def test_the_life_of_a_module(tmp_path):
    async with open_world(tmp_path) as (core, address):
        async with httpx.AsyncClient(base_url=address) as http:
            answer = await http.post("/modules/register", json={"type": SWITCH, "serial": "MC-1-ST"})
        token = answer.json()["token"]
        async with firmware(address) as one:
            await one.identify("MC-1-ST", token, moduleType="switch-track", uptime=1, position="left")
            await one.say("telemetry", position="left")
            assert await one.is_alive() and one.told.empty()
            await approve(core, "MC-1-ST")
            assert await one.welcomed() == {}
            assert state(core, "MC-1-ST") == ("online", "hello")
            await one.say("telemetry", moduleId="MC-1-ST", uptime=5, position="left", status="operational")
            await until(lambda: core.telemetry.latest("MC-1-ST") == {"uptime": 5, "position": "left"})
            command = await core.commands.send("MC-1-ST", "switch_right", {}, "tom")
            told = await one.hear("command")
            assert told["command"] == told["data"]["command"] == told["payload"]["command"] == "switch_right"
            await one.say("command_response", command="switch_right", status="success", position="right")
            await until(lambda: core.commands.get(command.id, "MC-1-ST").status == "done")
            assert core.commands.get(command.id, "MC-1-ST").result == {"position": "right"}
            assert core.telemetry.latest("MC-1-ST")["position"] == "right"
            one.cut()
            await until(lambda: state(core, "MC-1-ST") == ("offline", "will"))
        waiting = await core.commands.send("MC-1-ST", "left", {}, "tom")
        async with firmware(address) as one:
            await one.identify("MC-1-ST", token)
            assert (await one.welcomed())["position"] == "right"
            assert (await one.hear("command"))["id"] == waiting.id
            assert state(core, "MC-1-ST") == ("online", "hello")
            await core.registry.revoke("MC-1-ST", TECHNICIAN)
            assert (await one.closed(within_s=2))[0] == 1008
        assert state(core, "MC-1-ST") == ("offline", "revoked")
        async with firmware(address) as one:
            await one.identify("MC-1-ST", token)
            assert (await one.closed())[0] == 1008
