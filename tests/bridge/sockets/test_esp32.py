"""Modules on `/esp32`: how they come in, and whose session it is."""

import asyncio

import httpx
import pytest

from bridge.sockets import esp32, esp32_door
from gateway.core import tokens
from gateway.core.events import PresenceChanged
from tests.bridge.house import until
from tests.bridge.sockets.esp32_firmware import (
    PASSWORD,
    SWITCH,
    approve,
    firmware,
    life,
    online,
    open_world,
    refusal,
    state,
)
from tests.gateway.core.heart import TECHNICIAN, approved, heard

pytestmark = pytest.mark.anyio


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


KINDS = [
    ("switch-track", "a", 2), ("station", "b", 1), ("audio", "c", 6), ("Smoke machine", "d", 5),
    (4, "e", 4), ("3", "f", 3), ("stn", "g", 1), (None, "MC-7-ST", 2), ("nonsense", "MC-8-AP", 6),
    (None, "h", 7), (10**30, "i", 7), (True, "j", 7), ({"a": 1}, "k", 7), ("", "MC-9-ST", 2),
]  # fmt: skip


async def test_unknown_firmware_waits_with_the_password_it_has_and_then_works_unchanged(tmp_path):
    async with open_world(tmp_path) as (core, address):
        for module_type, module_id, code in KINDS:
            said = {} if module_type is None else {"moduleType": module_type}
            assert await refusal(address, module_id, PASSWORD, **said) == (1008, esp32.WHO)
            await until(lambda id=module_id: life(core, id) == "pending")
            assert core.registry.get(module_id).type == code
            async with firmware(address) as one:
                await one.identify(module_id, PASSWORD, **said)
                await one.is_alive()
                await approve(core, module_id)
                await one.welcomed()
            async with firmware(address) as one:
                await one.identify(module_id, PASSWORD, **said)
                await one.welcomed()


async def test_one_who_is_turned_away_may_ask_again_at_once(tmp_path):
    async with open_world(tmp_path) as (core, address):
        for number in range(20):
            assert await refusal(address, f"M{number}", PASSWORD) == (1008, esp32.WHO)
            async with firmware(address) as one:
                await one.identify(f"M{number}", PASSWORD)
                await until(lambda id=f"M{number}": life(core, id) == "pending")
                await approve(core, f"M{number}")
                await one.welcomed()


async def test_a_known_module_with_another_password_is_a_re_enrolment_beside_it(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address) as old:
        assert await refusal(address, "M", PASSWORD) == (1008, esp32.WHO)
        await until(lambda: list(core.registry.claims()))
        (claim,) = core.registry.claims()
        assert claim.module_id == "M"
        async with firmware(address) as new:
            await new.identify("M", PASSWORD)
            assert await new.is_alive() and new.told.empty() and await old.is_alive()
            await core.decisions.approve_claim(claim.number, TECHNICIAN)
            await new.welcomed()
            await old.closed(within_s=2)
            await new.say("telemetry", position="left")
            await until(lambda: core.telemetry.latest("M") == {"position": "left"})
            assert state(core) == ("online", "hello")
            await core.registry.revoke("M", TECHNICIAN)
            assert (await new.closed(within_s=2))[0] == 1008


async def test_a_re_enrolment_that_is_rejected_is_closed(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address) as old:
        await refusal(address, "M", PASSWORD)
        await until(lambda: list(core.registry.claims()))
        async with firmware(address) as new:
            await new.identify("M", PASSWORD)
            await new.is_alive()
            await core.decisions.reject(["M"], TECHNICIAN)
            assert await new.closed(within_s=2) == (1008, esp32.WHO)
        assert await old.is_alive()


async def test_a_declared_modules_key_becomes_its_token_at_its_first_hello(tmp_path):
    async with open_world(tmp_path) as (core, address):
        entry = {"serial": "D", "type": SWITCH}
        ((_, key),) = await core.decisions.declare([entry], "tom", with_token=False)
        async with firmware(address) as one:
            await one.identify("D", key)
            await one.welcomed()
            module = core.registry.get("D")
            assert core.registry.digests(module).token == tokens.digest(key)
        async with firmware(address) as one:
            await one.identify("D", key)
            await one.welcomed()
        assert not list(core.registry.claims())
        await core.registry.revoke("D", TECHNICIAN)
        assert await refusal(address, "D", key) == (1008, esp32.WHO)


async def test_a_declared_modules_key_is_worth_nothing_once_it_has_a_token(tmp_path):
    async with open_world(tmp_path) as (core, address):
        entry = {"serial": "D", "type": SWITCH}
        ((_, key),) = await core.decisions.declare([entry], "tom", with_token=False)
        application = {"type": SWITCH, "serial": "D", "shared_key": key}
        async with httpx.AsyncClient(base_url=address) as http:
            answer = await http.post("/modules/register", json=application)
        token = answer.json()["token"]
        assert await refusal(address, "D", key) == (1008, esp32.WHO)
        async with firmware(address) as one:
            await one.identify("D", token)
            await one.welcomed()


@pytest.mark.parametrize("join", ["open", "closed"])
async def test_whatever_is_wrong_is_refused_alike(tmp_path, join):
    async with open_world(tmp_path) as (core, address):
        await approved(core, "M", SWITCH)
        rejected = await core.enrolment.register(esp32_door._application(SWITCH, "NO", {}), "10.0.0.1")
        await core.decisions.reject(["NO"], TECHNICIAN)
        await core.joining.set(join, TECHNICIAN)
        wrong = [
            ("M", PASSWORD), ("M", ""), ("M", None), ("M", 5), ("M", "x"), ("M", "x" * 5000),
            ("UNKNOWN", PASSWORD), ("UNKNOWN", "short"), ("", PASSWORD), (None, PASSWORD), ({}, PASSWORD),
            ("not an id", PASSWORD),
            ("register", PASSWORD), ("NO", rejected.token), ("\u0000", PASSWORD), ("M" * 9000, PASSWORD),
        ]  # fmt: skip
        for module_id, password in wrong:
            assert await refusal(address, module_id, password) == (1008, esp32.WHO), (module_id, password)
        await until(lambda: len(core.registry.claims()) == (join == "open"))
        ids = {module.id for module in core.registry.all()}
        assert ids == ({"M", "NO", "UNKNOWN"} if join == "open" else {"M", "NO"})


async def test_who_waits_hears_nothing_until_it_is_decided(tmp_path, monkeypatch):
    monkeypatch.setattr(esp32, "WAITING_S", 3.0)
    async with open_world(tmp_path) as (core, address):
        await refusal(address, "M", PASSWORD)
        await until(lambda: life(core, "M") == "pending")
        async with firmware(address) as older, firmware(address) as one:
            await older.identify("M", PASSWORD)
            await older.is_alive()
            await one.identify("M", PASSWORD)
            assert (await older.closed())[0] == 1000
            for _ in range(5):
                await asyncio.sleep(1)
                await one.identify("M", PASSWORD)
                await one.say("telemetry", position="left")
            assert await one.is_alive() and one.told.empty()
            assert core.telemetry.latest("M") == {} and core.presence.of("M").last_seen_ms is None
            assert (await one.closed())[0] == 1008
            assert one.told.empty()
        async with firmware(address) as one:
            await one.identify("M", PASSWORD)
            await one.is_alive()
            await core.decisions.reject(["M"], TECHNICIAN)
            assert await one.closed(within_s=2) == (1008, esp32.WHO)


async def test_the_newest_session_wins_and_a_late_goodbye_does_no_harm(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address) as old:
        changes = heard(core, PresenceChanged)
        async with firmware(address) as new:
            await new.identify("M", old.token)
            await new.welcomed()
            assert (await old.closed())[0] == 1000
            await old.close()
            await new.say("telemetry", uptime=1)
            await until(lambda: core.telemetry.latest("M") == {"uptime": 1})
            assert state(core) == ("online", "hello") and changes == []


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "goodbye"), (1001, "goodbye"), (3000, "will"), (None, "will")]
)
async def test_how_it_goes_says_why_it_is_offline(tmp_path, code, reason):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        if code is None:
            one.cut()
        else:
            await one.socket.close(code)
        await until(lambda: state(core) == ("offline", reason))


async def test_asking_again_is_answered_but_nobody_becomes_another(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        _, other = await approved(core, "OTHER", SWITCH)
        await one.identify("m", one.token)
        await one.welcomed()
        await one.identify("OTHER", other)
        assert await one.closed() == (1008, esp32.WHO)
        assert state(core, "OTHER") == ("offline", "")
        async with firmware(address) as again:
            await again.identify("M", one.token)
            await again.welcomed()
            await again.identify("M", PASSWORD)
            assert await again.closed() == (1008, esp32.WHO)
        assert not list(core.registry.claims())


@pytest.mark.parametrize("how", ["revoke", "delete"])
async def test_its_session_ends_when_its_rights_do(tmp_path, how):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        await getattr(core.registry, how)("M", TECHNICIAN)
        assert (await one.closed(within_s=2))[0] == 1008
