"""Modules on `/esp32`: their readings, and commands to them."""

import json

import pytest

from bridge.sockets import esp32, esp32_words
from gateway.core.rights import ServiceRole
from tests.bridge.house import device, open_house, until
from tests.bridge.sockets.esp32_firmware import (
    AUDIO,
    GENERIC,
    SWITCH,
    firmware,
    online,
    open_world,
)
from tests.bridge.sockets.tabs import serve
from tests.gateway.core.heart import ADMIN, approved

pytestmark = pytest.mark.anyio


async def test_readings_come_flat_or_wrapped_and_any_message_is_a_sign_of_life(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address, type=GENERIC) as one:
        await one.say("telemetry", moduleId="M", password=one.token, a=1, timestamp=5, moduleType="x")
        for wrapper in ("data", "telemetry", "payload", "values"):
            await one.say("telemetry", **{wrapper: {wrapper[0]: wrapper, "password": "p", "type": "x"}})
        await one.say("telemetry", moduleId="SOMEBODY", a=2)
        for kind in ("pong", "heartbeat", "nonsense"):
            await one.say(kind)
        await one.send("{}")
        await one.say("telemetry", last=1)
        await until(lambda: "last" in core.telemetry.latest("M"))
        assert core.telemetry.latest("M") == {
            "a": 1, "d": "data", "t": "telemetry", "p": "payload", "v": "values", "last": 1,
        }  # fmt: skip


async def test_what_its_type_declares_is_a_reading_in_heartbeats_and_answers_too(tmp_path):
    async with open_world(tmp_path) as (core, address):
        module, token = await approved(core, "M", SWITCH)
        async with firmware(address) as one:
            await one.identify("M", token, moduleType="switch-track", uptime=1, position="left")
            await one.welcomed()
            await until(lambda: core.telemetry.latest("M") == {"uptime": 1, "position": "left"})
            await one.say("heartbeat", uptime=9, position="right", wifiRSSI=-60, freeHeap=4000)
            await until(lambda: core.telemetry.latest("M") == {"uptime": 9, "position": "right"})
            await one.say("command_response", command="left", status="success", data={"position": "mid"})
            await until(lambda: core.telemetry.latest("M") == {"uptime": 9, "position": "mid"})
            assert core.telemetry.set_aside[module.id] == 0


@pytest.mark.parametrize(
    ("said", "status", "result", "error"),
    [
        ({"status": "success", "position": "left"}, "done", {"position": "left"}, None),
        ({"status": "OK"}, "done", None, None),
        ({"position": "left"}, "done", {"position": "left"}, None),
        ({"status": "done", "result": [1]}, "done", [1], None),
        ({"status": "accepted"}, "accepted", None, None),
        (
            {"status": "error", "message": "It is stuck."},
            "failed",
            {"message": "It is stuck."},
            "It is stuck.",
        ),
        ({"status": "failed", "error": {"code": 5}}, "failed", {"error": {"code": 5}}, '{"code":5}'),
        ({"error": "No power."}, "failed", {"error": "No power."}, "No power."),
        ({"status": "rejected"}, "rejected", None, "The module gave no reason."),
        ({"status": "unknown"}, "rejected", None, "The module gave no reason."),
    ],
)
async def test_an_answer_ends_the_command_under_way(tmp_path, said, status, result, error):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        command = await core.commands.send("M", "left", {}, "tom")
        await one.hear("command")
        for wrong in (
            {"command": "right", "status": "success"}, {"command": "left", "id": "x", "status": "success"},
            {"command": "left", "status": "gibberish"}, {"command": "left", "status": 5},
        ):  # fmt: skip
            await one.say("command_response", **wrong)
        await one.is_alive()
        await one.say("telemetry", uptime=1)
        await until(lambda: core.telemetry.latest("M"))
        assert core.commands.get(command.id, "M").status == "sent"
        await one.say("command_response", command="left", **said)
        await until(lambda: core.commands.get(command.id, "M").status == status)
        ended = core.commands.get(command.id, "M")
        if status != "accepted":
            assert (ended.result, ended.error) == (result, error)


async def test_commands_go_out_one_by_one_in_the_form_that_suits_every_firmware(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address, type=AUDIO) as one:
        params = {"filename": "a.mp3", "delay": 5}
        first = await core.commands.send("M", "audio_play", params, "tom")
        second = await core.commands.send("M", "audio_stop", {}, "tom")
        told = await one.hear("command")
        assert told.pop("timestamp") > 1_700_000_000_000
        assert told == {
            "type": "command", "id": first.id, "command": "audio_play", "params": params,
            "data": {**params, "command": "audio_play", "moduleId": "M", "params": params},
            "payload": {"command": "audio_play", "params": params},
        }  # fmt: skip
        assert await one.is_alive() and one.told.empty()
        await one.say("command_response", id=first.id, status="success")
        assert (await one.hear("command"))["id"] == second.id


async def test_what_broke_off_is_said_again_if_it_can_do_no_harm_twice(tmp_path):
    """Such firmware knows no ids: an action that may have been done is not sent a second time."""
    async with open_world(tmp_path) as (core, address):
        _, token = await approved(core, "M", AUDIO)
        async with firmware(address) as one:
            await one.identify("M", token)
            await one.welcomed()
            pause = await core.commands.send("M", "audio_pause", {}, "tom")
            assert (await one.hear("command"))["id"] == pause.id
        await until(lambda: core.presence.of("M").state == "offline")
        async with firmware(address) as one:
            await one.identify("M", token)
            await one.welcomed()
            assert await one.is_alive() and one.told.empty()
            await one.say("command_response", command="audio_pause", status="success")
            await until(lambda: core.commands.get(pause.id, "M").status == "done")
            louder = await core.commands.send("M", "audio_volume", {"level": 80}, "tom")
            assert (await one.hear("command"))["id"] == louder.id
        await until(lambda: core.presence.of("M").state == "offline")
        async with firmware(address) as one:
            await one.identify("M", token)
            await one.welcomed()
            assert (await one.hear("command"))["id"] == louder.id


async def test_a_command_that_is_too_big_for_it_fails_with_a_sentence(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address, type=GENERIC) as one:
        small = {"values": {"text": "x" * 3000}}
        await core.commands.send("M", "set", small, "tom")
        frame = await one.hear("command")
        assert frame["params"] == small and len(json.dumps(frame)) < esp32_words.MAX_FRAME
        await one.say("command_response", command="set", status="success")
        big = await core.commands.send("M", "set", {"values": {"text": "x" * 5000}}, "tom")
        await until(lambda: core.commands.get(big.id, "M").ended)
        ended = core.commands.get(big.id, "M")
        assert (ended.status, ended.error) == ("failed", esp32.TOO_BIG_A_COMMAND)
        assert await one.is_alive()


async def test_it_is_told_what_is_remembered_as_far_as_it_can_read_it(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address, type=GENERIC) as one:
        await core.commands.send("M", "set", {"values": {"a": 1}}, "tom")
        await one.hear("command")
        await one.say("command_response", command="set", status="success")
        await until(lambda: core.standing.of("M"))
        core.telemetry.report(core.registry.get("M"), {"b": 2})
        await one.identify("M", one.token)
        assert await one.welcomed() == {"b": 2, "settings": {"set": {"values": {"a": 1}}}}
        for number in range(30):
            core.telemetry.report(core.registry.get("M"), {f"k{number}": "é" * 500})
        await one.identify("M", one.token)
        remembered = await one.welcomed()
        assert remembered["settings"] and 10 < len(remembered) < 30
        assert len(json.dumps(remembered, ensure_ascii=False).encode()) < esp32_words.MAX_FRAME


async def test_mqtt_programs_meet_it_as_any_other_module(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as address:
        core = house.core
        _, key = await core.services.add("node-red", ServiceRole.CONTROLLER, ADMIN)
        async with online(core, address) as one, device(house, "flow", key, user="node-red") as flow:
            await flow.subscribe("M/out/state", "M/out/availability", "+/ask/+/reply")
            await one.say("telemetry", position="left", uptime=3)
            told = {}
            while told.get("M/out/state") != {"position": "left", "uptime": 3}:
                topic, payload = await flow.hear()
                told[topic] = payload
            await flow.say("M/ask/switch_right", {})
            assert (await one.hear("command"))["command"] == "switch_right"
            await one.say("command_response", command="switch_right", status="success", position="right")
            while (told := await flow.hear())[0] != "M/ask/switch_right/reply" or told[1]["status"] != "done":
                pass
            assert told[1]["result"] == {"position": "right"}
            one.cut()
            while await flow.hear() != ("M/out/availability", "offline"):
                pass
