"""Boards that fetch their image: one process, raw MQTT sessions, and plain sockets for HTTP."""

import asyncio
import hashlib
import json
import socket
import time
from typing import Any
from zlib import crc32

from bench import mqtt
from bench.worker import serve

CONNECTING_AT_ONCE = 50
BUFFER = 1 << 18
TIMEOUT_S = 300


class Board:
    """One module: its session, its offer, and what it fetches."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offer: dict[str, Any] = {}
        self.offered = asyncio.Event()
        self.got = bytearray()
        self.whole = asyncio.Event()
        self.corrupt = 0
        self._length = 0

    async def come(self, port: int, token: str) -> None:
        _, self.session = await asyncio.get_running_loop().create_connection(
            mqtt.Connection, "127.0.0.1", port
        )
        self.session.on_publish = self._heard
        self.session.write(mqtt.connect(self.name, token))
        await self.session.expect(mqtt.CONNACK, 1)
        self.session.write(mqtt.subscribe(f"gw/1/{self.name}/down/#"))
        await self.session.expect(mqtt.SUBACK, 1)

    def _heard(self, payload: bytes) -> None:
        if self._length:
            self._take(payload)
        elif payload[:1] == b"{" and b'"digest"' in payload:
            self.offer = json.loads(payload)
            self.offered.set()

    # Over MQTT: the next part is asked for when the one before has come.

    async def fetch(self, length: int) -> float:
        """Seconds it took in parts of so many bytes."""
        self.got.clear()
        self.whole.clear()
        self._length = length
        begin = time.monotonic()
        self._ask()
        async with asyncio.timeout(TIMEOUT_S):
            await self.whole.wait()
        self._length = 0
        return time.monotonic() - begin

    def _ask(self) -> None:
        wish = {"job": self.offer["job"], "offset": len(self.got), "length": self._length}
        self.session.write(mqtt.publish(f"gw/1/{self.name}/up/chunk", json.dumps(wish).encode()))

    def _take(self, payload: bytes) -> None:
        part = payload[4:]
        if crc32(part) != int.from_bytes(payload[:4]):
            self.corrupt += 1
        else:
            self.got += part
        if len(self.got) < self.offer["size"]:
            self._ask()
        else:
            self.whole.set()

    def is_whole(self) -> bool:
        return "sha256:" + hashlib.sha256(self.got).hexdigest() == self.offer["digest"]


class Boards:
    def __init__(self) -> None:
        self.boards: list[Board] = []

    async def come(self, port: int, names: list[list[str]]) -> int:
        """All of them connect, and listen for offers."""
        for at in range(0, len(names), CONNECTING_AT_ONCE):
            some = names[at : at + CONNECTING_AT_ONCE]
            boards = [Board(name) for name, _ in some]
            tokens = [token for _, token in some]
            await asyncio.gather(*(b.come(port, token) for b, token in zip(boards, tokens, strict=True)))
            self.boards += boards
        return len(self.boards)

    async def offered(self) -> str:
        """Until each has its offer; the link of the first."""
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.gather(*(board.offered.wait() for board in self.boards))
        return str(self.boards[0].offer["url"])

    async def over_mqtt(self, count: int, length: int) -> dict[str, Any]:
        """So many of them at once, in parts of `length`; seconds of each."""
        some = self.boards[:count]
        seconds = await asyncio.gather(*(board.fetch(length) for board in some))
        return {"seconds": seconds, "broken": sum(not board.is_whole() for board in some)}

    async def over_http(self) -> dict[str, Any]:
        """All of them at once; how long until the last had its image, and how many got a wrong one."""
        begin = time.monotonic()
        whole = await asyncio.gather(*(_fetched(board.offer) for board in self.boards))
        return {"seconds": time.monotonic() - begin, "broken": whole.count(False)}

    async def rate(self, url: str, times: int) -> float:
        """Bytes a second of one link, fetched again and again over one connection after another."""
        return await asyncio.to_thread(_rate, url, times)


async def _fetched(offer: dict[str, Any]) -> bool:
    host, port, request = _request(offer["url"])
    reader, writer = await asyncio.open_connection(host, port, limit=BUFFER)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    digest, size = hashlib.sha256(), 0
    while part := await reader.read(BUFFER):
        digest.update(part)
        size += len(part)
    writer.close()
    good = b" 200 " in head.split(b"\r\n")[0] and size == offer["size"]
    return good and "sha256:" + digest.hexdigest() == offer["digest"]


def _rate(url: str, times: int) -> float:
    host, port, request = _request(url)
    buffer, total, begin = bytearray(BUFFER), 0, time.monotonic()
    for _ in range(times):
        with socket.create_connection((host, port), timeout=TIMEOUT_S) as line:
            line.sendall(request)
            while size := line.recv_into(buffer):
                total += size
    return total / (time.monotonic() - begin)


def _request(url: str) -> tuple[str, int, bytes]:
    address, _, path = url.removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    return host, int(port), f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode()


if __name__ == "__main__":
    boards = Boards()
    verbs = (boards.come, boards.offered, boards.over_mqtt, boards.over_http, boards.rate)
    serve({verb.__name__: verb for verb in verbs})
