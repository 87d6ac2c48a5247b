"""Everything said to sockets, in the order in which it was said."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

import socketio

log = logging.getLogger(__name__)

# Far beyond what a second can bring; past it the oldest are dropped and counted.
MOST_WAITING = 20_000
# A browser with more packets than this before it is behind: it gets merged values until it has caught up.
MOST_UNREAD = 4


class Speaker:
    """`say` never blocks; one task (`run`) does the sending, so nothing overtakes."""

    def __init__(self, sio: socketio.AsyncServer) -> None:
        self._sio = sio
        self._waiting: deque[tuple[str, Any, list[str]]] = deque()
        self._something = asyncio.Event()
        self.dropped = 0

    def say(self, event: str, data: Any, to: Sequence[str]) -> None:
        """Emit one event to these sockets; encoded once for all of them."""
        if not to:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((event, data, list(to)))
        self._something.set()

    async def run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                event, data, to = self._waiting.popleft()
                try:
                    await self._sio.emit(event, data, to=to)
                except Exception:
                    log.exception("Event %s could not be sent.", event)

    def is_behind(self, sid: str) -> bool:
        """Whether this socket has not yet read what it was sent."""
        engine_sid = self._sio.manager.eio_sid_from_sid(sid, "/")
        socket = self._sio.eio.sockets.get(engine_sid)
        return socket is not None and socket.queue.qsize() > MOST_UNREAD
