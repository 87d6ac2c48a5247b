"""MQTT over websockets: an ASGI application for `/mqtt` that leads to the same door."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bridge.mqtt.connection import Connection
from bridge.mqtt.embedded import EmbeddedLink

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

SUBPROTOCOL = "mqtt"
FRAME_BYTES = 64 * 1024
NOT_BINARY, GOING_AWAY = 1003, 1001


class MqttWebsocket:
    """`Mount("/mqtt", MqttWebsocket(link))`. Wants the subprotocol `mqtt`, and binary frames."""

    def __init__(self, link: EmbeddedLink) -> None:
        self._link = link

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await _upgrade_required(send)
            return
        await receive()
        if SUBPROTOCOL not in scope["subprotocols"] or self._link.door is None:
            await send({"type": "websocket.close", "code": GOING_AWAY})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        connection = self._link.door.connection()
        transport = WebsocketTransport(connection, scope.get("client"))
        connection.connection_made(transport)
        await _run(connection, transport, receive, send)


async def _upgrade_required(send: Send) -> None:
    headers = [(b"upgrade", b"websocket"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"This address speaks MQTT over websockets.\n"})


async def _run(connection: Connection, transport: "WebsocketTransport", receive: Receive, send: Send) -> None:
    transport.delivery = asyncio.ensure_future(transport.deliver(send))
    both = {transport.delivery, asyncio.ensure_future(_read(connection, transport, receive))}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        connection.connection_lost(None)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _read(connection: Connection, transport: "WebsocketTransport", receive: Receive) -> None:
    while True:
        await transport.reading.wait()
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event.get("bytes") is None:
            transport.code = NOT_BINARY
            connection.end("will")
            await asyncio.Event().wait()  # until the farewell is delivered
        connection.data_received(event["bytes"])


class WebsocketTransport(asyncio.Transport):
    """What a connection needs of a transport, on frames."""

    def __init__(self, connection: Connection, client: Any) -> None:
        super().__init__({"peername": client or ("unknown", 0)})
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._high = 64 * 1024
        self._changed = asyncio.Event()
        self._closing = False
        self.delivery: asyncio.Task[None] | None = None
        self.code = 1000
        self.reading = asyncio.Event()
        self.reading.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def get_write_buffer_size(self) -> int:
        return self._size

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing:
            return
        self._waiting.append(bytes(data))
        self._size += len(data)
        self._changed.set()
        if self._size > self._high:
            self._connection.pause_writing()

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._changed.set()

    def abort(self) -> None:
        """Cut off, even in the middle of a frame that nobody reads."""
        self._closing = True
        if self.delivery is not None:
            self.delivery.cancel()

    async def deliver(self, send: Send) -> None:
        """Until closed: what is written, in frames; ends after the last of it has left."""
        while True:
            self._changed.clear()
            while self._waiting:
                await self._send_frame(send)
            if self._closing:
                break
            await self._changed.wait()
        await send({"type": "websocket.close", "code": self.code})

    async def _send_frame(self, send: Send) -> None:
        parts = [self._waiting.popleft()]
        size = len(parts[0])
        while self._waiting and size + len(self._waiting[0]) <= FRAME_BYTES:
            parts.append(self._waiting.popleft())
            size += len(parts[-1])
        await send({"type": "websocket.send", "bytes": b"".join(parts)})
        self._size -= size
