"""Sockets that nobody answers for: few at a time, and not for long."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import socketio

from bridge.sockets.engine import end_polls, hang_up

# How long a socket may stay that has not shown who it is, and after it was told that it must.
STRANGER_S = 30.0
REFUSED_S = 10.0
# In all, and from one address, so that one house cannot keep the others out.
MOST_STRANGERS = 2000
MOST_OF_ADDRESS = 250
# The same for connections that have not said anything of Socket.IO yet, as all do for a moment.
MOST_SILENT = 4000
MOST_SILENT_OF_ADDRESS = 1000
TOO_MANY = "Too many connections wait to log in."
SWEEP_S = 1.0


class Strangers:
    """Also of the connections below Socket.IO, which may never say anything of it."""

    def __init__(self, sio: socketio.AsyncServer) -> None:
        self._sio = sio
        self._due_s: dict[str, float] = {}
        self._address: dict[str, str] = {}
        self._of_address: Counter[str] = Counter()
        self._hurried: set[str] = set()
        self._silent: dict[str, tuple[str, float]] = {}
        self._silent_of: Counter[str] = Counter()
        self.refused = 0
        self._open, self._close = (sio.eio.handlers[name] for name in ("connect", "disconnect"))
        sio.eio.on("connect", self._arrives)
        sio.eio.on("disconnect", self._leaves)

    def enter(self, sid: str, address: str) -> bool:
        """Let one more stay for a while; False when there are too many, in all or from there."""
        if len(self._due_s) >= MOST_STRANGERS or self._of_address[address] >= MOST_OF_ADDRESS:
            self.refused += 1
            return False
        self._address[sid] = address
        self._of_address[address] += 1
        self._due_s[sid] = _now_s() + STRANGER_S
        return True

    async def _arrives(self, engine_sid: str, environ: Mapping[str, Any]) -> Any:
        """A connection below Socket.IO opens; the library refuses it with the sentence that is returned."""
        address = address_of(environ)
        if len(self._silent) >= MOST_SILENT or self._silent_of[address] >= MOST_SILENT_OF_ADDRESS:
            self.refused += 1
            return TOO_MANY
        self._falls_silent(engine_sid, address)
        return await self._open(engine_sid, environ)

    async def _leaves(self, engine_sid: str, reason: str) -> Any:
        """A connection ends; a poll that is still open is answered then, not when its time is over."""
        end_polls(self._sio.eio, engine_sid)
        return await self._close(engine_sid, reason)

    def _falls_silent(self, engine_sid: str, address: str) -> None:
        self._silent[engine_sid] = (address, _now_s())
        self._silent_of[address] += 1

    def joined(self, engine_sid: str) -> None:
        """It speaks Socket.IO, or is gone."""
        if (silent := self._silent.pop(engine_sid, None)) is not None:
            address, _ = silent
            self._silent_of[address] -= 1
            if not self._silent_of[address]:
                del self._silent_of[address]

    def __contains__(self, sid: str) -> bool:
        return sid in self._due_s

    def leave(self, sid: str) -> None:
        self._due_s.pop(sid, None)
        self._hurried.discard(sid)
        if (address := self._address.pop(sid, None)) is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def renew(self, sid: str) -> None:
        """It goes on asking, so it may stay as long again; unless it must be gone."""
        if sid in self._due_s and sid not in self._hurried:
            self._due_s[sid] = _now_s() + STRANGER_S

    def hurry(self, sid: str, within_s: float = 0.0) -> None:
        """It must be gone by then; asking again gives no more time."""
        self._hurried.add(sid)
        self._due_s[sid] = min(self._due_s.get(sid, float("inf")), _now_s() + within_s)

    async def run(self) -> None:
        while True:
            for sid in [sid for sid, due_s in self._due_s.items() if due_s <= _now_s()]:
                self.leave(sid)
                await self._sio.disconnect(sid)
            await self._sweep_silent()
            await asyncio.sleep(SWEEP_S)

    async def _sweep_silent(self) -> None:
        """Close connections that are open and for some time not, or no more, in the default namespace."""
        engine: Any = self._sio.eio
        for sid in [sid for sid in engine.sockets if sid not in self._silent and not self._is_in(sid)]:
            self._falls_silent(sid, address_of(self._sio.environ.get(sid, {})))
        for sid, (_, since_s) in list(self._silent.items()):
            if sid not in engine.sockets or self._is_in(sid):
                self.joined(sid)
            elif _now_s() - since_s > STRANGER_S:
                await hang_up(engine, sid)

    def _is_in(self, engine_sid: str) -> bool:
        return self._sio.manager.sid_from_eio_sid(engine_sid, "/") is not None


def address_of(environ: Mapping[str, Any]) -> str:
    client = environ.get("asgi.scope", {}).get("client")
    return str(client[0]) if client else ""


def _now_s() -> float:
    return asyncio.get_running_loop().time()
