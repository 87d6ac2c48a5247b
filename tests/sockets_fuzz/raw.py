"""Socket.IO by hand, so that anything at all can be sent, and everything that comes is kept as it came."""

import asyncio
import itertools
import json
from contextlib import suppress

import aiohttp

from gateway.core.access.sessions import COOKIE

PATIENCE_S = 30
RECORD = "\x1e"
CONNECTED, GONE, EVENT, ACK, REFUSED = "40", "41", "42", "43", "44"
_numbers = itertools.count(1)


class Frame(tuple):
    """`(event, *arguments)`, and the text it came as."""

    def __new__(cls, text):
        frame = super().__new__(cls, json.loads(text))
        frame.text = text
        return frame


class RawSocket:
    """`async with RawSocket(url, "polling", cookie=..) as socket`; a GET or the connection is always open."""

    def __init__(self, url, transport="websocket", *, cookie=None, auth=None, headers=None, name=""):
        self._url, self._transport, self._auth = url, transport, auth
        self._headers = (headers or {}) | ({"Cookie": f"{COOKIE}={cookie}"} if cookie else {})
        self.name = name or f"socket {next(_numbers)}"
        self.frames = []
        self.refusal = None
        self.gone = asyncio.Event()
        self._connected = asyncio.Event()
        self._acks = {}
        self._http = self._wire = self._reading = None
        self._sid = ""

    async def __aenter__(self):
        await self.open()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def open(self):
        await self.shake()
        await self.send(CONNECTED + (json.dumps(self._auth) if self._auth is not None else ""))
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait(
                [asyncio.ensure_future(self._connected.wait()), asyncio.ensure_future(self.gone.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )

    async def shake(self):
        """The handshake of Engine.IO only."""
        # An address as its own cookie jar: what a server sets must not travel back by itself.
        self._http = aiohttp.ClientSession(headers=self._headers, cookie_jar=aiohttp.DummyCookieJar())
        if self._transport == "websocket":
            self._wire = await self._http.ws_connect(
                self._where, max_msg_size=0, autoping=True, compress=0, headers=self._headers
            )
            opening = await self._wire.receive_str()
        else:
            async with self._http.get(self._where) as answer:
                assert answer.status == 200, await answer.text()
                opening = await answer.text()
        self._sid = json.loads(opening[1:])["sid"]
        self._reading = asyncio.create_task(self._read())

    @property
    def _where(self):
        sid = f"&sid={self._sid}" if self._sid else ""
        return f"{self._url}/socket.io/?EIO=4&transport={self._transport}{sid}"

    async def _read(self):
        with suppress(aiohttp.ClientError, ConnectionError, asyncio.TimeoutError):
            if self._wire is not None:
                async for message in self._wire:
                    await self._take(message.data)
            else:
                while not self.gone.is_set():
                    async with self._http.get(self._where) as answer:
                        if answer.status != 200:
                            break
                        for packet in (await answer.text()).split(RECORD):
                            await self._take(packet)
        self.gone.set()

    async def _take(self, packet):
        if isinstance(packet, bytes):
            self.frames.append(Frame(json.dumps(["<binary>", repr(packet)])))
        elif packet == "2":
            await self._post("3")
        elif packet in ("1", "6"):
            if packet == "1":
                self.gone.set()
        elif packet[1:2] == "0":
            self._connected.set()
        elif packet[1:2] == "1":
            self.gone.set()
        elif packet[1:2] == "2":
            self.frames.append(Frame(packet[packet.index("[") :]))
        elif packet[1:2] == "3":
            number, _, _ = packet[2:].partition("[")
            self._acks.pop(int(number)).set()
        elif packet[1:2] == "4":
            self.refusal = packet[2:]
            self.gone.set()
        else:
            self.frames.append(Frame(json.dumps(["<unknown packet>", packet])))

    async def _post(self, packet):
        if self._wire is not None:
            await (
                self._wire.send_bytes(packet) if isinstance(packet, bytes) else self._wire.send_str(packet)
            )
        else:
            async with self._http.post(self._where, data=packet) as answer:
                return answer.status

    async def send(self, packet):
        """One packet of Engine.IO as it is; nothing happens when the connection has ended."""
        if not self.gone.is_set():
            with suppress(ConnectionError, aiohttp.ClientError):
                return await self._post(packet)

    async def say(self, event, *arguments):
        await self.send(EVENT + json.dumps([event, *arguments]))

    async def synchronized(self):
        """Everything said before this has been handled, and everything answered until then has arrived."""
        number, done = next(_numbers), asyncio.Event()
        self._acks[number] = done
        await self.send(f'{EVENT}{number}["nothing at all"]')
        waits = [asyncio.ensure_future(done.wait()), asyncio.ensure_future(self.gone.wait())]
        finished, rest = await asyncio.wait(waits, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in rest:
            wait.cancel()
        assert finished, f"{self.name} hears nothing"

    def heard(self, *events):
        return [frame for frame in self.frames if frame[0] in events]

    async def hear(self, *events, within_s=PATIENCE_S):
        """The next of these events; those before it are forgotten."""
        async with asyncio.timeout(within_s):
            while True:
                while self.frames:
                    frame = self.frames.pop(0)
                    if frame[0] in events:
                        return frame
                assert not self.gone.is_set(), f"{self.name} was closed"
                await asyncio.sleep(0.01)

    async def close(self):
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        if self._wire is not None:
            # Without a closing handshake that a server which is gone would not answer.
            with suppress(Exception):
                await asyncio.wait_for(self._wire.close(), 1)
        if self._http is not None:
            await self._http.close()
        self.gone.set()
