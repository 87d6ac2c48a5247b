"""Slow and endless requests over real sockets: they are ended, and nobody else waits for them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway import patience
from gateway.patience import MAX_HEADERS, PatientHttp
from tests.bridge.mqtt.client import until

pytestmark = pytest.mark.anyio
SLOW = 300
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"


async def well(request: Request) -> Response:
    await request.body()
    return PlainTextResponse("ok")


async def refused(request: Request) -> Response:
    """An answer that does not wait for the body."""
    return PlainTextResponse("no", 413)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    early = Route("/early", refused, methods=["POST"])
    app = Starlette(routes=[Route("/healthz", well, methods=["GET", "POST"]), early])
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=PatientHttp, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await running


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the other side ends it."""
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 60)
    return b""


def impatient(monkeypatch: pytest.MonkeyPatch, seconds: float = 1.0) -> None:
    monkeypatch.setattr(PatientHttp, "headers_s", seconds)


async def test_many_slow_ones_are_ended_and_others_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 3.0)
    async with serving() as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(SLOW)]
        for index, (_, writer) in enumerate(slow):
            writer.write(REQUEST[: index % len(REQUEST)])

        async def trickle() -> None:
            while True:
                for _, writer in slow:
                    writer.write(b"x")
                await asyncio.sleep(0.2)

        trickling = asyncio.create_task(trickle())
        took = []
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(10):
                began = time.monotonic()
                assert (await client.get("/healthz")).text == "ok"
                took.append(time.monotonic() - began)
        answers = await asyncio.gather(*(ended(reader) for reader, _ in slow))
        trickling.cancel()
        assert len(answers) == SLOW
        # A fifth of it on a quiet machine at the most; this one may have a dozen other things to do.
        assert sorted(took)[len(took) // 2] < 1
        for _, writer in slow:
            writer.close()


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET", REQUEST, REQUEST + b"x-half: "])
async def test_headers_have_a_time_from_the_first_byte(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    impatient(monkeypatch)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert await ended(reader) == b""
        writer.close()


async def test_so_have_those_of_the_second_request_on_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + b"\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n")

        async def trickle() -> None:
            while True:
                writer.write(b"\r\n")
                await asyncio.sleep(0.1)

        trickling = asyncio.create_task(trickle())
        await ended(reader)
        trickling.cancel()
        writer.close()


async def test_a_request_takes_as_long_as_its_body_does(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 0.5)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.15)
            writer.write(b"x")
        assert b"200 OK" in await ended(reader)
        writer.close()


async def test_what_is_left_of_a_body_is_no_header_of_the_next_request() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        size = 40 * MAX_HEADERS
        writer.write(f"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n".encode())
        assert b"413" in await reader.readuntil(b"\r\n\r\n")
        for _ in range(40):
            writer.write(b"x" * MAX_HEADERS)
            await writer.drain()
        writer.write(REQUEST + b"\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_but_it_must_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        assert b"413" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x")
        assert await ended(reader) in (b"", b"no")
        writer.close()


@pytest.mark.parametrize("line", [b"x-many: " + b"y" * 1000 + b"\r\n", b"y" * 1000])
async def test_headers_have_an_end(line: bytes) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        with suppress(ConnectionError):
            for _ in range(3 * MAX_HEADERS // len(line)):
                writer.write(line)
                await writer.drain()
        assert (await ended(reader))[:12] in (b"HTTP/1.1 431", b"HTTP/1.1 400", b"")
        writer.close()


def test_the_time_is_within_what_is_promised() -> None:
    assert patience.HEADERS_S <= 30
