"""An upload: streamed into the catalogue's folder, bounded, refused early, and then without a trace."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from firmware.images import MAX_BYTES
from gateway.core.errors import Forbidden, GatewayError, Invalid
from gateway.core.rights import ServiceRole
from tests.web.house import Caller, House
from web.parts import MAX_FIELD, MAX_PARTS, Parts
from web.upload import BOUNDS, Bounds, read_parts, receive_image
from web.visit import Visit

pytestmark = pytest.mark.anyio
BOUNDARY = "b0undary"
FACTS = {"serial": "fw-1", "version": "1.0", "type": "7"}
DATA = random.Random(1).randbytes(300_000)
KIND = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, value: bytes | str, more: str = "", header: str = "") -> bytes:
    body = value.encode() if isinstance(value, str) else value
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n{header}\r\n'
    return head.encode() + body + b"\r\n"


def file_part(data: bytes = DATA, name: str = "fw.bin") -> bytes:
    kind = "Content-Type: application/octet-stream\r\n"
    return part("file", data, f'; filename="{name}"', kind)


def form(*parts: bytes, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    return b"".join(parts) + end


def facts(**more: str) -> bytes:
    return b"".join(part(name, value) for name, value in (FACTS | more).items())


async def send(caller: Caller, body: Any, **headers: str) -> httpx.Response:
    token = {"x-csrf-token": caller.session.csrf} if caller.session else {}
    return await caller.http.post("/api/v1/firmware", content=body, headers=KIND | token | headers)


def files(house: House) -> set[str]:
    """What lies in the folder of images, beside the keys."""
    folder = Path(house.core.settings.data) / "firmware"
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".key")}


def chunked(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


async def parsed(body: bytes, size: int, fields: Any = FACTS, token: str | None = None) -> tuple[Any, bytes]:
    """Read from pieces of this size; the fields and the file."""
    got = bytearray()

    async def pieces() -> AsyncIterator[bytes]:
        for piece in chunked(body, size):
            yield piece

    async def write(data: bytes) -> None:
        got.extend(data)

    parts = Parts(fields, token)
    await read_parts(pieces(), BOUNDARY.encode(), parts, write)
    return parts.fields, bytes(got)


# Reading


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, 10**6])
async def test_the_file_is_what_was_sent_however_the_pieces_fall(anyio_backend: str, size: int) -> None:
    tricky = b"\r\n--b0undar\r\n--b0undaryX\r\r\n--" + DATA[:3000] + b"\r\n--" + b"\r" * 50
    for body in (form(facts(), file_part(tricky)), form(file_part(tricky), facts())):
        assert await parsed(body, size) == (FACTS, tricky)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (form(facts()), "no image"),
        (form(file_part(), file_part()), "two files"),
        (form(file_part(), part("colour", "red")), "nobody asked for"),
        (form(file_part(), part("serial", "a"), part("serial", "b")), "twice"),
        (form(file_part(), part("csrf", "a"), part("csrf", "b")), "twice"),
        (form(file_part(), part("serial", "x", '; filename="x"')), "is no file"),
        (form(file_part(), part("serial", b"\xff\xfe")), "UTF-8"),
        (form(file_part(), part("notes", "x" * (MAX_FIELD + 1))), "longer than"),
        (form(part("file", "QUJD", header="Content-Transfer-Encoding: base64\r\n")), "transfer encoding"),
        (form(*[part(f"n{n}", "x") for n in range(MAX_PARTS + 1)]), "nobody asked for"),
        (form(facts(), file_part(), end=b""), "ended before"),
        (form(facts(), file_part())[:-200], "ended before"),
        (form(facts(), file_part())[:100], "ended before"),
        (b"", "ended before"),
        (b"nonsense", "cannot be read"),
        (b"--b0undaryX" * 30, "cannot be read"),
        (form(part("file", "x", header="A" * 5000 + ": x\r\n")), "cannot be read"),
        (form(part("file", "x", header="X-A: b\r\n" * 50)), "cannot be read"),
        (form(part("file", "x", header="no header at all\r\n")), "cannot be read"),
        (form(f"--{BOUNDARY}\r\n\r\nx\r\n".encode()), "nobody asked for"),
    ],
)
async def test_a_broken_form_is_refused_with_a_sentence(anyio_backend: str, body: bytes, word: str) -> None:
    for size in (10**6, 1):
        if len(body) > 10_000 and size == 1:
            continue
        with pytest.raises(Invalid) as refused:
            await parsed(body, size, {*FACTS, "notes"})
        assert word in refused.value.message


async def test_a_form_has_so_many_parts_and_no_more(anyio_backend: str) -> None:
    names = [f"n{n}" for n in range(MAX_PARTS)]
    with pytest.raises(Invalid, match="more than"):
        await parsed(form(file_part(), *[part(name, "x") for name in names]), 1000, names)


async def test_the_token_comes_before_the_file(anyio_backend: str) -> None:
    right = part("csrf", "secret")
    assert await parsed(form(right, facts(), file_part()), 1000, token="secret") == (FACTS, DATA)
    for body in (form(file_part(), right), form(file_part()), form(part("csrf", "other"), file_part()),
                 form(part("csrf", ""), file_part())):  # fmt: skip
        with pytest.raises(Forbidden):
            await parsed(body, 1000, token="secret")


@pytest.mark.parametrize("seed", range(30))
async def test_garbage_is_refused_and_nothing_else(anyio_backend: str, seed: int) -> None:
    dice = random.Random(seed)
    whole = form(facts(notes="x"), part("csrf", "t"), file_part(DATA[:2000]))
    for _ in range(60):
        body = bytearray(whole)
        for _ in range(dice.randrange(1, 12)):
            at = dice.randrange(len(body))
            cut = dice.choice([b"", b"\r\n", b"--", BOUNDARY.encode(), dice.randbytes(3), b'"', b":"])
            body[at : at + dice.randrange(6)] = cut
        try:
            await parsed(bytes(body), dice.choice([1, 50, 5000]), {*FACTS, "notes"}, "t")
        except GatewayError as refused:
            assert refused.message.endswith((".", "'"))


# Over HTTP


async def test_an_upload_is_in_the_catalogue_byte_for_byte(house: House) -> None:
    technician = await house.program("technician")
    reply = await send(technician, form(file_part(name="../../../etc/passwd"), facts(notes="New")))
    assert reply.status_code == 201, reply.text
    image = reply.json()
    assert image["digest"] == f"sha256:{sha256(DATA).hexdigest()}"
    assert (image["size"], image["notes"], image["by"]) == (len(DATA), "New", "technician")
    assert reply.headers["location"] == f"/api/v1/firmware/{image['id']}"
    assert files(house) == {sha256(DATA).hexdigest()}
    kept = house.firmware.images.path(house.firmware.images.get(image["id"]))
    assert kept.read_bytes() == DATA


async def test_two_at_once_do_not_mix(house: House) -> None:
    technician, service = await house.program("technician"), await house.service(ServiceRole.CONTROLLER)
    other = DATA[::-1]

    async def slowly(body: bytes) -> AsyncIterator[bytes]:
        for piece in chunked(body, 10_000):
            yield piece
            await asyncio.sleep(0)

    replies = await asyncio.gather(
        send(technician, slowly(form(facts(), file_part()))),
        send(service, slowly(form(facts(serial="fw-2"), file_part(other)))),
    )
    assert [reply.status_code for reply in replies] == [201, 201]
    assert files(house) == {sha256(data).hexdigest() for data in (DATA, other)}
    assert [reply.json()["by"] for reply in replies] == ["technician", "controller-1"]


async def test_the_same_at_once_is_there_once(house: House) -> None:
    technician = await house.program("technician")
    bodies = [form(facts(serial=serial), file_part()) for serial in ("fw-1", "FW-1", "fw-2")]
    replies = await asyncio.gather(*(send(technician, body) for body in bodies))
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409]
    assert len(house.firmware.images.all()) == 1
    assert files(house) == {sha256(DATA).hexdigest()}


REFUSED: list[tuple[bytes, dict[str, str], int]] = [
    (form(facts(), file_part(b"")), {}, 400),
    (form(facts(type="77"), file_part()), {}, 400),
    (form(facts(type="x"), file_part()), {}, 400),
    (form(facts(type="9" * 50), file_part()), {}, 400),
    (form(facts(serial="a/../b"), file_part()), {}, 400),
    (form(facts(serial=""), file_part()), {}, 400),
    (form(facts(serial="x" * 65), file_part()), {}, 400),
    (form(facts(signature="AAAA"), file_part()), {}, 400),
    (form(facts(hardware="esp32,,a b"), file_part()), {}, 400),
    (form(part("serial", "x"), file_part()), {}, 400),
    (form(facts(), file_part(b"\xe9\x02" + b"\xff" * 100)), {}, 400),
    (form(facts(), file_part())[:-1000], {}, 400),
    (b"{}", {"content-type": "application/json"}, 400),
    (b"serial=x", {"content-type": "application/x-www-form-urlencoded"}, 400),
    (b"x", {"content-type": "multipart/form-data"}, 400),
    (b"x", {"content-type": "multipart/form-data; boundary=" + "x" * 500}, 400),
    (form(facts(), file_part()), {"content-length": str(BOUNDS.max_bytes + 1)}, 413),
    (form(facts(), file_part()), {"content-length": "9" * 300}, 413),
    (form(facts(), file_part()), {"content-length": "-1"}, 400),
]


@pytest.mark.parametrize(("body", "headers", "status"), REFUSED)
async def test_what_is_refused_leaves_nothing(
    shared: House, body: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await send(await shared.program("technician"), body, **headers)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert len(reply.json()["detail"]) > 10
    assert files(shared) == set()
    assert shared.firmware.images.all() == []


async def test_a_declared_length_over_the_limit_is_refused_unread(shared: House) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    headers = {"content-length": str(BOUNDS.max_bytes + 1)}
    assert (await send(await shared.program("technician"), body(), **headers)).status_code == 413
    assert not read


async def test_an_undeclared_file_is_cut_at_the_limit(shared: House) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        head, _, tail = form(facts(), file_part(b"MIDDLE")).partition(b"MIDDLE")
        yield head
        while sent < MAX_BYTES + 4 * 1024 * 1024:
            sent += 256 * 1024
            yield b"\0" * (256 * 1024)
        yield tail

    reply = await send(await shared.program("technician"), body())
    assert reply.status_code == 413
    assert "64 MB" in reply.json()["detail"]
    assert sent <= MAX_BYTES + 1024 * 1024
    assert files(shared) == set()


async def test_who_may_and_with_which_token(house: House) -> None:
    body = form(facts(), file_part())
    for caller, status in (
        (house.anybody(), 401), (await house.program("user"), 403), (await house.browser("user"), 403),
        (await house.service(ServiceRole.READER), 403),
    ):  # fmt: skip
        assert (await send(caller, body)).status_code == status
    browser = await house.browser("technician")
    for headers in ({"x-csrf-token": ""}, {"x-csrf-token": "wrong"}, {"origin": "https://evil.test"}):
        assert (await send(browser, body, **headers)).status_code == 403
    reply = await browser.http.post("/api/v1/firmware", content=body, headers=KIND)
    assert reply.status_code == 403
    assert files(house) == set()
    assert (await send(browser, body)).status_code == 201


# Below HTTP: what only a bad client does


def visit_of(house: House, *messages: Any) -> Visit:
    """A visit whose body comes in these messages; a number is a pause in seconds, the end is silence."""
    waiting = iter(messages)

    async def receive() -> Any:
        for message in waiting:
            if isinstance(message, dict):
                return message
            await asyncio.sleep(message)
        await asyncio.sleep(3600)

    headers = [(b"content-type", KIND["content-type"].encode())]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": b""}
    site = SimpleNamespace(firmware=house.firmware, public_url="")
    request: Any = Request(scope, receive)
    anyhow: Any = site
    return Visit(request, anyhow)


def piece(body: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def taken(visit: Visit, bounds: Bounds = BOUNDS) -> int:
    async with receive_image(visit, {*FACTS}, bounds) as (_, upload):
        return upload.size


async def test_a_client_that_goes_in_the_middle_leaves_nothing(house: House) -> None:
    body = form(facts(), file_part())
    with pytest.raises(ClientDisconnect):
        await taken(visit_of(house, piece(body[:200_000]), {"type": "http.disconnect"}))
    assert files(house) == set()


async def test_a_client_that_says_nothing_more_is_given_up(house: House) -> None:
    body = form(facts(), file_part())
    with pytest.raises(HTTPException) as refused:
        await taken(visit_of(house, piece(body[:290_000])), Bounds(stall_s=0.05))
    assert refused.value.status_code == 408
    assert files(house) == set()


async def test_a_client_that_trickles_is_given_up(house: House) -> None:
    body = form(facts(), file_part())
    slowly = [message for one in chunked(body, 1) for message in (0.01, piece(one))]
    with pytest.raises(HTTPException) as refused:
        await taken(visit_of(house, *slowly), Bounds(stall_s=60.0, whole_s=0.2))
    assert refused.value.status_code == 408
    assert files(house) == set()


async def test_a_slow_one_with_patience_gets_through(house: House) -> None:
    body = form(facts(), file_part())
    pieces = [*chunked(body, 20_000)]
    messages = [message for one in pieces[:-1] for message in (0.01, piece(one))]
    assert await taken(visit_of(house, *messages, piece(pieces[-1], False))) == len(DATA)
    # It was never added.
    assert files(house) == set()


async def test_a_request_that_is_cancelled_leaves_nothing(house: House) -> None:
    body = form(facts(), file_part())
    task = asyncio.create_task(taken(visit_of(house, piece(body[:290_000]))))
    for _ in range(2000):
        if any(name.endswith(".part") for name in files(house)):
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(house) == set()
