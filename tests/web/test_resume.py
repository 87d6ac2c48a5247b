"""A session that ends in the middle of a form: what was typed is carried over the login, and only shown."""

import re

import pytest

from tests.web.house import PASSWORD, Caller, House
from tests.web.reader import Page
from web.carried import MAX_BYTES, MOST_OF_ADDRESS, CarriedForms, carried_of
from web.render import HERE

pytestmark = pytest.mark.anyio
EDIT = "/modules/A-1/edit"


async def ended(house: House, caller: Caller) -> None:
    """The session is over; the browser does not know."""
    await house.core.accounts.sessions.close(caller.session, "test")


async def typed(house: House, caller: Caller, action: str = EDIT, **fields: str) -> str:
    """Send a form after the end of its session; where the browser is sent."""
    form = (await caller.page("/modules/A-1")).form(action).filled(**fields)
    await ended(house, caller)
    reply = await caller.http.post(action, data=form)
    assert reply.status_code == 303
    return reply.headers["location"]


async def logged_in(caller: Caller, path: str, name: str = "technician") -> str:
    """Log in on this page; where it leads."""
    form = (await caller.page(path)).form("/login").filled(username=name, password=PASSWORD)
    reply = await caller.http.post("/login", data=form)
    assert reply.status_code == 303, reply.text
    return reply.headers["location"]


async def test_what_was_typed_is_shown_after_the_login_and_done_only_when_it_is_sent(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    login = await typed(house, browser, name="Lamp <b>", location="Line 1")
    assert login.startswith("/login?next=%2Fresume")
    rows = await house.audit_rows()
    onward = await logged_in(browser, login)
    page = await browser.page(onward)
    assert "Lamp <b>" in page.text and "nothing was done" in page.text
    assert house.core.registry.get("A-1").name == ""
    assert await house.audit_rows() == rows + 1  # the login
    reply = await browser.http.post(EDIT, data=page.form(EDIT).filled())
    assert reply.status_code == 303
    module = house.core.registry.get("A-1")
    assert (module.name, module.location) == ("Lamp <b>", "Line 1")


async def test_a_tick_is_made_anew(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    login = await typed(house, browser, "/modules/A-1/delete", confirm="yes")
    page = await browser.page(await logged_in(browser, login))
    form = page.form("/modules/A-1/delete")
    assert "confirm" not in form.fields
    reply = await browser.http.post("/modules/A-1/delete", data=form.filled())
    assert reply.status_code == 400 and house.core.registry.known("A-1")
    ticks = [at for tag, at in page.elements if tag == "input" and at.get("name") == "confirm"]
    assert ticks and "checked" not in ticks[0]


async def test_a_password_is_never_kept(house: House) -> None:
    browser = await house.browser("technician")
    await ended(house, browser)
    fields = {"current": "s3cret-1", "new": "s3cret-2", "again": "s3cret-3", "name": "Tom", "csrf": "x"}
    reply = await browser.http.post("/account/password", data=fields)
    page = await browser.page(await logged_in(browser, reply.headers["location"]))
    assert "which is never kept" in page.text and "Tom" in page.text and "s3cret" not in page.text
    assert not [form for form in page.forms if form.action == "/account/password"]


async def test_only_the_browser_that_typed_gets_it_back(house: House) -> None:
    await house.module("A-1")
    browser, other = await house.browser("technician"), await house.browser("admin")
    login = await typed(house, browser, name="Private")
    onward = await logged_in(browser, login)
    page = await other.http.get(onward, follow_redirects=True)
    assert "Private" not in page.text and "not kept any more" in page.text
    assert "Private" in (await browser.page(onward)).text
    assert (await house.anybody().http.get(onward)).status_code == 303


async def test_nothing_is_kept_for_another_site_or_of_nobody(house: House) -> None:
    browser = await house.browser("technician")
    await ended(house, browser)
    fields = {"name": "Evil", "csrf": "x"}
    for headers in ({"origin": "https://evil.test"}, {"sec-fetch-site": "cross-site"}):
        reply = await browser.http.post(EDIT, data=fields, headers=headers)
        assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    reply = await house.anybody().http.post(EDIT, data=fields)
    assert reply.headers["location"] == "/login"
    reply = await browser.http.post("/logout", data={"csrf": "x", "back": "y"})
    assert reply.headers["location"] == "/login"


async def test_too_much_is_not_kept_and_breaks_nothing(house: House) -> None:
    browser = await house.browser("technician")
    await ended(house, browser)
    for fields in ({"name": "x" * MAX_BYTES}, {f"f{i}": "x" for i in range(1500)}, {}):
        reply = await browser.http.post(EDIT, data=fields)
        assert (reply.status_code, reply.headers["location"]) == (303, "/login")


async def test_a_form_of_an_older_session_is_shown_again(house: House) -> None:
    """On a page that cannot show its own form again with what was typed."""
    browser = await house.browser("technician")
    reply = await browser.http.post("/join", data={"csrf": "old", "mode": "window", "seconds": "300"})
    page = Page(reply.text)
    assert reply.status_code == 403
    if any(form.action == "/join" for form in page.forms):
        done = await browser.http.post("/join", data=page.form("/join").filled())
        assert done.status_code == 303 and house.core.joining.join.mode == "window"


def test_the_shelf_is_bounded(anyio_backend: str) -> None:
    now = [0.0]
    shelf = CarriedForms(lambda: now[0])
    carried = carried_of("/x", [("a", "1")])
    mine = shelf.keep(carried, "me", "192.0.2.1")
    others = [shelf.keep(carried, "you", "192.0.2.2") for _ in range(MOST_OF_ADDRESS + 5)]
    assert shelf.find(mine, "me") == carried
    assert shelf.find(mine, "you") is None and shelf.find(mine, "") is None
    assert shelf.find(others[0], "you") is None and shelf.find(others[-1], "you") == carried
    assert shelf.dropped == 5
    now[0] = 3601.0
    assert shelf.find(mine, "me") is None


def test_what_is_kept_of_a_form(anyio_backend: str) -> None:
    kept = carried_of("/x", [("csrf", "t"), ("a", "1"), ("a", "2"), ("password", "p"), ("confirm", "yes")])
    assert kept.fields == (("a", "1"), ("a", "2"))
    assert (kept.ticks, kept.left_out) == (("confirm",), True)
    assert carried_of("/x", [("csrf", "t")]) is None


def test_no_field_of_a_password_is_kept(anyio_backend: str) -> None:
    """However a template calls it."""
    field = re.compile(r'ui\.field\([^,]+, "(\w+)",[^\n]*type="password"')
    texts = [path.read_text() for path in (HERE / "templates").glob("*.html")]
    names = {name for text in texts for name in field.findall(text)}
    assert {"password", "passphrase", "again", "current", "new", "secret"} <= names
    for name in names:
        kept = carried_of("/x", [(name, "s3cret"), ("other", "x")])
        assert kept is not None and kept.left_out and kept.fields == (("other", "x"),), name
