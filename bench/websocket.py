"""A websocket client that only counts on getting whole text frames quickly: no extensions, no fragments."""

import asyncio
import base64
import os
from collections.abc import Callable

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class WebSocket(asyncio.Protocol):
    """`on_text(frame)` for every text frame; `opened` is set when the server has switched protocols."""

    def __init__(self, path: str, on_text: Callable[["WebSocket", bytes], None]) -> None:
        self._path, self._on_text = path, on_text
        self._data = bytearray()
        self._upgraded = False
        self.received = 0
        self.lost = False
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        host, port = transport.get_extra_info("peername")[:2]
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {self._path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
        )
        transport.write("\r\n".join((*lines, "", "")).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the server closed a websocket before it was open"))

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._data += data
        if not self._upgraded and not self._switch():
            return
        at = 0
        while frame := self._frame(at):
            opcode, start, at = frame
            if opcode == TEXT:
                self._on_text(self, bytes(self._data[start:at]))
            elif opcode == PING:
                self._send(PONG, bytes(self._data[start:at]))
        del self._data[:at]

    def _switch(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._data[:end])
        del self._data[: end + 4]
        if not head.startswith(b"HTTP/1.1 101"):
            self.opened.set_exception(ConnectionError(head.split(b"\r\n")[0].decode()))
            self.transport.close()
            return False
        self._upgraded = True
        self.opened.set_result(None)
        return True

    def _frame(self, at: int) -> tuple[int, int, int] | None:
        """Opcode, start and end of the payload of the frame that begins here, if it is all there."""
        have = len(self._data)
        if have - at < 2:
            return None
        length, start = self._data[at + 1] & 127, at + 2
        if length > 125:
            size = 2 if length == 126 else 8
            if have - start < size:
                return None
            length, start = int.from_bytes(self._data[start : start + size]), start + size
        end = start + length
        return (self._data[at] & 15, start, end) if end <= have else None

    def send(self, text: str) -> None:
        self._send(TEXT, text.encode())

    def _send(self, opcode: int, payload: bytes) -> None:
        """Masked with zeros, which the protocol allows and which needs no work; under 64 KiB."""
        size = len(payload)
        head = bytes([128 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
        self.transport.write(bytes([128 | opcode]) + head + bytes(4) + payload)
