"""python-socketio's client, run on a loop in the background so that tests may be plain functions."""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any

import socketio

from .talker import PATIENCE_S, Refused, Talker


@cache
def background() -> asyncio.AbstractEventLoop:
    """The loop all clients of this process share; it ends with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(work, background()).result(PATIENCE_S)


class PySocket(Talker):
    def __init__(
        self,
        url: str,
        transport: str = "websocket",
        headers: dict[str, str] | None = None,
        auth: Any = None,
        name: str = "",
    ) -> None:
        super().__init__(name or f"python-socketio ({transport})")
        self._client = socketio.AsyncClient(reconnection=False)
        self._client.on("*", self.note)
        self._client.on("disconnect", self._disconnected)
        try:
            run(self._client.connect(url, headers=headers or {}, auth=auth, transports=[transport]))
        except socketio.exceptions.ConnectionError as error:
            self.close()
            raise Refused(str(error)) from error

    async def _disconnected(self, reason: str) -> None:
        self.note_gone(reason)

    def say(self, event: str, *args: Any) -> None:
        run(self._client.emit(event, args or None))

    def leave(self) -> None:
        run(self._client.disconnect())

    def close(self) -> None:
        run(self._closed())

    async def _closed(self) -> None:
        await self._client.disconnect()
        await self._client.shutdown()
        # It is left open after a refusal.
        if self._client.eio.http is not None:
            await self._client.eio.http.close()
