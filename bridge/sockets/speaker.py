"""Everything said to sockets, in the order in which it was said."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import socketio

from bridge.sockets.compat import Compat

log = logging.getLogger(__name__)

# Far beyond what a second can bring; past it the oldest are dropped and counted.
MOST_WAITING = 20_000
# A browser with more packets than this before it is behind: it gets merged values until it has caught up.
MOST_UNREAD = 4
# What one slow socket may hold, where somebody makes good for what it misses.
MOST_HELD = 1_000
MOST_HELD_BYTES = 500_000

Missed = Callable[[str], bool]


class Speaker:
    """`say` never blocks; one task (`run`) does the sending, so nothing overtakes."""

    def __init__(self, sio: socketio.AsyncServer, compat: Compat) -> None:
        self._sio = sio
        self._compat = compat
        self._waiting: deque[tuple[str, Any, list[str]]] = deque()
        self._something = asyncio.Event()
        self._missed: Missed = lambda sid: False
        self._deaf: set[str] = set()
        self.dropped = 0

    def on_missed(self, listener: Missed) -> None:
        """`listener(sid)`: the socket holds too much, so it hears nothing until `resume`, if that is fine."""
        self._missed = listener

    def resume(self, sid: str) -> None:
        self._deaf.discard(sid)

    def say(self, event: str, data: Any, to: Sequence[str]) -> None:
        """Emit one event to these sockets, and its aliases; each encoded once for all of them."""
        if not to:
            return
        for name, made in self._compat.outgoing(event, data):
            if len(self._waiting) >= MOST_WAITING:
                self._drop_oldest()
            self._waiting.append((name, made, list(to)))
        self._something.set()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                event, data, to = self._waiting.popleft()
                hearing = [sid for sid in to if self._hears(sid)]
                try:
                    if hearing:
                        await self._sio.emit(event, data, to=hearing)
                except Exception:
                    log.exception("Event %s could not be sent.", event)

    def is_behind(self, sid: str) -> bool:
        """Whether this socket has not yet read what it was sent."""
        return self.unread(sid) > MOST_UNREAD

    def unread(self, sid: str) -> int:
        """How many packets wait for this socket to read them."""
        return len(self._packets(sid))

    def held_bytes(self, sid: str) -> int:
        return sum(len(packet.data or "") for packet in self._packets(sid) if packet is not None)

    def _drop_oldest(self) -> None:
        _, _, to = self._waiting.popleft()
        self._deaf.update(sid for sid in to if self._missed(sid))
        self.dropped += 1

    def _hears(self, sid: str) -> bool:
        if sid not in self._deaf and self._is_full(sid) and self._missed(sid):
            self._deaf.add(sid)
        if sid in self._deaf:
            self.dropped += 1
            return False
        return True

    def _is_full(self, sid: str) -> bool:
        unread = self.unread(sid)
        return unread > MOST_UNREAD and (unread >= MOST_HELD or self.held_bytes(sid) >= MOST_HELD_BYTES)

    def _packets(self, sid: str) -> Any:
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        socket = self._sio.eio.sockets.get(engine_sid)
        # The queue below Engine.IO says how many wait, but only what holds them says how much that is.
        return socket.queue._queue if socket is not None else ()
