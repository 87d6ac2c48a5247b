"""What every answer tells browsers, over http and https; and what no address and no log line holds."""

import io
import logging
import re

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from gateway.core.access.sessions import COOKIE
from tests.web.house import PASSWORD, Caller, House
from web.pages import PAGES

pytestmark = pytest.mark.anyio
HSTS = "strict-transport-security"
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
POLICY = {
    "default-src": "'self'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'",
    "object-src": "'none'", "base-uri": "'none'", "form-action": "'self'", "frame-ancestors": "'none'",
}  # fmt: skip
LOOSE = {"'unsafe-inline'", "'unsafe-eval'", "*", "data:"}


def secure(caller: Caller) -> Caller:
    caller.http.base_url = "https://gateway.test"
    return caller


def policy(header: str) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in header.split(";"))


async def test_every_route_and_every_refusal_carries_them(shared: House) -> None:
    browser = await shared.browser("admin")
    places = [("GET", "/static/base.css"), ("GET", "/nowhere"), ("PUT", "/login"), ("GET", "/ca.pem")]
    for route in shared.app.routes:
        if not isinstance(route, Mount):
            path = re.sub(r"\{\w+(:\w+)?\}", "1", route.path)
            places += [(method, path) for method in route.methods]
    for caller in (browser, shared.anybody()):
        for method, path in places:
            reply = await caller.http.request(method, path)
            for name, value in ALWAYS.items():
                assert reply.headers[name] == value, (method, path, name)
            found = policy(reply.headers["content-security-policy"])
            assert POLICY.items() <= found.items(), (method, path)
            assert not LOOSE & set(" ".join(found.values()).split())
            assert HSTS not in reply.headers


async def test_over_https_browsers_are_told_to_stay_there(shared: House) -> None:
    caller = secure(shared.anybody())
    for path in ("/login", "/nowhere", "/healthz", "/static/base.css"):
        reply = await caller.http.get(path)
        assert reply.headers[HSTS] == "max-age=31536000"
    await shared.core.choices.set({"web.hsts": False}, await shared.person("admin"))
    assert HSTS not in (await caller.http.get("/login")).headers


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(shared: House) -> None:
    await shared.person("user")
    for caller, over_tls in ((shared.anybody(), False), (secure(shared.anybody()), True)):
        page = await caller.http.get("/login")
        given = page.headers.get_list("set-cookie")
        reply = await caller.send("/login", "/login", username="user", password=PASSWORD)
        assert reply.status_code == 303
        given += reply.headers.get_list("set-cookie")
        assert {cookie.split("=")[0] for cookie in given} >= {COOKIE, "passerelle_visitor"}
        for cookie in given:
            words = {word.strip().lower() for word in cookie.split(";")[1:]}
            assert {"httponly", "path=/", "samesite=lax"} <= words, cookie
            assert ("secure" in words) is over_tls, cookie
            assert not any(word.startswith("domain") for word in words)


async def test_no_form_sends_a_secret_in_an_address(shared: House) -> None:
    browser = await shared.browser("admin")
    await shared.module("A-1", owner="admin")
    for page in PAGES:
        if page.method == "GET":
            reply = await browser.http.get(page.path.replace("{id}", "A-1"), follow_redirects=True)
            for found in re.finditer(r"<form[^>]*>.*?</form>", reply.text, re.S):
                form = found.group()
                if 'method="post"' not in form:
                    assert 'type="password"' not in form, page.path
                    assert 'name="csrf"' not in form, page.path


async def test_no_log_line_holds_what_was_asked_or_typed(shared: House) -> None:
    """Not even where the gateway failed: the log tells the path, never its query nor its form."""

    async def fails(request: Request) -> Response:
        raise RuntimeError("it broke")

    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logging.getLogger().addHandler(handler)
    broken = Route("/broken", fails)
    shared.app.router.routes.insert(0, broken)
    try:
        caller = shared.anybody()
        await caller.http.get("/broken?secret=canary-in-query")
        await caller.http.get("/setup?secret=canary-in-query")
        await caller.http.get("/api/v1/modules", headers={"authorization": "Bearer canary-in-header"})
        form = (await caller.page("/login")).form("/login")
        await caller.http.post("/login", data=form.filled(username="x", password="canary-in-form"))
    finally:
        shared.app.router.routes.remove(broken)
        logging.getLogger().removeHandler(handler)
    assert "/broken failed" in lines.getvalue()
    assert "canary" not in lines.getvalue()
