"""Running it: uvicorn owns the loop, and says where to go once it listens."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from gateway.control import lock
from gateway.logs import configure
from gateway.settings import Settings

SHUTDOWN_S = 3
Announce = Callable[[Starlette], None]


class Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def serve(settings: Settings, app: Starlette, announce: Announce) -> bool:
    """Serve until SIGTERM or Ctrl-C; False when it could not start."""
    configure(settings.log_format)
    with lock(settings):
        config = uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            lifespan="on",
            # Its access log would hold query strings, and with them the set-up secret.
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            ws_max_size=1_000_000,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        server = Server(config, lambda: announce(app))
        server.run()
        return server.started
