"""Getting in: the set-up link, the login form, throttling, and getting out again."""

import re

import pytest

from gateway.core.access.sessions import COOKIE
from tests.web.house import PASSWORD, House
from tests.web.reader import Page
from web.pages.login import own_path

pytestmark = pytest.mark.anyio


async def log_in(house: House, username: str, password: str, address: str = "192.0.2.1"):
    browser = house.anybody(address)
    reply = await browser.send("/login", "/login", username=username, password=password)
    return browser, reply


async def test_the_set_up_link_makes_one_admin_and_then_is_dead(house: House) -> None:
    secret = house.core.accounts.setup_secret
    browser = house.anybody()
    link = "/setup"
    filled = {"username": "camille", "password": PASSWORD, "again": PASSWORD}
    reply = await browser.send(link, "/setup", secret=secret, **filled)
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert "camille" in (await browser.page("/admin/people")).text
    stranger = house.anybody()
    assert "used up" in (await stranger.page(link, 410)).text
    form = (await stranger.page("/login")).form("/login")
    again = {"csrf": form.fields["csrf"][0], "secret": secret, **filled, "username": "mallory"}
    assert (await stranger.http.post("/setup", data=again)).status_code == 403
    assert [user.username for user in house.core.accounts.people.all()] == ["camille"]


@pytest.mark.parametrize("secret", ["", "wrong", "\0", "x" * 5000])
async def test_a_wrong_set_up_code_makes_nobody(house: House, secret: str) -> None:
    filled = {"username": "eve", "password": PASSWORD, "again": PASSWORD, "secret": secret}
    page = await house.anybody().refused("/setup", "/setup", 403, **filled)
    assert page.form("/setup").fields["username"] == ["eve"]
    assert house.core.accounts.people.all() == []


async def test_the_set_up_code_is_never_read_from_an_address(house: House) -> None:
    page = await house.anybody().page(f"/setup?secret={house.core.accounts.setup_secret}")
    assert page.form("/setup").fields["secret"] == [""]


async def test_what_was_typed_into_the_set_up_stays_but_for_passwords(house: House) -> None:
    filled = {"username": "camille", "password": PASSWORD, "again": "something else"}
    page = await house.anybody().refused("/setup", "/setup", 400, secret="x", **filled)
    assert "not the same" in page.notice
    assert page.form("/setup").fields["username"] == ["camille"]
    assert page.form("/setup").fields["password"] == [""]


async def test_log_in_and_out(house: House) -> None:
    await house.person("admin")
    browser, reply = await log_in(house, "admin", PASSWORD)
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    assert all(word in cookie for word in (COOKIE, "HttpOnly", "SameSite=lax"))
    token = browser.http.cookies[COOKIE]
    reply = await browser.send("/", "/logout")
    assert reply.headers["location"] == "/login"
    browser.http.cookies.set(COOKIE, token)
    assert (await browser.http.get("/")).headers["location"] == "/login"


async def test_the_cookie_is_secure_behind_tls(house: House) -> None:
    await house.person("admin")
    browser = house.anybody()
    browser.http.base_url = "https://gateway.test"
    reply = await browser.send("/login", "/login", username="admin", password=PASSWORD)
    assert "Secure" in reply.headers["set-cookie"]


async def test_log_in_leads_on_to_the_page_that_was_asked_for(house: House) -> None:
    await house.person("admin")
    browser = house.anybody()
    asked = (await browser.http.get("/modules?status=online&q=a b")).headers["location"]
    reply = await browser.send(asked, "/login", username="admin", password=PASSWORD)
    assert reply.headers["location"] == "/modules?status=online&q=a%20b"


@pytest.mark.parametrize(
    "path", ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", ""]
)
def test_log_in_never_leads_elsewhere(path: str) -> None:
    assert own_path(path) == "/"


@pytest.mark.parametrize("username", ["admin", "nobody", "", "a\0b", "<b>x</b>", "x" * 500])
async def test_a_wrong_login_says_the_same_for_all(house: House, username: str) -> None:
    await house.person("admin")
    _, reply = await log_in(house, username, "wrong")
    assert reply.status_code == 401
    page = Page(reply.text)
    assert page.notice == "User name or password is wrong."
    assert "<b>x</b>" not in reply.text
    assert page.form("/login").fields["username"] == [username.strip()]


async def test_tries_are_limited_per_account_and_address_and_the_owner_still_gets_in(house: House) -> None:
    house.stop_the_clock()
    await house.person("admin")
    for _ in range(10):
        assert (await log_in(house, "admin", "guess", "203.0.113.9"))[1].status_code == 401
    _, reply = await log_in(house, "admin", PASSWORD, "203.0.113.9")
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) >= 1
    assert (await log_in(house, "admin", PASSWORD, "192.0.2.77"))[1].status_code == 303


async def test_rest_login_is_limited_in_the_same_way(house: House) -> None:
    house.stop_the_clock()
    await house.person("admin")
    caller = house.anybody("203.0.113.9")
    wrong = {"username": "admin", "password": "guess"}
    for _ in range(10):
        await caller.call("POST", "/auth/login", 401, json=wrong)
    reply = await caller.http.post("/api/v1/auth/login", json=wrong)
    assert reply.status_code == 429
    assert reply.headers["retry-after"]
    right = {"username": "admin", "password": PASSWORD}
    assert (await house.anybody("192.0.2.77").call("POST", "/auth/login", 200, json=right))[
        "expires_in"
    ] == 600


async def test_a_new_login_ends_the_session_before_it(house: House) -> None:
    browser = await house.browser("user")
    old = browser.http.cookies[COOKIE]
    form_token = browser.session.csrf
    fields = {"csrf": form_token, "username": "user", "password": PASSWORD}
    assert (await browser.http.post("/login", data=fields)).status_code == 303
    assert house.core.accounts.sessions.find(old) is None


async def test_log_out_everywhere_ends_browsers_and_programs(house: House) -> None:
    first, second = await house.browser("user"), await house.browser("user")
    program = await house.program("user")
    assert (await first.send("/account", "/account/logout-everywhere")).status_code == 303
    assert (await second.http.get("/")).status_code == 303
    await program.call("GET", "/modules", 401)


async def test_changing_the_password_ends_the_other_sessions_only(house: House) -> None:
    here, there = await house.browser("user"), await house.browser("user")
    new = "another good password"
    filled = {"current": PASSWORD, "new": new, "again": new}
    assert "changed" in (await here.done("/account", "/account/password", **filled)).notice
    assert (await there.http.get("/")).status_code == 303
    assert (await log_in(house, "user", new))[1].status_code == 303
    assert (await log_in(house, "user", PASSWORD))[1].status_code == 401


@pytest.mark.parametrize(
    ("filled", "said"),
    [
        ({"current": "wrong", "new": "another good password", "again": "another good password"}, "wrong"),
        ({"current": PASSWORD, "new": "another good password", "again": "other"}, "not the same"),
        ({"current": PASSWORD, "new": "short", "again": "short"}, "10"),
    ],
)
async def test_a_password_is_not_changed_by_mistake(house: House, filled: dict[str, str], said: str) -> None:
    browser = await house.browser("user")
    page = await browser.refused("/account", "/account/password", 400, **filled)
    assert said in page.notice


async def test_colours_are_kept_in_a_cookie_without_script(house: House) -> None:
    browser = await house.browser("user")
    for theme in ("dark", "light", "auto"):
        await browser.http.post(
            "/theme", data={"csrf": browser.session.csrf, "theme": theme, "back": "/account"}
        )
        reply = await browser.http.get("/account")
        assert re.search(rf'<html[^>]*data-theme="{theme}"', reply.text)
    await browser.http.post("/theme", data={"csrf": browser.session.csrf, "theme": '"><script>'})
    assert 'data-theme="auto"' in (await browser.http.get("/account")).text
