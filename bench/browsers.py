"""The browsers: one process with many Socket.IO clients (websocket) that note what reaches their screens."""

import asyncio
import json
import time
from array import array
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import msgspec

from bench import mqtt
from bench.websocket import WebSocket
from bench.worker import serve

PATH = "/socket.io/?EIO=4&transport=websocket"
OPEN, ENGINE_PING, CONNECTED, REFUSED, EVENT = b"0", b"2", b"40", b"44", b"42"
LOOK_EVERY_S = 0.02
decode = msgspec.json.Decoder().decode


class Browser:
    """One tab: the newest `sent` of each module on its screen, and how late each change came."""

    def __init__(self, token: str) -> None:
        self._token, self.base = token, 0.0
        self.ready = asyncio.get_running_loop().create_future()
        self.frames = 0
        self.newest: dict[str, int] = {}
        self.delays = array("l")
        self.backwards = 0

    def take(self, socket: WebSocket, frame: bytes) -> None:
        if frame[:2] == EVENT:
            self._event(*event(frame))
        elif frame[:2] == CONNECTED:
            socket.send('42["modules:watch",{}]')
            if not self._token:
                self.ready.set_result(None)
        elif frame[:2] == REFUSED:
            self.ready.set_exception(ConnectionError(frame.decode()))
        elif frame == ENGINE_PING:
            socket.send("3")
        elif frame[:1] == OPEN:
            socket.send("40" + (json.dumps({"token": self._token}) if self._token else ""))

    def _event(self, name: str, readings: dict[str, int]) -> None:
        if name == "modules:snapshot" and not self.ready.done():
            self.ready.set_result(None)
        self.frames += bool(readings)
        now, newest = mqtt.stamp(self.base), self.newest
        self.delays.extend([now - sent for sent in readings.values()])
        self.backwards += sum([sent < newest.get(module, 0) for module, sent in readings.items()])
        newest.update(readings)


@lru_cache(maxsize=256)
def event(frame: bytes) -> tuple[str, dict[str, int]]:
    """Its name and the readings (module: sent) it carries.

    Every browser gets the same bytes; parsing them once leaves the processor to the server under test.
    """
    name, *data = decode(frame[2:])
    return name, dict(readings(name, *data))


def readings(name: str, data: Any = None, *_: Any) -> Iterator[tuple[str, int]]:
    """(module, sent) of a batch of the gateway's, or of one reading of the peer's."""
    if name == "modules:changes":
        for module, changed in data["modules"].items():
            if sent := changed.get("telemetry", {}).get("sent"):
                yield module, sent
    elif name == "reading":
        yield data["topic"].split("/")[2], decode(data["payload"])["sent"]


class Browsers:
    def __init__(self) -> None:
        self.tabs: list[tuple[WebSocket, Browser]] = []

    async def open(self, port: int, count: int, token: str) -> float:
        begin = time.monotonic()
        loop = asyncio.get_running_loop()
        while len(self.tabs) < count:
            tab = Browser(token)
            make = partial(WebSocket, PATH, tab.take)
            _, socket = await loop.create_connection(make, "127.0.0.1", port)
            await socket.opened
            await asyncio.wait_for(tab.ready, 30)
            self.tabs.append((socket, tab))
        return time.monotonic() - begin

    async def forget(self, base: float) -> int:
        """Start counting anew, with readings stamped from `base`."""
        for socket, tab in self.tabs:
            tab.base, socket.received = base, 0
            tab.newest.clear()
            tab.frames, tab.backwards, tab.delays = 0, 0, array("l")
        return len(self.tabs)

    async def settle(self, last: dict[str, int], timeout_s: float) -> dict[str, Any]:
        """Wait until every tab shows every module's last reading (or time is up); then say what was seen."""
        for _ in range(int(timeout_s / LOOK_EVERY_S)):
            if not self._missing(last):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        delays = sorted(delay / mqtt.STAMPS_A_MS for _, tab in self.tabs for delay in tab.delays)
        return {
            "missing": self._missing(last),
            "lost_tabs": sum(socket.lost for socket, _ in self.tabs),
            "frames": sum(tab.frames for _, tab in self.tabs),
            "changes": len(delays),
            "backwards": sum(tab.backwards for _, tab in self.tabs),
            "bytes": sum(socket.received for socket, _ in self.tabs),
            "p50": quantile(delays, 0.5),
            "p99": quantile(delays, 0.99),
            "max": delays[-1] if delays else None,
        }

    def _missing(self, last: dict[str, int]) -> int:
        return sum(tab.newest.get(module) != sent for _, tab in self.tabs for module, sent in last.items())


def quantile(ordered: list[float], part: float) -> float | None:
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else None


if __name__ == "__main__":
    browsers = Browsers()
    serve({verb.__name__: verb for verb in (browsers.open, browsers.forget, browsers.settle)})
