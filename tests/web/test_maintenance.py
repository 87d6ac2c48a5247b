"""Maintenance on pages and in REST: who is refused with what, the banner, and what goes on untouched."""

import pytest

from gateway.core.rights import ServiceRole
from tests.web.house import PASSWORD, House
from tests.web.reader import Page
from tests.web.test_api import fits

pytestmark = pytest.mark.anyio
WHY = "New disk, <b>back</b> at 15:00 UTC."


async def turn_on(house: House, reason: str = WHY) -> None:
    await house.core.maintenance.set(True, reason, await house.person("admin"))


def banner(page: Page) -> bool:
    (at,) = [at for _, at in page.elements if at.get("id") == "maintenance"]
    return "hidden" not in at


async def test_an_admin_turns_it_on_with_a_tick_and_off_again(house: House) -> None:
    browser = await house.browser("admin")
    page = await browser.refused("/admin", "/admin/maintenance", 400, maintenance="on", reason=WHY)
    assert "Tick the box" in page.notice
    assert page.form("/admin/maintenance").fields["reason"] == [WHY]
    assert not banner(page)
    filled = {"maintenance": "on", "reason": WHY, "confirm": "yes"}
    page = await browser.done("/admin", "/admin/maintenance", **filled)
    assert page.notice == "Maintenance is on: only admins can log in."
    assert banner(page)
    assert "by admin" in page.text
    page = await browser.done("/admin", "/admin/maintenance", maintenance="on", reason="Later")
    assert house.core.maintenance.state.reason == "Later"
    page = await browser.done("/admin", "/admin/maintenance", maintenance="off")
    assert page.notice == "Maintenance is over."
    assert not banner(page)
    for bad in ({}, {"maintenance": "maybe"}, {"maintenance": "on", "confirm": "yes", "reason": "x" * 201}):
        await browser.refused("/admin", "/admin/maintenance", 400, **bad)
    assert house.core.maintenance.state.on is False


@pytest.mark.parametrize("role", ["user", "technician"])
async def test_a_login_is_refused_with_the_reason(house: House, role: str) -> None:
    await house.person(role)
    await turn_on(house)
    browser = house.anybody()
    reply = await browser.send("/login", "/login", username=role, password=PASSWORD)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "60")
    page = Page(reply.text)
    assert page.notice == (
        "The gateway is in maintenance (New disk, <b>back</b> at 15:00 UTC). "
        "Until it is over only admins can log in."
    )
    assert "<b>back" not in reply.text
    assert page.form("/login").fields["username"] == [role]
    assert not house.core.accounts.sessions.of((await house.person(role)).id)
    wrong = await browser.send("/login", "/login", username=role, password="wrong")
    assert wrong.status_code == 401


async def test_an_admin_gets_in_and_so_does_everybody_afterwards(house: House) -> None:
    await house.person("user")
    await turn_on(house)
    reply = await house.anybody().send("/login", "/login", username="admin", password=PASSWORD)
    assert reply.status_code == 303
    await house.core.maintenance.set(False, "", await house.person("admin"))
    reply = await house.anybody().send("/login", "/login", username="user", password=PASSWORD)
    assert reply.status_code == 303


async def test_programs_are_refused_alike_and_go_on_afterwards(house: House) -> None:
    await house.person("user")
    caller = house.anybody()
    login = {"username": "user", "password": PASSWORD}
    pair = await caller.call("POST", "/auth/login", 200, json=login)
    await turn_on(house)
    refresh = {"refresh_token": pair["refresh_token"]}
    for path, body in (("/auth/login", login), ("/auth/refresh", refresh)):
        reply = await caller.http.post(f"/api/v1{path}", json=body)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "60")
        assert reply.json()["code"] == "unavailable"
        assert "in maintenance" in reply.json()["detail"]
    caller.http.headers["authorization"] = f"Bearer {pair['access_token']}"
    await caller.call("GET", "/modules", 200)
    await house.core.maintenance.set(False, "", await house.person("admin"))
    await house.anybody().call("POST", "/auth/refresh", 200, json=refresh)


async def test_every_page_shows_why_to_everybody(house: House) -> None:
    await house.module("A-1", owner="user")
    user = await house.browser("user")
    await turn_on(house)
    for place in ("/", "/modules", "/modules/A-1", "/claim", "/account", "/api/docs"):
        page = await user.page(place)
        assert banner(page), place
        assert WHY in page.text
    for place, status in (("/login", 200), ("/setup", 410), ("/nowhere", 404)):
        page = await house.anybody().page(place, status)
        assert banner(page), place
        assert WHY in page.text
    await user.page("/modules/NOBODY", 404)


async def test_rest_reads_and_sets_it(house: House) -> None:
    admin, user = await house.program("admin"), await house.program("user")
    off = await user.call("GET", "/maintenance", 200)
    assert off == {"on": False, "reason": "", "by": "", "since": None}
    on = await admin.call("PUT", "/maintenance", 200, json={"on": True, "reason": "Disk"})
    fits("PUT", "/maintenance", on)
    assert (on["on"], on["reason"], on["by"]) == (True, "Disk", "admin")
    assert await user.call("GET", "/maintenance", 200) == on
    fits("GET", "/maintenance", on)
    await user.call("PUT", "/maintenance", 403, json={"on": False})
    for bad in ({}, {"on": "perhaps"}, {"on": True, "reason": "x" * 201}, {"on": True, "reason": "a\0b"}):
        await admin.call("PUT", "/maintenance", 400, json=bad)
    assert (await admin.call("PUT", "/maintenance", 200, json={"on": False}))["on"] is False


async def test_devices_programs_and_probes_notice_nothing(house: House) -> None:
    reader = await house.service(ServiceRole.READER)
    await turn_on(house)
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await house.anybody().http.get(path)).status_code == 200
    await reader.call("GET", "/modules", 200)
    reply = await house.anybody().http.post("/modules/register", json={"type": 7, "serial": "A-1"})
    assert reply.status_code == 200
