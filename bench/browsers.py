"""The browsers: one process with many Socket.IO clients (websocket) that note what reaches their screens."""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from bench import mqtt
from bench.socket_io import TIMEOUT_S, Client
from bench.timing import reached, spread
from bench.worker import serve

decode = msgspec.json.Decoder().decode


class Browser(Client):
    """One tab: the newest `sent` of each module on its screen, and how late each change came."""

    def __init__(self, token: str) -> None:
        super().__init__(token)
        self.listed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.base = 0.0
        self.forget(0.0)

    def forget(self, base: float) -> None:
        self.base, self.frames, self.backwards = base, 0, 0
        self.events: Counter[str] = Counter()
        self.newest: dict[str, int] = {}
        self.delays = array("l")

    def heard(self, frame: bytes) -> None:
        name, readings = event(frame)
        if name == "modules:snapshot" and not self.listed.done():
            self.listed.set_result(None)
        self.events[name] += 1
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
        self.tabs: list[Browser] = []

    async def open(self, port: int, count: int, token: str, page: str = "") -> float:
        """`page`: what the page calls itself that it shows, for the events of that page."""
        begin = time.monotonic()
        while len(self.tabs) < count:
            tab = Browser(token)
            await tab.open(port)
            if page:
                tab.say("client:page:changed", {"page": page})
            tab.say("modules:watch", {})
            if token:
                await asyncio.wait_for(tab.listed, TIMEOUT_S)
            self.tabs.append(tab)
        return time.monotonic() - begin

    async def forget(self, base: float) -> int:
        """Start counting anew, with readings stamped from `base`."""
        for tab in self.tabs:
            tab.socket.received = 0
            tab.forget(base)
        return len(self.tabs)

    async def events(self) -> dict[str, int]:
        """How many of each event all tabs have got."""
        return dict(sum((tab.events for tab in self.tabs), Counter()))

    async def settle(self, last: dict[str, int], timeout_s: float) -> dict[str, Any]:
        """Wait until every tab shows every module's last reading (or time is up); then say what was seen."""
        await reached(lambda: -self._missing(last), 0, timeout_s)
        delays = [delay / mqtt.STAMPS_A_MS for tab in self.tabs for delay in tab.delays]
        return spread(delays) | {
            "missing": self._missing(last),
            "lost_tabs": sum(tab.socket.lost for tab in self.tabs),
            "frames": sum(tab.frames for tab in self.tabs),
            "changes": len(delays),
            "backwards": sum(tab.backwards for tab in self.tabs),
            "bytes": sum(tab.socket.received for tab in self.tabs),
        }

    def _missing(self, last: dict[str, int]) -> int:
        return sum(tab.newest.get(module) != sent for tab in self.tabs for module, sent in last.items())


if __name__ == "__main__":
    browsers = Browsers()
    verbs = (browsers.open, browsers.forget, browsers.events, browsers.settle)
    serve({verb.__name__: verb for verb in verbs})
