"""Running it: uvicorn owns the loop, and says where to go once it listens."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from gateway.control import lock
from gateway.logs import configure
from gateway.patience import PatientHttp
from gateway.settings import Settings

SHUTDOWN_S = 3
# A connection whose other side takes nothing for so long is ended by the kernel.
STALLED_S = 60
Announce = Callable[[Starlette], None]


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for server in self.servers:
                _end_stalled(server)
            self._announce()


def serve(settings: Settings, app: Starlette, announce: Announce) -> bool:
    """Serve until SIGTERM or Ctrl-C; False when it could not start."""
    configure(settings.log_format)
    with lock(settings):
        context: ssl.SSLContext | None = app.state.tls.open()
        config = uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            http=PatientHttp,
            lifespan="on",
            # Its access log would hold query strings, which may hold what people search for.
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            ws_max_size=1_000_000,
            ssl_context_factory=None if context is None else lambda *_: context,
        )
        server = Server(config, lambda: _announced(app, server, announce))
        server.run()
        return server.started


def _announced(app: Starlette, server: uvicorn.Server, announce: Announce) -> None:
    """Devices are told the port it really is, where any would do."""
    app.state.gateway.firmware.addresses.http_port = server.servers[0].sockets[0].getsockname()[1]
    announce(app)


def _end_stalled(server: asyncio.Server) -> None:
    """Connections take this over from the socket they come in by."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    for listening in server.sockets:
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            # The loop's own view of it may not be able to.
            with socket.socket(fileno=os.dup(listening.fileno())) as same:
                same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_S * 1000)
