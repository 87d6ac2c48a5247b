"""TLS in front of the door: a socket counts from its beginning, not from the end of its handshake."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.mqtt.connection import Connection, Owner

log = logging.getLogger(__name__)
HANDSHAKE_S = 10
RETRY_S = 1.0

Spawn = Callable[[Coroutine[Any, Any, None]], object]


async def accept_tls(owner: Owner, listening: socket.socket, context: ssl.SSLContext, spawn: Spawn) -> None:
    """For ever: take sockets, refuse those of a crowd, lead the others through the handshake to the door."""
    loop = asyncio.get_running_loop()
    with listening:
        while True:
            try:
                plain, address = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.debug("A socket was gone before it was taken: %s", error)
                else:
                    log.warning("No socket to spare: %s", error)
                    await asyncio.sleep(RETRY_S)
                continue
            if owner.census.enter(address[0]):
                spawn(_secure(owner, plain, address[0], context))
            else:
                owner.exchange.counts.connections_refused += 1
                plain.close()


async def _secure(owner: Owner, plain: socket.socket, address: str, context: ssl.SSLContext) -> None:
    connection = Connection(owner, counted=True)
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: connection, plain, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
        )
    except (OSError, TimeoutError) as error:
        log.debug("No TLS with %s: %s", address, error)
    finally:
        if not connection.made:
            owner.census.leave(address, stranger=True)
            plain.close()
