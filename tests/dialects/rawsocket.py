"""A plain websocket with JSON text frames, as ESP32 firmware opens it; a frame's `type` is its event."""

import json
import threading
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .talker import PATIENCE_S, Talker


class RawSocket(Talker):
    def __init__(self, url: str, path: str = "/esp32", headers: dict[str, str] | None = None) -> None:
        super().__init__(f"websocket ({path})")
        address = url.replace("http", "ws", 1) + path
        # As in the field: no compression, and answers to control pings only.
        self._socket = connect(
            address, additional_headers=headers, compression=None, ping_interval=None,
            open_timeout=PATIENCE_S, close_timeout=PATIENCE_S, proxy=None,
        )  # fmt: skip
        self.close_code: int | None = None
        self.sizes: list[int] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                # A list of fragments; the firmware's library takes frames of one piece only.
                pieces = list(self._socket.recv_streaming())
            except ConnectionClosed as closed:
                self.close_code = closed.rcvd.code if closed.rcvd else None
                self.note_gone(self.close_code)
                return
            assert len(pieces) == 1, "the server sent a message in fragments"
            self.sizes.append(len(str(pieces[0]).encode()))
            frame = json.loads(pieces[0])
            self.note(frame.get("type", ""), frame)

    def say(self, event: str, *args: Any) -> None:
        """Send `{"type": event, **args[0]}`."""
        self.say_raw(json.dumps({"type": event, **(args[0] if args else {})}))

    def say_raw(self, text: str | bytes) -> None:
        self._socket.send(text)

    def closed_with(self, within_s: float = PATIENCE_S) -> int | None:
        self.is_cut_off(within_s)
        return self.close_code

    def leave(self) -> None:
        self._socket.close()

    def break_off(self) -> None:
        """No closing handshake: the TCP connection just ends."""
        self._socket.socket.shutdown(2)

    def close(self) -> None:
        self._socket.close()
        self._reader.join(PATIENCE_S)
