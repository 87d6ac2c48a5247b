"""Two devices with one identity, over real transports: one alert, both named, and both let in each time."""

import asyncio

import pytest

from tests.bridge.house import device, open_house, until
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import ADMIN, approved

pytestmark = pytest.mark.anyio


async def clone_alerts(house):
    return [alert for alert in house.core.alerting.book.all_to(ADMIN, 10**9, 100) if alert.kind == "clone"]


async def test_over_mqtt_a_storm_of_takeovers_is_one_alert(tmp_path):
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core, "MC-1")
        for turn in range(8):
            async with device(house, "MC-1", token) as one:
                await one.say("MC-1/up/register", {"hardware": f"board-{turn % 2}"})
                async with device(house, "MC-1", token) as other:
                    await other.say("MC-1/up/register", {"hardware": f"board-{(turn + 1) % 2}"})
                    assert await one.cut_off()
                    assert house.core.presence.of("MC-1").state == "online"
            await until(lambda: not house.core.presence.of("MC-1").session)
        await until(lambda: house.core.alerting.book.opened("clone"))
        (alert,) = await clone_alerts(house)
        text = str(alert.text.said)
        assert "127.0.0.1" in text and "board-0" in text and "board-1" in text


async def test_over_socket_io_as_well(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core, "MC-1")
        async with tab(address) as one, tab(address) as other:
            for turn in range(6):
                side, name = (one, "board-a") if turn % 2 == 0 else (other, "board-b")
                if not side.client.connected:
                    await side.client.connect(address, transports=["websocket"])
                await side.say("module.register", {"token": token, "hardware": name})
                await side.hear("module.register")
                await asyncio.sleep(0.1)
            await until(lambda: house.core.alerting.book.opened("clone"))
        (alert,) = await clone_alerts(house)
        assert "board-a" in str(alert.text.said) and "board-b" in str(alert.text.said)


async def test_one_that_comes_back_after_a_goodbye_is_no_clone(tmp_path):
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core, "MC-1")
        for _ in range(6):
            async with device(house, "MC-1", token) as one:
                await one.say("MC-1/up/register")
            await until(lambda: not house.core.presence.of("MC-1").session)
        house.core.alerting.tick()
        assert await clone_alerts(house) == []
