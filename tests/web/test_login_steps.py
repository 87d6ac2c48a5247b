"""Logging in with a second factor: set up by page, asked for by page and REST."""

import base64
import re
from typing import Any

import httpx
import pytest

from gateway.core import clock
from gateway.core.access import totp
from gateway.core.access.sessions import COOKIE
from tests.web.house import PASSWORD, Caller, House
from tests.web.reader import Page
from web.cookies import HALFWAY, KNOWN

pytestmark = pytest.mark.anyio
PLACE = "/account/second-factor"


@pytest.fixture(autouse=True)
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Moved by tests, so that a code is of the step that they think of."""
    now = [clock.now_ms()]
    monkeypatch.setattr("gateway.core.clock.now_ms", lambda: now[0])
    return now


def code_of(secret: str, now: list[int]) -> str:
    return totp.code_of(base64.b32decode(secret), now[0] // 30_000)


async def turn_on(browser: Caller, now: list[int]) -> tuple[str, list[str]]:
    """The secret in the app, and the recovery codes."""
    page = await browser.done(PLACE, PLACE, password=PASSWORD)
    secret = next(code for code in re.findall(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", page.text)).replace(" ", "")
    done = await browser.done(PLACE, f"{PLACE}/confirm", code=code_of(secret, now))
    now[0] += 60_000
    return secret, re.findall(r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){3}", done.notice)


async def first_step(browser: Caller, **more: Any) -> httpx.Response:
    return await browser.send("/login", "/login", username="user", password=PASSWORD, **more)


async def test_it_is_set_up_and_asked_for_without_any_script(house: House, standing_clock: list[int]) -> None:
    secret, codes = await turn_on(await house.browser("user"), standing_clock)
    assert len(codes) == 10
    browser = house.anybody()
    asked = (await browser.http.get("/modules?q=x")).headers["location"]
    reply = await browser.send(asked, "/login", username="user", password=PASSWORD)
    assert reply.headers["location"].startswith("/login/code?next=")
    assert COOKIE not in browser.http.cookies and (await browser.http.get("/")).status_code == 303
    place = reply.headers["location"]
    refused = await browser.refused(place, "/login/code", 401, code="000000")
    assert "wrong" in refused.notice
    reply = await browser.send(place, "/login/code", code=code_of(secret, standing_clock))
    assert (reply.status_code, reply.headers["location"]) == (303, "/modules?q=x")
    assert (await browser.http.get("/")).status_code == 200
    assert KNOWN in browser.http.cookies and HALFWAY not in browser.http.cookies


async def test_a_recovery_code_is_as_good_and_the_account_says_how_many_are_left(
    house: House, standing_clock: list[int]
) -> None:
    _, codes = await turn_on(await house.browser("user"), standing_clock)
    browser = house.anybody()
    assert (await first_step(browser)).status_code == 303
    assert (await browser.send("/login/code", "/login/code", code=codes[0].lower())).status_code == 303
    assert "9 recovery codes are left" in (await browser.page("/account")).text


async def test_the_second_step_alone_is_nothing(house: House, standing_clock: list[int]) -> None:
    secret, _ = await turn_on(await house.browser("user"), standing_clock)
    browser = house.anybody()
    page = await browser.page("/login/code", 401)
    assert "/login" in [form.action for form in page.forms]
    form = (await browser.page("/login")).form("/login")
    fields = {"csrf": form.fields["csrf"][0], "code": code_of(secret, standing_clock)}
    for half in ("", "x" * 43, "é"):
        headers = {
            "cookie": f"passerelle_visitor={browser.http.cookies['passerelle_visitor']}; {HALFWAY}={half}"
        }
        if half.isascii():
            reply = await house.anybody().http.post("/login/code", data=fields, headers=headers)
            assert reply.status_code == 401
    await first_step(browser)
    standing_clock[0] += 11 * 60_000
    assert "took too long" in (await browser.page("/login/code", 401)).notice
    # The password came from here: its second step comes from here as well.
    await first_step(browser)
    elsewhere = house.anybody("203.0.113.9")
    elsewhere.http.cookies = browser.http.cookies
    assert "took too long" in (await elsewhere.page("/login/code", 401)).notice


async def test_a_code_is_worth_one_login(house: House, standing_clock: list[int]) -> None:
    secret, _ = await turn_on(await house.browser("user"), standing_clock)
    first, second = house.anybody(), house.anybody()
    for browser in (first, second):
        await first_step(browser)
    code = code_of(secret, standing_clock)
    assert (await first.send("/login/code", "/login/code", code=code)).status_code == 303
    assert (await second.send("/login/code", "/login/code", code=code)).status_code == 401


async def test_rest_says_that_a_code_is_missing(house: House, standing_clock: list[int]) -> None:
    secret, codes = await turn_on(await house.browser("user"), standing_clock)
    caller, proof = house.anybody(), {"username": "user", "password": PASSWORD}
    for more in ({}, {"code": ""}, {"code": "000000"}):
        problem = await caller.call("POST", "/auth/login", 401, json=proof | more)
        assert problem["code"] == "second_factor"
    wrong = await caller.call("POST", "/auth/login", 401, json=proof | {"password": "x", "code": codes[0]})
    assert wrong["code"] == "unauthenticated"
    code = code_of(secret, standing_clock)
    assert await caller.call("POST", "/auth/login", 200, json=proof | {"code": code})
    assert (await caller.call("POST", "/auth/login", 401, json=proof | {"code": code}))[
        "code"
    ] == "second_factor"


async def test_each_change_asks_for_the_password(house: House, standing_clock: list[int]) -> None:
    browser = await house.browser("user")
    assert "wrong" in (await browser.refused(PLACE, PLACE, 400, password="guess")).notice
    _, codes = await turn_on(browser, standing_clock)
    for action in (f"{PLACE}/codes", f"{PLACE}/off"):
        assert "wrong" in (await browser.refused(PLACE, action, 400, password="guess")).notice
    done = await browser.done(PLACE, f"{PLACE}/codes", password=PASSWORD)
    assert codes[0] not in done.notice
    await browser.done(PLACE, f"{PLACE}/off", password=PASSWORD)
    assert (await first_step(house.anybody())).headers["location"] == "/"


async def test_an_admin_removes_it_for_somebody_who_lost_it(house: House, standing_clock: list[int]) -> None:
    await turn_on(await house.browser("user"), standing_clock)
    admin, number = await house.browser("admin"), (await house.person("user")).id
    action = f"/admin/users/{number}"
    refused = await admin.http.post(action, data={"csrf": admin.session.csrf, "change": "factor"})
    assert refused.status_code == 400 and "Tick" in Page(refused.text).notice
    done = await admin.done("/admin/people", action, change="factor", confirm="yes")
    assert "password alone" in done.notice
    assert (await first_step(house.anybody())).headers["location"] == "/"
    rows = await house.core.audit.rows(limit=5)
    assert any(row["action"] == "user.second_factor_off" and row["who"] == "admin" for row in rows)


async def test_guesses_of_codes_are_limited(house: House, standing_clock: list[int]) -> None:
    secret, _ = await turn_on(await house.browser("user"), standing_clock)
    house.core.accounts._codes._clock = lambda: 1000.0
    browser = house.anybody()
    await first_step(browser)
    for _ in range(10):
        await browser.refused("/login/code", "/login/code", 401, code="000000")
    right = code_of(secret, standing_clock)
    page = await browser.refused("/login/code", "/login/code", 429, code=right)
    assert "Too many codes" in page.notice
