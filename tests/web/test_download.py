"""Images over HTTP: for the module of the update alone, in parts of any kind, and bounded in every way."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

import gateway.serve
import web.streaming as streaming
from firmware.links import LIFETIME_S
from firmware.probing import PROBE
from firmware.values import Image, Job
from gateway.core.values import Module
from tests.bridge.house import until
from tests.bridge.sockets.tabs import serve
from tests.firmware.floor import Floor, open_floor
from tests.gateway.core.heart import ADMIN, TECHNICIAN, Clock, approved
from tests.web.house import BASE, House
from web.app import create_app

pytestmark = pytest.mark.anyio
SIZE = 100_000
DATA = random.Random(4).randbytes(SIZE)


@dataclass
class Stand:
    """One module with an update offered to it, and the gateway's web."""

    floor: Floor
    house: House
    clock: Clock
    module: Module
    token: str
    image: Image

    @property
    def job(self) -> Job:
        return self.floor.firmware.ledger.latest(self.module.number)

    @property
    def link(self) -> str:
        parts = urlsplit(self.floor.boards.offers[self.module.id][-1].url)
        return f"{parts.path}?{parts.query}"

    @property
    def path(self) -> str:
        return f"/fw/{self.job.id}"

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def get(self, path: str = "", method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.house.anybody().http as http:
            return await http.request(method, path or self.link, headers=named)

    async def another(self, serial: str = "MC-2") -> tuple[Module, str]:
        return await approved(self.floor.core, serial)


@asynccontextmanager
async def open_stand(folder: Path, clock: Clock, data: bytes = DATA) -> AsyncIterator[Stand]:
    async with open_floor(folder, clock, public_url=BASE) as floor:
        module, token = await approved(floor.core)
        image = await floor.image(data=data)
        await floor.firmware.assignments.assign(module.id, image.id, ADMIN)
        floor.connects(module)
        house = House(floor.core, create_app(floor.core, floor.firmware), floor.firmware)
        yield Stand(floor, house, clock, module, token, image)


@pytest.fixture
async def stand(anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    async with open_stand(tmp_path, Clock(monkeypatch)) as one:
        yield one


def sentence(reply: httpx.Response) -> str:
    assert reply.headers["content-type"] == "application/problem+json"
    return str(reply.json()["detail"])


# Who


async def test_the_link_gives_the_whole_image_and_nothing_else(stand: Stand) -> None:
    reply = await stand.get()
    assert (reply.status_code, reply.content) == (200, DATA)
    expected = {
        "content-length": str(SIZE), "etag": f'"{stand.image.digest}"', "accept-ranges": "bytes",
        "cache-control": "private, no-store", "content-type": "application/octet-stream",
        "content-disposition": "attachment", "referrer-policy": "no-referrer",
    }  # fmt: skip
    assert {name: reply.headers[name] for name in expected} == expected
    assert (stand.job.state, stand.job.received) == ("downloading", SIZE)


async def test_the_token_alone_or_both(stand: Stand) -> None:
    assert (await stand.get(stand.path, **stand.bearer)).content == DATA
    assert (await stand.get(stand.link, **stand.bearer)).content == DATA
    lower = {"authorization": f"bearer  {stand.token}"}
    assert (await stand.get(stand.path, **lower)).content == DATA


async def test_whoever_shows_nothing_or_the_wrong_thing(stand: Stand) -> None:
    other, others_token = await stand.another()
    await stand.floor.image("app-3", data=b"another")
    job, unknown = stand.path, "/fw/" + "0" * 16
    others = {"authorization": f"Bearer {others_token}"}
    token = stand.link.partition("?")[2]
    table: list[tuple[str, dict[str, str], int]] = [
        (job, {}, 401),
        (unknown, {}, 401),
        (job, {"authorization": "Bearer wrong"}, 401),
        (unknown, {"authorization": "Bearer wrong"}, 401),
        (job, {"authorization": "Bearer "}, 401),
        (job, {"authorization": f"Basic {stand.token}"}, 401),
        # An update of another module is as unknown as none at all.
        (job, others, 404),
        (unknown, others, 404),
        (unknown, stand.bearer, 404),
        # One proof of two is not enough.
        (stand.link, others, 403),
        (stand.link, {"authorization": "Bearer wrong"}, 401),
        (job + "?t=wrong", stand.bearer, 403),
        (job + "?t=wrong", {}, 403),
        (job + "?t=", {}, 403),
        (f"{unknown}?{token}", {}, 403),
        (f"{stand.link}x", {}, 403),
        (f"{job}?t={stand.floor.firmware.links.token(stand.job, other)}", {}, 404),
        (f"{job}?t=%00%ff%f0%9f%92%a9", {}, 403),
    ]  # fmt: skip
    for path, headers, status in table:
        reply = await stand.get(path, **headers)
        assert reply.status_code == status, (path, headers, reply.text)
        assert sentence(reply).endswith((".", ")."))
        assert DATA[:50] not in reply.content
    same = [sentence(await stand.get(path, **others)) for path in (job, unknown)]
    assert same[0] == same[1]
    same = [sentence(await stand.get(path)) for path in (job, unknown)]
    assert same[0] == same[1]
    assert stand.job.received == 0


async def test_an_expired_link(stand: Stand) -> None:
    link = stand.link
    stand.clock.pass_s(LIFETIME_S - 5)
    assert (await stand.get(link)).status_code == 200
    stand.clock.pass_s(10)
    reply = await stand.get(link)
    assert reply.status_code == 403
    assert "expired" in sentence(reply)
    assert (await stand.get(stand.path, **stand.bearer)).status_code == 200
    # The next offer has a fresh one.
    stand.floor.connects(stand.module)
    assert stand.link != link
    assert (await stand.get()).status_code == 200


async def test_a_link_is_dead_with_its_update(stand: Stand) -> None:
    link, path = stand.link, stand.path
    await stand.floor.firmware.assignments.cancel(stand.job.id, TECHNICIAN)
    for reply in (await stand.get(link), await stand.get(path, **stand.bearer)):
        assert reply.status_code == 410
        assert "cancelled" in sentence(reply)
    # The next update of the same module opens nothing of the old one.
    other = await stand.floor.image("app-3", data=b"another")
    await stand.floor.firmware.assignments.assign(stand.module.id, other.id, ADMIN)
    assert (await stand.get(link)).status_code == 410
    assert (await stand.get()).content == b"another"


async def test_an_image_that_is_being_installed_is_not_given_again(stand: Stand) -> None:
    await stand.get()
    for state in ("downloaded", "verified"):
        stand.floor.says(stand.module, state)
        assert (await stand.get()).status_code == 200
    stand.floor.says(stand.module, "installing")
    assert (await stand.get()).status_code == 409


async def test_a_module_that_was_revoked_or_removed(stand: Stand) -> None:
    await stand.floor.core.registry.revoke(stand.module.id, ADMIN)
    assert (await stand.get()).status_code == 403
    assert (await stand.get(stand.path, **stand.bearer)).status_code == 401
    link, path = stand.link, stand.path
    await stand.floor.core.registry.delete(stand.module.id, ADMIN)
    assert (await stand.get(link)).status_code == 403
    assert (await stand.get(path, **stand.bearer)).status_code == 401


async def test_no_listing_no_other_method_no_way_out(stand: Stand) -> None:
    for path in ("/fw", "/fw/", "/fw/../data", "/fw/%2e%2e%2fsecret.key", f"{stand.path}/", "/fw/a/b"):
        reply = await stand.get(path, **stand.bearer)
        assert reply.status_code in (404, 307), path
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert (await stand.get(method=method)).status_code == 405


async def test_the_probe(stand: Stand) -> None:
    reply = await stand.get("/fw/probe")
    assert (reply.status_code, reply.content) == (200, PROBE)
    assert reply.headers["content-length"] == "1024"
    head = await stand.get("/fw/probe", "HEAD")
    assert (head.content, head.headers["content-length"]) == (b"", "1024")
    offer = stand.floor.boards.offers[stand.module.id][-1]
    assert offer.probe["url"] == BASE + "/fw/probe"


async def test_nothing_of_a_link_is_logged(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = stand.link.partition("?t=")[2]
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    async with serve(stand.house, access_log=False) as address, httpx.AsyncClient() as http:
        for link in (stand.link, stand.link + "x", stand.link.replace("/fw/", "/fw/x")):
            reply = await http.get(address + link, headers={"range": "bytes=999999999-"})
            assert secret not in reply.text + str(reply.headers)
    assert secret not in caplog.text
    assert stand.token not in caplog.text


# Which part


RANGES: list[tuple[str, int, int]] = [
    # Header, first byte, the one behind the last.
    ("bytes=0-", 0, SIZE),
    ("bytes=0-0", 0, 1),
    ("bytes=0-99", 0, 100),
    ("bytes=1-", 1, SIZE),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
    (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE),
    (f"bytes=0-{SIZE - 1}", 0, SIZE),
    (f"bytes=0-{SIZE}", 0, SIZE),
    (f"bytes=500-{10**17}", 500, SIZE),
    ("bytes=-1", SIZE - 1, SIZE),
    (f"bytes=-{SIZE}", 0, SIZE),
    (f"bytes=-{SIZE + 1}", 0, SIZE),
    ("bytes=65535-65536", 65535, 65537),
    ("bytes = 5 - 9", 5, 10),
    ("BYTES=5-9", 5, 10),
]
UNSATISFIABLE = [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", f"bytes={10**17}-", "bytes=-0"]
WHOLE = [
    "bytes=0-1,5-9", "bytes=0-1, 5-9", "bytes=-5,0-1", "bytes=9-5", "bytes=", "bytes=-", "bytes=a-b", "bytes",
    "bytes=1", "octets=0-5", "bytes=0-5x", "bytes=--5", "bytes=1-2-3", "bytes=\u0663-\u0665",
    "bytes=" + "9" * 5000 + "-",
]  # fmt: skip


@pytest.mark.parametrize(("header", "start", "end"), RANGES)
async def test_a_range(stand: Stand, header: str, start: int, end: int) -> None:
    reply = await stand.get(range=header)
    assert (reply.status_code, reply.content) == (206, DATA[start:end])
    assert reply.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert reply.headers["content-length"] == str(end - start)
    assert reply.headers["etag"] == f'"{stand.image.digest}"'
    assert stand.job.received == end


async def test_ranges_behind_the_end_and_ranges_that_are_none(stand: Stand) -> None:
    for header in UNSATISFIABLE:
        reply = await stand.get(range=header)
        assert (reply.status_code, reply.headers["content-range"]) == (416, f"bytes */{SIZE}"), header
        assert str(SIZE) in sentence(reply)
    assert stand.job.received == 0
    for header in WHOLE:
        async with stand.house.anybody().http as http:
            reply = await http.get(stand.link, headers={"range": header.encode()})
        assert (reply.status_code, reply.content) == (200, DATA), header
        assert "content-range" not in reply.headers


async def test_only_if_it_is_still_the_same(stand: Stand) -> None:
    tag = f'"{stand.image.digest}"'
    assert (await stand.get(range="bytes=5-9", if_range=tag)).content == DATA[5:10]
    for other in ('"another"', f"W/{tag}", tag.strip('"'), "Wed, 21 Oct 2026 07:28:00 GMT", ""):
        reply = await stand.get(range="bytes=5-9", if_range=other)
        assert (reply.status_code, reply.content) == (200, DATA), other
    # Behind the end of what is another image by now.
    assert (await stand.get(range=f"bytes={SIZE}-", if_range='"another"')).status_code == 200


async def test_who_has_it_is_sent_nothing(stand: Stand) -> None:
    tag = f'"{stand.image.digest}"'
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*", f'{tag}, "y"'):
        reply = await stand.get(if_none_match=given)
        assert (reply.status_code, reply.content, reply.headers["etag"]) == (304, b"", tag), given
    assert stand.job.received == 0
    for given in ('"x"', tag.strip('"'), "", f'"{tag}"'):
        assert (await stand.get(if_none_match=given)).status_code == 200, given


async def test_head_says_all_but_the_bytes(stand: Stand) -> None:
    for headers in ({}, {"range": "bytes=5-9"}):
        reply = await stand.get(method="HEAD", **headers)
        assert (reply.status_code, reply.content) == (200, b"")
        assert reply.headers["content-length"] == str(SIZE)
        assert reply.headers["etag"] == f'"{stand.image.digest}"'
    assert stand.job.received == 0


async def test_it_is_resumed_at_any_byte(stand: Stand) -> None:
    cut = random.Random(7)
    for _ in range(20):
        got = b""
        while len(got) < SIZE:
            reply = await stand.get(range=f"bytes={len(got)}-", if_range=f'"{stand.image.digest}"')
            assert reply.status_code == 206
            got += reply.content[: cut.randint(1, 60_000)]
        assert got == DATA


async def test_a_file_that_is_damaged_gone_or_short(stand: Stand) -> None:
    path = stand.floor.firmware.images.path(stand.image)
    os.chmod(path, 0o600)
    os.truncate(path, SIZE - 1)
    reply = await stand.get()
    assert (reply.status_code, "as long as" in sentence(reply)) == (503, True)
    path.unlink()
    assert (await stand.get()).status_code == 503
    assert stand.job.received == 0


# Many, and slow ones


BIG = random.Random(5).randbytes(32_000_000)


@asynccontextmanager
async def connected(address: str, link: str, receive_bytes: int = 65536) -> AsyncIterator[Any]:
    """A connection that has asked for a link and reads nothing by itself."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=receive_bytes)
    writer.write(f"GET {link} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.transport.abort()


async def status(reader: asyncio.StreamReader) -> tuple[int, str]:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).decode()
    return int(head.split()[1]), head.lower()


@pytest.fixture
async def big(anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stand]:
    async with open_stand(tmp_path, Clock(monkeypatch), BIG) as one:
        yield one


async def test_a_module_has_three_downloads_at_most(big: Stand) -> None:
    async with serve(big.house) as address, AsyncExitStack() as stack:
        for _ in range(3):
            reader = await stack.enter_async_context(connected(address, big.link))
            assert (await status(reader))[0] == 200
        async with connected(address, big.link) as fourth:
            code, head = await status(fourth)
            assert code == 503
            assert "retry-after:" in head
            figures = (await big.house.anybody().http.get("/metrics")).text
            assert "passerelle_downloads 3.0" in figures
            assert "passerelle_downloads_refused_total 1.0" in figures
        # Whose place is free as soon as one has gone.
        await stack.aclose()

        async def taken() -> bool:
            async with connected(address, big.link) as again:
                return (await status(again))[0] == 200

        for _ in range(100):
            if await taken():
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("no place became free")


async def test_places_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    places = streaming.Places(most=2, most_each=2)
    with places.taken(1), places.taken(2):
        with pytest.raises(streaming.Unavailable), places.taken(3):
            pass
        assert len(places) == 2
    with places.taken(3):
        assert len(places) == 1
    assert (len(places), places.refused) == (0, 1)


async def test_a_slow_reader_holds_little_and_gets_all(big: Stand) -> None:
    """What was given is never far ahead of what was read; the rest waits in the file."""
    async with serve(big.house) as address, connected(address, big.link, 1024) as reader:
        assert (await status(reader))[0] == 200
        got = await reader.readexactly(1000)
        before = -1
        while before != big.job.received:
            before = big.job.received
            await asyncio.sleep(0.3)
        # The kernel's buffers on both sides hold the most of it.
        assert before < len(BIG) / 2
        got += await asyncio.wait_for(reader.readexactly(len(BIG) - 1000), 60)
        assert got == BIG
        await until(lambda: big.job.received == len(BIG))


async def test_who_reads_nothing_is_cut_off(big: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "STALLED_S", 0.5)
    async with serve(big.house) as address, connected(address, big.link, 1024) as reader:
        assert (await status(reader))[0] == 200
        await asyncio.sleep(3)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(reader.readexactly(len(BIG)), 60)
    assert big.job.received < len(BIG)


async def test_the_kernel_ends_a_connection_that_stands_still(
    big: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the gateway is served, and for every answer of the web; here after a second."""
    monkeypatch.setattr(gateway.serve, "STALLED_S", 1)
    config = uvicorn.Config(big.house.app, host="127.0.0.1", port=0, lifespan="off", log_config=None)
    server = gateway.serve.Server(config, lambda: None)
    task = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with connected(address, big.link, 1024) as reader:
        assert (await status(reader))[0] == 200
        await asyncio.sleep(5)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(reader.readexactly(len(BIG)), 60)
    server.should_exit = True
    await task


async def test_an_update_that_is_called_off_stops_in_the_middle(big: Stand) -> None:
    async with serve(big.house) as address, connected(address, big.link, 1024) as reader:
        assert (await status(reader))[0] == 200
        await reader.readexactly(1000)
        await big.floor.firmware.assignments.cancel(big.job.id, TECHNICIAN)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(reader.readexactly(len(BIG)), 60)


async def test_a_module_that_is_revoked_gets_no_more_of_it(big: Stand) -> None:
    async with serve(big.house) as address, connected(address, big.link, 1024) as reader:
        assert (await status(reader))[0] == 200
        await reader.readexactly(1000)
        await big.floor.core.registry.revoke(big.module.id, TECHNICIAN)
        with pytest.raises(asyncio.IncompleteReadError):
            await asyncio.wait_for(reader.readexactly(len(BIG)), 60)


async def test_a_file_on_a_slow_disk_is_read_beside_the_loop(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where nothing of it is in the page cache."""
    monkeypatch.setattr(streaming, "_NOWAIT", 0)
    assert (await stand.get()).content == DATA
    assert (await stand.get(range="bytes=70000-")).content == DATA[70000:]
