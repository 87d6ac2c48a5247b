"""One plain websocket: what is told to it, bounded and in order, and how it ends."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MOST_FRAMES = 200
MOST_BYTES = 256 * 1024
FAREWELL_S = 2.0
DONE, BAD_DATA, REFUSED, TOO_BIG, FAULT, TRY_LATER = 1000, 1003, 1008, 1009, 1011, 1013


class Wire:
    """Nobody waits for a reader: what he does not read is queued, and one who is too slow is cut off."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: deque[str] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._farewell = (DONE, "")

    @property
    def open(self) -> bool:
        return not self._ended.is_set()

    def say(self, text: str) -> bool:
        """Send it soon; False when the socket is closing, also because this was too much for it."""
        if not self.open:
            return False
        if len(self._waiting) >= MOST_FRAMES or self._size + len(text) > MOST_BYTES:
            self._waiting.clear()
            self.end(REFUSED, "Too slow.")
            return False
        self._waiting.append(text)
        self._size += len(text)
        self._changed.set()
        return True

    def end(self, code: int, why: str = "") -> None:
        """Close it after what is queued has left; the first word on this counts."""
        if self.open:
            self._farewell = (code, why)
            self._ended.set()
            self._changed.set()

    async def run(self, listening: Coroutine[Any, Any, None]) -> None:
        """Until the other side goes or we end it; `listening` is ended with it."""
        delivery, reading = asyncio.ensure_future(self._deliver()), asyncio.ensure_future(listening)
        tasks = {delivery, reading, asyncio.ensure_future(self._ended.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # A reader that is gone also fails the delivery; listening is told with which code.
            last = reading if self.open else delivery
            await asyncio.wait({last}, timeout=FAREWELL_S)
        finally:
            self.end(DONE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver(self) -> None:
        while True:
            self._changed.clear()
            while self._waiting:
                text = self._waiting.popleft()
                await self._send({"type": "websocket.send", "text": text})
                self._size -= len(text)
            if not self.open:
                break
            await self._changed.wait()
        code, why = self._farewell
        await self._send({"type": "websocket.close", "code": code, "reason": why})
