"""Sockets that nobody answers for: few at a time, and not for long."""

import asyncio
from collections import Counter
from typing import Any

import socketio

from bridge.sockets.engine import hang_up

# How long a socket may stay that has not shown who it is, and after it was told that it must.
STRANGER_S = 30.0
REFUSED_S = 10.0
# In all, and from one address, so that one house cannot keep the others out.
MOST_STRANGERS = 2000
MOST_OF_ADDRESS = 250
SWEEP_S = 1.0


class Strangers:
    """Also of the connections below Socket.IO, which may never say anything of it."""

    def __init__(self, sio: socketio.AsyncServer) -> None:
        self._sio = sio
        self._due_s: dict[str, float] = {}
        self._address: dict[str, str] = {}
        self._of_address: Counter[str] = Counter()
        self._hurried: set[str] = set()
        self._silent_since_s: dict[str, float] = {}
        self.refused = 0

    def enter(self, sid: str, address: str) -> bool:
        """Let one more stay for a while; False when there are too many, in all or from there."""
        if len(self._due_s) >= MOST_STRANGERS or self._of_address[address] >= MOST_OF_ADDRESS:
            self.refused += 1
            return False
        self._address[sid] = address
        self._of_address[address] += 1
        self._due_s[sid] = _now_s() + STRANGER_S
        return True

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
        """Close connections that are open but have not joined the default namespace in time."""
        engine: Any = self._sio.eio
        silent = [sid for sid in engine.sockets if self._sio.manager.sid_from_eio_sid(sid, "/") is None]
        now_s = _now_s()
        self._silent_since_s = {sid: self._silent_since_s.get(sid, now_s) for sid in silent}
        for sid, since_s in self._silent_since_s.items():
            if now_s - since_s > STRANGER_S:
                await hang_up(engine, sid)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
