"""What comes in on `/esp32` that should not, and what it leads to."""

import asyncio
import json
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import InvalidStatus

from bridge.sockets import esp32, esp32_door
from tests.bridge.house import open_house, until
from tests.bridge.sockets.esp32_firmware import (
    GENERIC,
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
from tests.bridge.sockets.tabs import serve
from tests.gateway.core.heart import approved

pytestmark = pytest.mark.anyio


UNREADABLE = [
        ("", 1003), ("nonsense", 1003), ("[]", 1003), ("5", 1003), ("null", 1003), ('"type"', 1003),
        ('{"type":"telemetry","a":NaN}', 1003), ('{"a":1e999}', 1003), ('{"a":' + "9" * 5000 + "}", 1003),
        ('{"a":"\\ud800"}', 1003), ('{"a":' + "[" * 7000 + "]" * 7000 + "}", 1003), ("[" * 16000, 1003),
        ('{"a":[[[[[[[[[[1]]]]]]]]]]}', 1003), (b'{"type":"pong"}', 1003), (b"", 1003),
        ('{"type":"telemetry","a":"' + "x" * 17000 + '"}', 1009), ("x" * 2_000_000, 1009),
]  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
async def test_what_nobody_can_read_ends_that_socket_alone(tmp_path, known):
    async with open_world(tmp_path) as (core, address), online(core, address, "OTHER") as other:
        _, token = await approved(core, "M", SWITCH)
        for raw, code in UNREADABLE:
            async with firmware(address) as one:
                if known:
                    await one.identify("M", token)
                    await one.welcomed()
                await one.send(raw)
                assert (await one.closed())[0] == code, raw[:50]
        assert await other.is_alive()


async def test_text_that_is_no_utf8_ends_the_socket(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        await one.socket.send(b'{"type":"pong\xff"}', text=True)
        assert (await one.closed())[0] == 1007
        await until(lambda: state(core) == ("offline", "will"))


async def test_odd_messages_are_set_aside_and_the_session_lives(tmp_path):
    odd = [
        {"type": "telemetry", "data": [1]}, {"type": "telemetry", "": 1}, {"type": "telemetry", "k" * 300: 1},
        {"type": "telemetry", "a": 10**400}, {"type": "telemetry", "values": {"a": {"b": {"c": {"d": {}}}}}},
        {"type": "telemetry"} | {f"k{n}": n for n in range(100)},
        {"type": 5}, {"type": None}, {"type": ["x"]}, {"type": "command_response"},
        {"type": "command_response", "id": {"a": 1}, "command": [1], "status": []},
        {"type": "telemetry", "moduleId": 5, "a": 1}, {"type": "heartbeat", "uptime": "x", "data": None},
        {"type": "telemetry", "uptime": -1},
    ]  # fmt: skip
    async with open_world(tmp_path) as (core, address), online(core, address) as one:
        for message in odd:
            await one.send(json.dumps(message))
        await one.send('{"type":"telemetry","uptime":1,"uptime":2}')
        await until(lambda: core.telemetry.latest("M") == {"uptime": 2})
        assert await one.is_alive()


async def test_before_it_has_said_who_it_is_nothing_else_is_heard(tmp_path, monkeypatch):
    async with open_world(tmp_path) as (core, address):
        await approved(core, "M", GENERIC)
        for message in (
            {"type": "telemetry", "moduleId": "M", "a": 1},
            {"type": "heartbeat"},
            {},
            {"type": "pong"},
        ):
            async with firmware(address) as one:
                await one.send(json.dumps(message))
                assert await one.closed() == (1008, esp32.WHO)
        monkeypatch.setattr(esp32, "IDENTIFY_S", 0.5)
        async with firmware(address) as one:
            assert (await one.closed())[0] == 1008
        assert core.telemetry.latest("M") == {}


async def test_few_may_stand_about_without_a_name_and_modules_still_come_in(tmp_path, monkeypatch):
    monkeypatch.setattr(esp32_door, "MOST_FROM_ADDRESS", 3)
    async with (
        open_world(tmp_path) as (core, address),
        online(core, address) as one,
        AsyncExitStack() as stack,
    ):
        for _ in range(3):
            await stack.enter_async_context(firmware(address))
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(firmware(address))
        assert refused.value.response.status_code == 403
        await stack.aclose()
        async with firmware(address) as again:
            await again.identify("M", one.token)
            await again.welcomed()


async def test_a_fault_of_ours_is_said_to_be_one_and_holds_no_secret(tmp_path, monkeypatch, caplog):
    async with open_world(tmp_path) as (core, address), online(core, address) as one:

        def fail(*_):
            raise RuntimeError("a bug")

        monkeypatch.setattr(core.telemetry, "report", fail)
        await one.say("telemetry", password=one.token, uptime=1)
        assert (await one.closed())[0] == 1011
        await until(lambda: state(core) == ("offline", "will"))
    assert "a bug" in caplog.text and one.token not in caplog.text


async def test_nothing_secret_is_logged_or_kept(tmp_path, caplog):
    caplog.set_level("INFO")
    async with open_world(tmp_path) as (core, address):
        await refusal(address, "M", PASSWORD, password2=PASSWORD)
        await until(lambda: life(core, "M") == "pending")
        await approve(core, "M")
        async with firmware(address) as one:
            await one.identify("M", PASSWORD)
            await one.welcomed()
            await one.send('{"type":"telemetry","password":"' + PASSWORD + '"')
            assert (await one.closed())[0] == 1003
        assert PASSWORD not in repr(core.registry.get("M"))
    ours = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert PASSWORD not in "".join(record.getMessage() for record in ours)


async def test_one_who_never_stops_talking_is_read_no_faster_than_others(tmp_path, monkeypatch):
    async with open_world(tmp_path, rate_limits=True) as (core, address), online(core, address) as one:

        async def flood():
            for number in range(400):
                await one.say("telemetry", uptime=number)

        flooding = asyncio.create_task(flood())
        async with online(core, address, "OTHER") as other:
            await other.say("telemetry", uptime=5)
            await until(lambda: core.telemetry.latest("OTHER") == {"uptime": 5})
        await until(lambda: core.telemetry.latest("M").get("uptime") == 399)
        await flooding


async def test_one_whose_connection_died_unseen_is_found_by_pings(tmp_path):
    async with (
        open_house(tmp_path) as house,
        serve(house, ws_ping_interval=0.5, ws_ping_timeout=2) as address,
        online(house.core, address) as one,
    ):
        one.socket.transport.pause_reading()
        await until(lambda: state(house.core) == ("offline", "will"))
        one.cut()


async def test_one_who_asks_and_never_reads_is_cut_off_and_holds_up_nobody(tmp_path):
    async with open_world(tmp_path) as (core, address), online(core, address, type=GENERIC) as one:
        core.telemetry.report(core.registry.get("M"), {"much": "x" * 14_000})
        one.socket.transport.pause_reading()

        async def ask():
            while True:
                await one.identify("M", one.token)

        asking = asyncio.create_task(ask())
        await until(lambda: state(core) == ("offline", "will"))
        async with online(core, address, "OTHER") as other:
            assert await other.is_alive()
        asking.cancel()
        await asyncio.wait([asking])
        one.cut()
