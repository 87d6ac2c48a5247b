"""Socket.IO spoken by hand over one websocket: a client so light that thousands fit beside the server."""

import asyncio
import json
from functools import partial
from typing import Any

from bench.websocket import WebSocket

PATH = "/socket.io/?EIO=4&transport=websocket"
OPEN, ENGINE_PING, CONNECTED, REFUSED, EVENT = b"0", b"2", b"40", b"44", b"42"
LEAVE = "41"
TIMEOUT_S = 30


class Client:
    """Joins the default namespace and answers pings; events go to `heard`, whole frames as they come."""

    def __init__(self, token: str = "") -> None:
        self._token = token
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, port: int) -> None:
        make = partial(WebSocket, PATH, self._take)
        _, self.socket = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
        await self.socket.opened
        await asyncio.wait_for(self._joined, TIMEOUT_S)

    def say(self, event: str, data: Any) -> None:
        self.socket.send("42" + json.dumps([event, data]))

    def leave(self) -> None:
        self.socket.send(LEAVE)
        self.socket.transport.close()

    def heard(self, frame: bytes) -> None:
        """An event has come: `42[name, argument]`."""

    def _take(self, socket: WebSocket, frame: bytes) -> None:
        if frame[:2] == EVENT:
            self.heard(frame)
        elif frame[:2] == CONNECTED:
            self._joined.set_result(None)
        elif frame[:2] == REFUSED:
            self._joined.set_exception(ConnectionError(frame.decode()))
        elif frame == ENGINE_PING:
            socket.send("3")
        elif frame[:1] == OPEN:
            socket.send("40" + (json.dumps({"token": self._token}) if self._token else ""))
