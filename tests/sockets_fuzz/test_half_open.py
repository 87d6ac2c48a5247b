"""Sockets that are held open by half: they hold up nobody, and are gone in time."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.bridge.house import open_house, until
from tests.bridge.sockets.tabs import serve
from tests.gateway.core.heart import TECHNICIAN, approved

from .raw import RawSocket

pytestmark = pytest.mark.anyio


class HalfOpen:
    """It posts and never gets: what it is told stays where it is."""

    def __init__(self, http, where):
        self._http, self._where = http, where

    async def post(self, packet):
        async with self._http.post(self._where, data=packet) as answer:
            return answer.status


@asynccontextmanager
async def half_open(url):
    where = f"{url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(where) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        yield HalfOpen(http, f"{where}&sid={sid}")


@pytest.fixture
async def world(tmp_path):
    async with open_house(tmp_path) as house, serve(house) as url:
        yield house.core, url


async def test_one_who_never_reads_does_not_stop_the_closing_of_others(world, monkeypatch):
    monkeypatch.setattr("bridge.sockets.strangers.STRANGER_S", 1.0)
    core, url = world
    module, token = await approved(core, "M")
    async with half_open(url) as stranger, half_open(url) as guest, RawSocket(url) as revoked:
        assert await stranger.post("40") == 200
        await revoked.say("module.register", {"token": token})
        await revoked.hear("module.register")
        # Long enough for it to be told to go, and then to be closed.
        await asyncio.sleep(4)
        assert await stranger.post("42[1]") == 400 and await guest.post("40") == 400
        await core.registry.revoke(module.id, TECHNICIAN)
        await asyncio.wait_for(revoked.gone.wait(), 10)
        async with RawSocket(url) as late:
            await asyncio.wait_for(late.gone.wait(), 10)


async def test_one_who_never_reads_and_cannot_be_read_is_closed_at_once(world):
    async with half_open(world[1]) as one:
        assert await one.post("40") == 200
        assert await asyncio.wait_for(one.post("42{"), 10) in (200, 400)
        assert await one.post('42["x"]') == 400


async def test_a_websocket_that_will_not_go_is_closed(world, monkeypatch):
    monkeypatch.setattr("bridge.sockets.strangers.STRANGER_S", 1.0)
    async with RawSocket(world[1]) as one:
        # It has been told to go, and goes on talking.
        await asyncio.wait_for(one.gone.wait(), 10)
        await until(lambda: one._wire.closed)
