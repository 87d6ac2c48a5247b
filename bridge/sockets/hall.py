"""Where sockets arrive: nobody at first, then whoever a dialect knows them to be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import socketio

from bridge.sockets.compat import Compat
from bridge.sockets.speaker import Speaker
from bridge.sockets.strangers import TOO_MANY, Strangers, address_of
from gateway.core.limits import Throttle

log = logging.getLogger(__name__)

# How many events a socket may send at once, and then how often; more are dropped and counted.
BURST = 500
EVERY_S = 0.01

Handler = Callable[[str, Any], Awaitable[None]]
NamedHandler = Callable[[str, str, Any], Awaitable[None]]
Arrival = Callable[[str, Mapping[str, Any], Any], bool]
Leaving = Callable[[str, str], None]


class Hall:
    """Dialects say which events are theirs; each handler gets the socket's id and one argument or None."""

    def __init__(self, sio: socketio.AsyncServer, compat: Compat, *, rate_limits: bool = True) -> None:
        self._sio = sio
        self.compat = compat
        self._handlers: dict[str, Handler] = {}
        self._prefixes: dict[str, NamedHandler] = {}
        self._arrivals: list[Arrival] = []
        self._leavings: list[Leaving] = []
        self._addresses: dict[str, str] = {}
        self._pace = Throttle(BURST, EVERY_S, enabled=rate_limits)
        self.strangers = Strangers(sio)
        self.speaker = Speaker(sio, compat)
        self._stopping = False
        self.events = 0
        self.throttled = 0
        sio.on("connect", self._connect)
        sio.on("disconnect", self._disconnect)
        sio.on("*", self._event)

    def __len__(self) -> int:
        return len(self._addresses)

    def on(self, event: str, handler: Handler) -> None:
        self._handlers[event] = handler

    def on_prefix(self, prefix: str, handler: NamedHandler) -> None:
        """For events of which only the beginning is known; `handler` gets the whole name first."""
        self._prefixes[prefix] = handler

    def on_arrival(self, knows: Arrival) -> None:
        """`knows(sid, environ, auth)` tells whether the handshake says who it is; it may refuse by raising
        socketio's ConnectionRefusedError."""
        self._arrivals.append(knows)

    def on_leave(self, listener: Leaving) -> None:
        """`listener(sid, reason)`: `goodbye` when the client said so, `broker_lost` when we go down, else
        `silence` or `will`."""
        self._leavings.append(listener)

    def address(self, sid: str) -> str:
        """Where the socket comes from; empty when it is gone."""
        return self._addresses.get(sid, "")

    def answers(self, sid: str) -> bool:
        """Whether the socket has answered the last ping it was sent."""
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        socket = self._sio.eio.sockets.get(engine_sid)
        return socket is not None and not socket.closed and socket.last_ping is None

    def stops(self) -> None:
        """The gateway goes down: whoever is cut off now did not leave."""
        self._stopping = True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.speaker.run())
            group.create_task(self.strangers.run())

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: Any = None) -> None:
        address = address_of(environ)
        self.strangers.joined(self._sio.manager.eio_sid_from_sid(sid, "/"))
        known = any([knows(sid, environ, auth) for knows in self._arrivals])
        if not known and not self.strangers.enter(sid, address):
            raise socketio.exceptions.ConnectionRefusedError(TOO_MANY)
        self._addresses[sid] = address

    async def _disconnect(self, sid: str, reason: str = "") -> None:
        self.strangers.leave(sid)
        self._addresses.pop(sid, None)
        word = "broker_lost" if self._stopping else _REASONS.get(reason, "will")
        for listener in self._leavings:
            listener(sid, word)

    async def _event(self, event: str, sid: str, *data: Any) -> None:
        if self._pace.wait_s(sid):
            self.throttled += 1
            return
        self._pace.spend(sid)
        self.events += 1
        argument = data[0] if data else None
        try:
            if handler := self._handlers.get(event) or self._handlers.get(self.compat.incoming(event)):
                await handler(sid, argument)
            elif (named := self._named(event)) is not None:
                await named(event, sid, argument)
        except Exception:
            # The socket lives: what one event breaks must not cost the others.
            log.exception("An event of a socket could not be handled.")

    def _named(self, event: str) -> NamedHandler | None:
        return next((named for start, named in self._prefixes.items() if event.startswith(start)), None)


_REASONS = {"client disconnect": "goodbye", "ping timeout": "silence", "server disconnect": "revoked"}
