"""ESP32 firmware as it is in the field, as far as its websocket goes."""

import asyncio
import json
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.bridge.house import open_house
from tests.bridge.sockets.tabs import serve
from tests.gateway.core.heart import TECHNICIAN, approved

PATIENCE_S = 20
STATION, SWITCH, AUDIO, GENERIC = 1, 2, 6, 7
PASSWORD = "built into the firmware"


class Firmware:
    """Says what the firmware says, keeps what it is told; `code` is how its socket was closed."""

    def __init__(self, socket):
        self.socket = socket
        self.told = asyncio.Queue()
        self.gone = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        try:
            while True:
                pieces = [piece async for piece in self.socket.recv_streaming()]
                assert len(pieces) == 1, "a frame came in fragments"
                self.told.put_nowait(json.loads(pieces[0]))
        except ConnectionClosed:
            self.gone.set()

    async def say(self, kind, **rest):
        await self.send(json.dumps({"type": kind} | rest))

    async def send(self, raw):
        await self.socket.send(raw)

    async def identify(self, module_id, password, **rest):
        await self.say("module_identify", moduleId=module_id, password=password, **rest)

    async def hear(self, kind):
        """The next message of this kind; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while (message := await self.told.get())["type"] != kind:
                pass
        return message

    async def welcomed(self):
        welcome = await self.hear("connected")
        assert welcome["status"] == "authenticated"
        assert await self.hear("auth_success")
        return welcome["initialState"]

    async def closed(self, within_s=PATIENCE_S):
        """The code and reason with which the server closed."""
        await asyncio.wait_for(self.gone.wait(), within_s)
        return self.socket.close_code, self.socket.close_reason

    async def is_alive(self):
        """A control ping goes round."""
        await asyncio.wait_for(await self.socket.ping(), PATIENCE_S)
        return not self.gone.is_set()

    async def close(self):
        await self.socket.close()
        await asyncio.wait([self._reading])
        error = None if self._reading.cancelled() else self._reading.exception()
        if error is not None:
            raise error

    def cut(self):
        """As when the power goes."""
        self.socket.transport.abort()


@asynccontextmanager
async def firmware(address, **options):
    plain = {"compression": None, "ping_interval": None, "close_timeout": PATIENCE_S, "proxy": None}
    async with connect(address.replace("http", "ws", 1) + "/esp32", **(plain | options)) as socket:
        one = Firmware(socket)
        try:
            yield one
        finally:
            await one.close()


@asynccontextmanager
async def open_world(folder, **settings):
    async with open_house(folder, **settings) as house, serve(house) as address:
        yield house.core, address


@asynccontextmanager
async def online(core, address, module_id="M", type=SWITCH):
    """A module that is in, and the firmware it runs on, greeted."""
    module, token = await approved(core, module_id, type)
    async with firmware(address) as one:
        await one.identify(module.id, token)
        await one.welcomed()
        one.token = token
        yield one


async def approve(core, module_id):
    (outcome,) = await core.decisions.approve([module_id], TECHNICIAN)
    assert outcome.error is None


def state(core, module_id="M"):
    presence = core.presence.of(module_id)
    return presence.state, presence.reason


def life(core, module_id):
    known = core.registry.known(module_id)
    return known and known.life


async def refusal(address, module_id, password, **rest):
    """How a socket that identifies itself so is closed."""
    async with firmware(address) as one:
        await one.identify(module_id, password, **rest)
        closed = await one.closed()
        assert one.told.empty()
        return closed
