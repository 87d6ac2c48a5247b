"""The connections below Socket.IO."""

from typing import Any


async def hang_up(engine: Any, engine_sid: str) -> None:
    """Close a connection, and wait for nobody: one who never reads would hold up who closes him for ever."""
    socket = engine.sockets.pop(engine_sid, None)
    if socket is not None:
        await socket.close(wait=False, reason=engine.reason.SERVER_DISCONNECT)
        # The end of what is to be sent: it also ends a websocket whose other side would rather stay.
        await socket.queue.put(None)
