"""Garbage at every door for sockets: the gateway lives, nobody else notices, nothing unfit is logged."""

import asyncio
import json
import re
import secrets
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import psutil
import pytest

from tests.gateway_process import GatewayProcess
from tests.story.bystander import approved

from .garbage import BINARY, CANARY, FRAMES, PACKETS, everything
from .raw import RawSocket

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]
STUMBLED = re.compile(r"Traceback|\[(error|critical) *\]|never retrieved")
ALLOWED_MB = 60


class Doors:
    """A started gateway, one of each who may come in, and a module that is nobody's business."""

    def __init__(self, gateway, api):
        self.gateway, self.api, self.url = gateway, api, gateway.url
        self.tokens = {id: approved(api, id) for id in ("VICTIM", "BYSTANDER", "GUEST", "NODE")}
        self.jwt = api.headers["Authorization"].split()[1]
        self.calls = 0

    async def program(self):
        async with RawSocket(self.url) as one:
            body = {"action": "register", "parameters": {"information": {"name": "p"}}}
            await one.say("client.to.instance", body)
            return (await one.hear("instance.to.client"))[1]["parameters"]["token"]

    def nobody(self, transport):
        return RawSocket(self.url, transport)

    @asynccontextmanager
    async def everybody(self, transport):
        """A stranger, an admin's tab, a module, a node and a program, each let in."""
        login = {"action": "login", "parameters": {"token": self.tokens["NODE"]}}
        if "program" not in self.tokens:
            self.tokens["program"] = await self.program()
        hellos = {
            "stranger": None,
            "tab": ("client:authenticate", {"page": "modules"}),
            "module": ("module.register", {"token": self.tokens["GUEST"]}),
            "node": ("node.to.instance", login),
            "program": ("client.to.instance", {"action": "login", "token": self.tokens["program"]}),
        }
        async with AsyncExitStack() as stack:
            sockets = {}
            for name, hello in hellos.items():
                auth = {"token": self.jwt} if name == "tab" else None
                socket = RawSocket(self.url, transport, auth=auth, name=name)
                sockets[name] = await stack.enter_async_context(socket)
                if hello is not None:
                    await socket.say(*hello)
                await socket.synchronized()
            yield sockets

    @asynccontextmanager
    async def bystanders(self):
        """A module and an admin's page, on which its readings appear and nothing of anybody else's data."""
        async with RawSocket(self.url) as module, RawSocket(self.url, auth={"token": self.jwt}) as page:
            await module.say("module.register", {"token": self.tokens["BYSTANDER"]})
            assert (await module.hear("module.register"))[1]["status"] == 2
            await page.say("client:authenticate", {"page": "dashboard"})
            yield module, page
            self.calls += 1
            reading = f"still here {self.calls}"
            await module.say("module.7.telemetry", {"word": reading})
            async with asyncio.timeout(30):
                while (await page.hear("module:telemetry:updated"))[1]["telemetry"].get("word") != reading:
                    pass
            assert module.frames == [], "somebody spoke to the bystander"
            assert not [line for line in self.gateway.lines if STUMBLED.search(line)]
            victim = self.api.get("/modules/VICTIM").json()
            assert (victim["status"], victim["telemetry"]) == ("offline", {})

    def memory_mb(self):
        return psutil.Process(self.gateway.pid).memory_info().rss / 1e6


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    with GatewayProcess(tmp_path_factory.mktemp("garbage")) as gateway, gateway.api() as api:
        found = Doors(gateway, api)
        yield found
        audit = api.get("/audit", params={"limit": 200}).text
    # A poll whose client has gone without a word is waited for at the end, and then given up.
    printed = "\n".join(line for line in gateway.lines if "graceful shutdown" not in line)
    assert not STUMBLED.search(printed)
    for secret in (CANARY, found.jwt, *found.tokens.values()):
        assert secret not in printed and secret not in audit


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_packets(doors, transport):
    """Each to a socket of its own: what follows it must not be what ends it."""
    async with doors.bystanders():
        for packet in PACKETS:
            async with doors.nobody(transport) as one:
                await one.send(packet)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(one.gone.wait(), 0.05)
        for packet, attachment in BINARY:
            async with doors.nobody(transport) as one:
                await one.send(packet)
                await one.send(attachment if transport == "websocket" else "bAAAA")
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(one.gone.wait(), 0.05)


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_binary_where_json_is_due(doors, transport):
    """From sockets that are let in, so that it goes further than the door."""
    async with doors.bystanders(), doors.everybody(transport) as sockets:
        for socket in sockets.values():
            for packet, attachment in BINARY[:6]:
                await socket.send(packet)
                await socket.send(attachment if transport == "websocket" else "bAAAA")
            await socket.synchronized()


async def test_events(doors):
    """Every event with every kind of value, from everybody."""
    async with doors.bystanders(), doors.everybody("websocket") as sockets:
        for name, socket in sockets.items():
            for number, packet in enumerate(everything()):
                await socket.send(packet)
                if number % 100 == 0:
                    # As fast as is heard, so that it is not the pace that keeps them out.
                    await socket.synchronized()
                    await asyncio.sleep(0.2)
            # A bad login too many, or a page that would be somebody else's, ends some of them; no error does.
            assert number > 3000, f"{name} was ended at {number}"
            # What one asked for by name may be named in the answer.
            told = [f for f in socket.frames if "VICTIM" in f.text and "VICTIM is not online" not in f.text]
            assert name == "tab" or not told, told


async def test_nothing_matches_a_token_that_is_none(doors):
    for token in (None, "", 0, False, [], {}, [""], {"token": ""}, "x" * 43, doors.tokens["GUEST"][:-1]):
        async with doors.nobody("websocket") as one:
            await one.say("module.register", {"token": token})
            assert (await one.hear("module.register"))[1] == {"status": 0, "error": "MODULE_NOT_FOUND"}
            await one.say("client.to.instance", {"action": "login", "parameters": {"token": token}})
            assert (await one.hear("instance.to.client"))[1]["action"] == "loginFailed"
            await one.say("node.to.instance", {"action": "login", "parameters": {"token": token}})
            assert (await one.hear("instance.to.node"))[1]["action"] == "loginFailed"


async def test_frames_on_esp32(doors):
    where = doors.url.replace("http", "ws") + "/esp32"
    async with doors.bystanders(), aiohttp.ClientSession() as http:
        for frame in FRAMES:
            async with http.ws_connect(where) as one:
                await (one.send_bytes(frame) if isinstance(frame, bytes) else one.send_str(frame))
                answer = await asyncio.wait_for(one.receive(), 30)
                assert answer.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), answer
                assert answer.data in (1003, 1008, 1009)


async def test_ten_thousand_names_and_a_flood(doors):
    """The pace drops what is too much; memory of names there is none."""
    async with doors.bystanders(), doors.everybody("websocket") as sockets:
        before_mb = doors.memory_mb()
        for socket in sockets.values():
            for number in range(10_000):
                await socket.send(json.dumps(f'42["{socket.name}.{number}"]')[1:-1].replace('\\"', '"'))
            await socket.send('42["module.7.' + secrets.token_hex(100) + '",{}]')
            await socket.synchronized()
        assert doors.memory_mb() - before_mb < ALLOWED_MB


async def test_oversize(doors):
    async with doors.bystanders():
        for transport in ("websocket", "polling"):
            async with doors.nobody(transport) as one:
                packet = '42["x","' + "x" * 1_000_100 + '"]'
                answer = await one.send(packet)
                if transport == "websocket":
                    await asyncio.wait_for(one.gone.wait(), 30)
                else:
                    assert answer in (400, 413)


async def test_half_open_polling(doors):
    """Handshakes that nobody goes on with; a session with a thousand questions and no ears."""
    before_mb = doors.memory_mb()
    where = f"{doors.url}/socket.io/?EIO=4&transport=polling"
    # From an address of its own, which is shut out for a while afterwards.
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0))
    async with doors.bystanders(), aiohttp.ClientSession(connector=elsewhere) as http:
        for _ in range(1500):
            async with http.get(where) as answer:
                await answer.text()
                opened = answer.status
        assert opened == 401
        assert doors.memory_mb() - before_mb < ALLOWED_MB


async def test_questions_without_ears(doors):
    """An admin's page that asks and asks and never reads holds no more than a little."""
    where = f"{doors.url}/socket.io/?EIO=4&transport=polling"
    async with doors.bystanders(), aiohttp.ClientSession() as http:
        async with http.get(where) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        before_mb = doors.memory_mb()

        async def post(packet):
            async with http.post(f"{where}&sid={sid}", data=packet) as answer:
                return answer.status

        assert await post("40" + json.dumps({"token": doors.jwt})) == 200
        for _ in range(400):
            await post("\x1e".join(['42["request_module_states"]', '42["modules:watch",{}]'] * 5))
        assert doors.memory_mb() - before_mb < ALLOWED_MB
