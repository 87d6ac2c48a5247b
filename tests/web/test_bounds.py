"""Bodies too big, too slow or broken: refused early, with a clear word, and nothing else notices."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.exceptions import HTTPException

from tests.web.house import House
from web.body import MAX_BODY, BodyLimit

pytestmark = pytest.mark.anyio
SENT_TO = ["/login", "/waiting/decide", "/api/v1/auth/login", "/api/v1/types", "/modules/register"]


async def chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 65536 + 1):
        yield b"x" * 65536


@pytest.mark.parametrize("path", SENT_TO)
async def test_a_declared_length_over_the_limit_is_refused_unread(shared: House, path: str) -> None:
    browser = await shared.browser("admin")
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    headers = {"content-length": str(MAX_BODY + 1), "x-csrf-token": browser.session.csrf}
    reply = await browser.http.post(path, content=body(), headers=headers)
    assert reply.status_code == 413
    assert not read


@pytest.mark.parametrize("path", SENT_TO)
async def test_an_undeclared_body_is_cut_at_the_limit(shared: House, path: str) -> None:
    browser = await shared.browser("admin")
    kind = "application/json" if "api" in path or "register" in path else "application/x-www-form-urlencoded"
    headers = {"content-type": kind, "x-csrf-token": browser.session.csrf}
    reply = await browser.http.post(path, content=chunks(3 * MAX_BODY), headers=headers)
    assert reply.status_code == 413
    if path.startswith("/api"):
        assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "9" * 400])
async def test_a_strange_length_is_refused(shared: House, length: str) -> None:
    reply = await shared.anybody().http.post("/login", content=b"x", headers={"content-length": length})
    assert reply.status_code in (400, 413)


async def test_a_body_that_trickles_is_given_up() -> None:
    async def receive() -> dict:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def app(scope, receive, send) -> None:
        while True:
            await receive()

    async def send(message) -> None:
        raise AssertionError("nothing is sent")

    scope = {"type": "http", "headers": []}
    with pytest.raises(HTTPException) as refused:
        await BodyLimit(app, timeout_s=0.2)(scope, receive, send)
    assert refused.value.status_code == 408


@pytest.mark.parametrize(
    "content",
    [b"{", b"[1]", b'"x"', b"\xff", b"[" * 200_000, b'{"a":' * 100_000, b'{"username":NaN}', b"null"],
)
async def test_broken_json_is_a_problem_document(shared: House, content: bytes) -> None:
    reply = await shared.anybody().http.post("/api/v1/auth/login", content=content)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "invalid"


@pytest.mark.parametrize(
    "path",
    [
        "/modules/%00",
        "/modules/" + "x" * 3000,
        "/modules/..%2f..%2fetc",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
    ],
)
async def test_strange_paths_are_not_found(shared: House, path: str) -> None:
    browser = await shared.browser("admin")
    assert (await browser.http.get(path)).status_code == 404
    program = await shared.program("admin")
    if path.startswith("/modules"):
        await program.call("GET", path, 404)


async def test_a_form_with_too_many_fields_or_a_file_is_refused(shared: House) -> None:
    browser = await shared.browser("admin")
    many = {f"f{n}": "x" for n in range(1500)} | {"csrf": browser.session.csrf}
    assert (await browser.http.post("/theme", data=many)).status_code == 400
    files = {"theme": ("../../x", b"dark")}
    reply = await browser.http.post("/theme", data={"csrf": browser.session.csrf}, files=files)
    assert reply.status_code == 400


async def test_methods_a_route_does_not_know_are_refused(shared: House) -> None:
    browser = await shared.browser("admin")
    for method, path in (("DELETE", "/login"), ("PUT", "/modules/A-1"), ("POST", "/api/v1/stats")):
        assert (await browser.http.request(method, path)).status_code == 405
