"""In front of Socket.IO: websockets of another version are told so, and frames that are none end theirs."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]

PATH = "/socket.io/"
VERSION = "4"
PACKET_TYPES = frozenset("0123456")
PROTOCOL_ERROR, UNREADABLE, GOING_TO_RESTART = 1002, 1007, 1012
SENTENCE = "This gateway speaks version 4 of the Engine.IO protocol (Socket.IO clients 3 and 4)."


class Gate:
    """What the library does well for polling, and not for websockets."""

    def __init__(self, app: App, on_stop: Callable[[], None]) -> None:
        self._app = app
        self._on_stop = on_stop

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or not scope["path"].startswith(PATH):
            await self._app(scope, receive, send)
        elif _is_old(scope):
            await receive()
            await send({"type": "websocket.accept"})
            # A reason has 123 bytes at most, but every client can see it.
            await send({"type": "websocket.close", "code": PROTOCOL_ERROR, "reason": SENTENCE})
        else:
            await self._app(scope, self._watched(receive), send)

    def _watched(self, receive: Receive) -> Receive:
        async def receive_frame() -> Event:
            event = await receive()
            if event["type"] == "websocket.disconnect" and event.get("code") == GOING_TO_RESTART:
                # The library would take it for a client that went away.
                self._on_stop()
            return _unreadable() if _is_no_packet(event) else event

        return receive_frame


def _is_no_packet(event: Event) -> bool:
    text = event.get("text")
    return event["type"] == "websocket.receive" and text is not None and text[:1] not in PACKET_TYPES


def _unreadable() -> Event:
    """To the library the client is gone, and so its socket is closed."""
    return {"type": "websocket.disconnect", "code": UNREADABLE}


def _is_old(scope: Event) -> bool:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return "sid" not in query and query.get("EIO") != [VERSION]
