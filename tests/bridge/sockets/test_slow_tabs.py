"""A tab that does not read holds little, is not cut, and knows how things are once it reads again."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import websockets

from gateway.core.access.sessions import COOKIE
from gateway.core.events import Alert
from tests.bridge.sockets.tabs import PATIENCE_S, tab
from tests.bridge.sockets.test_browsers import open_world

pytestmark = pytest.mark.anyio
MOST_HELD_BYTES = 1_000_000


class SlowTab:
    """Socket.IO by hand, so that a test decides when something is read."""

    def __init__(self, wire):
        self.wire = wire

    async def say(self, event, data):
        await self.wire.send("42" + json.dumps([event, data]))

    async def read(self):
        """The next event, answering pings."""
        async with asyncio.timeout(PATIENCE_S):
            while not (frame := await self.wire.recv()).startswith("42"):
                if frame == "2":
                    await self.wire.send("3")
        return json.loads(frame[2:])

    async def read_until(self, wanted):
        while (event := await self.read())[0] != wanted:
            pass
        return event[1]


@asynccontextmanager
async def slow_tab(address, cookie):
    place = urlsplit(address)
    connection = socket.socket()
    # What the kernel takes for it is not our doing, so let it be little.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((place.hostname, place.port))
    async with websockets.connect(
        f"ws://{place.netloc}/socket.io/?EIO=4&transport=websocket", sock=connection,
        additional_headers={"Cookie": f"{COOKIE}={cookie}"}, ping_interval=None, compression=None,
        max_queue=1, max_size=None, close_timeout=1,
    ) as wire:  # fmt: skip
        await wire.recv()
        await wire.send("40")
        await wire.recv()
        yield SlowTab(wire)


def held_bytes(house):
    """What waits in the gateway for each of its sockets to read it."""
    sockets = house.app._app.engineio_server.eio.sockets.values()
    return [sum(len(packet.data or "") for packet in one.queue._queue) for one in sockets]


async def test_a_tab_that_does_not_read_holds_little_and_is_made_good(tmp_path):
    async with (
        open_world(tmp_path) as (house, address, cookies), tab(address, cookies["ann"]) as other,
        slow_tab(address, cookies["ann"]) as slow,
    ):  # fmt: skip
        core, most = house.core, 0
        hers = core.registry.get("HERS")
        for one in (other, slow):
            await one.say("register_page", {"page": "modules"})
            await one.say("modules:watch", {})
        await slow.read_until("modules:snapshot")
        await other.hear("modules:snapshot")
        for number in range(1500):
            core.hub.publish(Alert("info", "x" * 20_000, {"number": number}))
            core.telemetry.report(hers, {"number": number})
            (core.presence.gone if number % 2 else core.presence.heard)(hers, *["will"][: number % 2])
            await asyncio.sleep(0)
            if number % 20 == 0:
                # Whoever reads keeps up.
                while (await other.hear("system:alert"))[1]["details"].get("number") != number:
                    pass
                most = max(most, *held_bytes(house))
        assert 100_000 < most <= MOST_HELD_BYTES
        states = await slow.read_until("module_states_sync")
        (state,) = [state for state in states["states"] if state["moduleId"] == "HERS"]
        assert state["telemetry"] == {"number": 1499} and state["status"] == "offline"
        snapshot = await slow.read_until("modules:snapshot")
        assert snapshot["modules"]["HERS"]["telemetry"] == {"number": 1499}
        core.telemetry.report(hers, {"number": 1500})
        changes = await slow.read_until("modules:changes")
        assert changes["seq"] > snapshot["seq"]
        assert changes["modules"]["HERS"]["telemetry"] == {"number": 1500}
        assert not other.gone.is_set()


async def test_a_tab_that_asks_and_never_reads_the_answers_holds_little(tmp_path):
    async with open_world(tmp_path) as (house, address, cookies):
        core = house.core
        core.telemetry.report(core.registry.get("HERS"), {f"k{n}": "x" * 900 for n in range(60)})
        async with slow_tab(address, cookies["olga"]) as slow:
            most = 0
            for number in range(300):
                await slow.say(["request_module_states", "modules:watch"][number % 2], {})
                await asyncio.sleep(0.005)
                most = max(most, *held_bytes(house))
            assert 100_000 < most <= MOST_HELD_BYTES
            await slow.read_until("module_states_sync")
        assert core.hub.failures == 0
