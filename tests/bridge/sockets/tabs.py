"""A web server for a house, and tabs (or other sockets) that connect to it by python-socketio's client."""

import asyncio
from contextlib import asynccontextmanager

import socketio
import uvicorn

from gateway.core.access.sessions import COOKIE
from tests.bridge.house import until

PATIENCE_S = 20


@asynccontextmanager
async def serve(house, **options):
    """The address of a web server for the house."""
    plain = {"host": "127.0.0.1", "port": 0, "lifespan": "off", "log_config": None, "ws": "websockets-sansio"}
    config = uvicorn.Config(house.app, **(plain | options))
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


class Tab:
    def __init__(self, client):
        self.client, self.events = client, asyncio.Queue()
        self.gone = asyncio.Event()
        client.on("*", lambda event, *data: self.events.put_nowait((event, *data)))
        client.on("disconnect", lambda *_: self.gone.set())

    async def hear(self, *wanted):
        """The next event of these names; others are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event, *data = await self.events.get()
                if event in wanted:
                    return event, *data

    async def say(self, event, data=None):
        await self.client.emit(event, data)

    def passed(self):
        """What has come and was not read."""
        return [self.events.get_nowait()[0] for _ in range(self.events.qsize())]


@asynccontextmanager
async def tab(address, cookie=None, transports=("websocket",), headers=None, auth=None):
    client = socketio.AsyncClient(reconnection=False)
    one = Tab(client)
    proof = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
    try:
        await client.connect(address, headers=proof | (headers or {}), auth=auth, transports=list(transports))
        yield one
    finally:
        await client.disconnect()
        await client.shutdown()
        # It is not closed after a refusal.
        if client.eio.http is not None:
            await client.eio.http.close()
