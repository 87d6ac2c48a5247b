"""Sockets that nobody answers for: few, and not for long."""

import asyncio

import httpx
import pytest
import socketio

from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve, tab
from tests.gateway.core.heart import application, approved

pytestmark = pytest.mark.anyio


async def refused(address):
    try:
        async with tab(address):
            return False
    except socketio.exceptions.ConnectionError:
        return True


async def test_one_address_has_few_strangers_and_who_is_known_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.sockets.strangers.MOST_OF_ADDRESS", 2)
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core, "M")
        async with tab(address) as first:
            async with tab(address):
                assert await refused(address)
            async with tab(address):
                assert await refused(address)
                await first.say("module.register", {"token": token})
                await first.hear("module.register")
                assert not await refused(address)


async def test_who_says_nothing_valid_is_sent_away_and_who_goes_on_asking_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.sockets.strangers.STRANGER_S", 2.0)
    async with open_house(tmp_path) as house, serve(house) as address:
        granted = await house.core.enrolment.register(application(), "127.0.0.1")
        async with tab(address) as silent, tab(address) as babbling, tab(address) as patient:
            for _ in range(12):
                if not babbling.gone.is_set():
                    await babbling.say("module.register", {"token": "x" * 43})
                await patient.say("module.register", {"token": granted.token})
                await asyncio.sleep(0.5)
            assert silent.gone.is_set() and babbling.gone.is_set()
            assert not patient.gone.is_set()


async def knock(http):
    """A handshake that says nothing of Socket.IO afterwards."""
    return (await http.get("/socket.io/", params={"EIO": "4", "transport": "polling"})).status_code


async def comes_true(ask, wanted):
    for _ in range(60):
        if await ask() == wanted:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"it never became {wanted}")


async def test_connections_that_never_join_are_few_for_an_address_and_end(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.sockets.strangers.MOST_SILENT_OF_ADDRESS", 3)
    monkeypatch.setattr("bridge.sockets.strangers.STRANGER_S", 3.0)
    async with open_house(tmp_path) as house, serve(house) as address:
        _, token = await approved(house.core, "M")
        # Whoever joins at once does not count among them, however many there are.
        async with tab(address) as first, tab(address), tab(address), tab(address):
            async with httpx.AsyncClient(base_url=address) as http:
                assert [await knock(http) for _ in range(5)] == [200, 200, 200, 401, 401]
                assert await refused(address)
                # Who is there goes on, and the places come back when the silent ones are sent away.
                await first.say("module.register", {"token": token})
                await first.hear("module.register")
                await comes_true(lambda: knock(http), 200)
            await comes_true(lambda: refused(address), False)
            assert not first.gone.is_set()
