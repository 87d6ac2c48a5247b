"""What every page must be: within the rules we give browsers, escaped, labelled."""

import re

import pytest

from tests.web.house import House
from tests.web.reader import Page
from web.pages import PAGES

pytestmark = pytest.mark.anyio
TEXTS = {"type": "application/json", "id": "texts"}
EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"
# What scripts and people fetch as JSON or CSV: no browser shows it as a page.
NO_PAGES = {"/modules/rows", "/admin/audit.csv", "/types/{code:int}/export"}
GETS = [page.path for page in PAGES if page.method == "GET" and page.path not in NO_PAGES]
PLACES = [path.replace("{id}", "A-1") for path in GETS] + ["/api/docs", "/nowhere", "/modules/NOBODY"]


async def evil_house(house: House) -> None:
    """Every text that comes from outside is a script."""
    said = {"hardware": EVIL, "firmware": {"serial": EVIL}, "information": {"name": EVIL, "location": EVIL}}
    module = await house.module("A-1", **said)
    await house.waiting("W-1", **said)
    await house.waiting("R-1", **said)
    admin = await house.person("admin")
    await house.core.decisions.reject(["R-1"], admin, EVIL)
    application = {"type": 7, "serial": "A-1", "hardware": EVIL, "information": {"name": EVIL}}
    await house.anybody("203.0.113.4").http.post("/modules/register", json=application)
    house.core.presence.heard(module)
    house.core.telemetry.report(module, {"note": EVIL, "deep": {"in": EVIL}, "n": 1.5})
    command = await house.core.commands.send("A-1", "set", {"values": {"k": EVIL}}, EVIL)
    house.core.commands._change(command, "sent")
    house.core.commands.answered("A-1", command.id, "failed", result=EVIL, error=EVIL)
    await house.core.registry.edit("A-1", admin, name=EVIL, location=EVIL)


async def test_what_comes_from_outside_is_text_on_every_page(shared: House) -> None:
    if shared.core.registry.known("A-1") is None:
        await evil_house(shared)
    browser = await shared.browser("admin")
    shown = 0
    for place in PLACES:
        reply = await browser.http.get(place)
        assert "<script>alert" not in reply.text, place
        assert "<img src=x" not in reply.text, place
        shown += reply.text.count("&lt;script&gt;")
    assert shown > 20
    for where in (f"/modules?q={EVIL}", f"/login?next={EVIL}", f"/setup?secret={EVIL}", f"/{EVIL}"):
        for caller in (browser, shared.anybody()):
            assert "<script>alert" not in (await caller.http.get(where)).text


@pytest.mark.parametrize("role", ["nobody", "user", "technician", "admin"])
async def test_every_page_carries_the_headers_and_nothing_inline(shared: House, role: str) -> None:
    caller = shared.anybody() if role == "nobody" else await shared.browser(role)
    for place in PLACES:
        reply = await caller.http.get(place)
        policy = reply.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cache-control"] == "no-store"
        for tag, at in Page(reply.text).elements:
            assert tag != "style", place
            assert tag != "script" or at.get("src", "").startswith("/static/") or at == TEXTS, place
            assert not [name for name in at if name == "style" or name.startswith("on")], place


async def test_nothing_is_loaded_from_elsewhere(shared: House) -> None:
    browser = await shared.browser("admin")
    for place in PLACES:
        for tag, at in (await browser.page(place, (await browser.http.get(place)).status_code)).elements:
            if tag in ("script", "link", "img", "use", "form"):
                target = at.get("src") or at.get("href") or at.get("action") or ""
                assert target.startswith("/"), (place, tag, at)
                assert not target.startswith("//")


async def test_the_policy_names_this_host_only_and_never_what_a_header_makes_up(shared: House) -> None:
    reply = await shared.anybody().http.get("/login")
    assert (
        "connect-src 'self' ws://gateway.test wss://gateway.test;" in reply.headers["content-security-policy"]
    )
    for host in ("evil; script-src *", "a b", "x,y", "ö.test"):
        reply = await shared.anybody().http.get("/login", headers={"host": host.encode()})
        assert "connect-src 'self';" in reply.headers["content-security-policy"]


async def test_every_field_has_a_label_and_every_button_a_name(shared: House) -> None:
    browser = await shared.browser("admin")
    for place in PLACES:
        page = await browser.page(place, (await browser.http.get(place)).status_code)
        labelled = {at["for"] for tag, at in page.elements if tag == "label" and "for" in at}
        for tag, at in page.elements:
            if tag in ("select", "textarea") or (
                tag == "input" and at.get("type") not in ("hidden", "checkbox", "radio")
            ):
                assert at.get("id") in labelled, (place, at)
        ids = [at["id"] for _, at in page.elements if "id" in at]
        assert len(ids) == len(set(ids)), (place, sorted(id for id in ids if ids.count(id) > 1))


async def test_every_form_that_posts_carries_a_token(shared: House) -> None:
    for caller in (await shared.browser("admin"), shared.anybody()):
        for place in PLACES:
            reply = await caller.http.get(place, follow_redirects=True)
            for form in (await caller.page(str(reply.url), reply.status_code)).forms:
                assert form.method == "get" or form.fields["csrf"][0], (place, form.action)


async def test_the_menu_shows_what_one_may_use(shared: House) -> None:
    expected = {
        "user": {"/", "/modules", "/account", "/claim"},
        "technician": {"/", "/modules", "/account", "/waiting", "/firmware", "/types"},
        "admin": {"/", "/modules", "/account", "/waiting", "/firmware", "/types", "/admin"},
    }
    for role, places in expected.items():
        reply = await (await shared.browser(role)).http.get("/account")
        menu = reply.text.split("<nav", 1)[1].split("</nav>", 1)[0]
        assert set(re.findall(r'<a href="([^"]+)"', menu)) == places
