"""The Socket.IO server as we run it: our origins, bounded messages, events in order, nothing forged."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
import socketio
from engineio.payload import Payload

from bridge.sockets.engine import hang_up
from gateway.core.access.sessions import COOKIE

MAX_MESSAGE = 1_000_000
MAX_LINE = 300
MOST_PACKETS = 1000
log = logging.getLogger(__name__)
# The library's own words; what it cannot take is its caller's fault, ours are caught before.
library = logging.getLogger(f"{__name__}.library")
# What the library calls itself; from a client they would be taken for its own word.
RESERVED = frozenset({"connect", "disconnect", "connect_error", "*"})


Handler = Callable[[str, str | None, int | None, Any], Awaitable[None]]


class FastJson:
    """The JSON that python-socketio writes and reads, by msgspec."""

    @staticmethod
    def dumps(data: Any, **_: Any) -> str:
        # A sentence of the core is a kind of text that msgspec alone does not know.
        return msgspec.json.encode(data, enc_hook=str).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        try:
            return msgspec.json.decode(text)
        except RecursionError:
            # The library expects what the standard library raises for what is no JSON.
            raise ValueError("nested too deeply") from None


def make_server(public_url: str) -> Any:
    """The server for all dialects; `public_url` is an origin of ours beside the request's own host."""
    public_host = urlsplit(public_url).netloc

    def is_ours(origin: str, environ: Mapping[str, Any]) -> bool:
        """A web page must be ours. A device's library may send what is no page's origin, but then a cookie
        proves nothing."""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") and origin != "null":
            return f"{COOKIE}=" not in str(environ.get("HTTP_COOKIE", ""))
        # By host alone: a proxy may speak TLS where we do not.
        return parts.netloc in {public_host, environ.get("HTTP_HOST")} - {""}

    library.setLevel(logging.ERROR)
    # A client on polling sends what has gathered in one request; its bytes are bounded, and then its pace.
    Payload.max_decode_packets = MOST_PACKETS
    library.addFilter(_in_one_line)
    server: Any = socketio.AsyncServer(
        async_mode="asgi",
        async_handlers=False,
        cors_allowed_origins=is_ours,
        max_http_buffer_size=MAX_MESSAGE,
        json=FastJson,
        logger=library,
        engineio_logger=library,
    )
    server._handle_event = _only_events(server._handle_event)
    server.eio.on("message", _readable(server))
    return server


def _in_one_line(record: logging.LogRecord) -> bool:
    """What the library could not take came from outside: no fault of ours, and not to be quoted as it is."""
    text = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        text = f"{text} ({record.exc_info[0].__name__})"
    record.msg = "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_LINE])
    record.args, record.exc_info = (), None
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def _readable(server: Any) -> Callable[[str, Any], Awaitable[None]]:
    """A socket that sends what cannot be read is closed; it costs one line of the log."""
    handle = server.eio.handlers["message"]

    async def message(engine_sid: str, data: Any) -> None:
        try:
            await handle(engine_sid, data)
        except Exception as error:
            log.warning("A socket sent what cannot be read (%s); it is closed.", type(error).__name__)
            await hang_up(server.eio, engine_sid)

    return message


def _only_events(handle: Handler) -> Handler:
    """Drop what is no client's event: nobody else says that a socket came or went."""

    async def handle_event(eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        is_event = isinstance(data, list) and bool(data) and isinstance(data[0], str)
        if is_event and data[0] not in RESERVED:
            await handle(eio_sid, namespace, id, data)

    return handle_event
