"""Requests arrive within a time and within bounds, or their connection ends: slow ones keep no place."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 20.0
# Request line and headers together; a session's cookies and a long search are far below.
MAX_HEADERS = 64 * 1024
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)  # fmt: skip


class PatientHttp(HttpToolsProtocol):
    """uvicorn minds how long a connection is idle between requests, but not one within its headers."""

    headers_s = HEADERS_S

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._patience: asyncio.TimerHandle | None = None
        self._taken = 0
        self._in_body = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self._patience is None and (self.cycle is None or self.cycle.response_complete):
            self._begin()
        # What is left of a body whose request was answered early must end in time too, but is no header.
        if self._patience is not None and not self._in_body:
            self._taken += len(data)
        super().data_received(data)
        if self._patience is not None and self._taken > MAX_HEADERS and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._patience is None:
            self._begin()

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._end()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._end()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._taken = 0
        self._patience = self.loop.call_later(self.headers_s, self._ended)

    def _end(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _ended(self) -> None:
        # Whoever sent no headers for so long reads no answer either.
        self._patience = None
        self.transport.abort()
