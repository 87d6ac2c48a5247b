"""The connections below Socket.IO."""

import asyncio
from typing import Any

# What is still to be said, the reason of the end among it, is said first.
LAST_WORDS_S = 0.1


async def hang_up(engine: Any, engine_sid: str) -> None:
    """Close a connection, and wait for nobody: one who never reads would hold up who closes him for ever."""
    socket = engine.sockets.pop(engine_sid, None)
    if socket is not None:
        await socket.close(wait=False, reason=engine.reason.SERVER_DISCONNECT)
        # The end of what is to be sent: it also ends a websocket whose other side would rather stay.
        await socket.queue.put(None)


def end_polls(engine: Any, engine_sid: str) -> None:
    """The queue of a connection that has ended gets its end too."""
    socket = engine.sockets.get(engine_sid)
    if socket is not None:
        asyncio.get_running_loop().call_later(LAST_WORDS_S, socket.queue.put_nowait, None)
