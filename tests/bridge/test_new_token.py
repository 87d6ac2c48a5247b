"""A new token at its first use: sessions of the old one end soon, on every transport, and its own stay."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.core.registry import TAKEOVER_S
from tests.bridge.house import device, open_house, until
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import ADMIN, approved

pytestmark = pytest.mark.anyio
AT = "MC-1/down/#"


@asynccontextmanager
async def open_world(folder):
    """A house with a module that has an old token and a new one, not used yet."""
    async with open_house(folder) as house, serve(house) as address:
        _, old = await approved(house.core, "MC-1")
        yield house, address, old, await house.core.registry.rotate_token("MC-1", ADMIN)


async def greeted(socket, token):
    await socket.say("module.register", {"token": token})
    assert (await socket.hear("module.register"))[1]["status"] == 2


async def the_dust_settles():
    """All that is to end has ended."""
    await asyncio.sleep(TAKEOVER_S + 1)


async def test_a_socket_with_the_new_token_ends_mqtt_with_the_old(tmp_path):
    async with open_world(tmp_path) as (house, address, old, new), device(house, "MC-1", old) as before:
        await before.say("MC-1/up/telemetry", {"a": 1})
        async with tab(address) as after:
            await greeted(after, new)
            assert await before.cut_off()
            await the_dust_settles()
            assert not after.gone.is_set()
            await after.say("module.7.telemetry", {"a": 2})
            await until(lambda: house.core.telemetry.latest("MC-1").get("a") == 2)
            assert house.core.presence.of("MC-1").state == "online"


async def test_mqtt_with_the_new_token_ends_a_socket_with_the_old(tmp_path):
    async with open_world(tmp_path) as (house, address, old, new), tab(address) as before:
        await greeted(before, old)
        async with device(house, "MC-1", new) as after:
            async with asyncio.timeout(20):
                await before.gone.wait()
            await the_dust_settles()
            assert await after.heard_nothing()
            await after.say("MC-1/up/telemetry", {"a": 2})
            await until(lambda: house.core.telemetry.latest("MC-1").get("a") == 2)
            assert house.core.presence.of("MC-1").state == "online"


async def test_a_session_that_the_new_token_takes_over_goes_on_with_all_it_has(tmp_path):
    """The same client id: its subscriptions and what waits for it are its own, whichever token opens it."""
    async with open_world(tmp_path) as (house, _, old, new):
        async with device(house, "MC-1", old, clean=False) as before:
            assert await before.subscribe(AT) == [1]
            await before.say("MC-1/up/telemetry", {"a": 1})
            assert house.core.presence.of("MC-1").state == "online"
        await until(lambda: house.core.presence.of("MC-1").state == "offline")
        async with device(house, "MC-1", new, clean=False, present=True) as after:
            await the_dust_settles()
            house.link.publish("gw/1/MC-1/down/instance", b'{"n": 1}')
            assert await after.hear() == ("MC-1/down/instance", {"n": 1})
        # While the old connection is still open, too.
        newest = await house.core.registry.rotate_token("MC-1", ADMIN)
        async with device(house, "MC-1", new, clean=False, present=True) as before:
            async with device(house, "MC-1", newest, clean=False, present=True) as after:
                assert await before.cut_off()
                await after.say("MC-1/up/telemetry", {"a": 3})
                await the_dust_settles()
                house.link.publish("gw/1/MC-1/down/instance", b'{"n": 2}')
                assert await after.hear() == ("MC-1/down/instance", {"n": 2})
                assert house.core.presence.of("MC-1").state == "online"
