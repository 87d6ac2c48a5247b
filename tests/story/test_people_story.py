"""People in a real browser: an invitation, a second factor, and every tab out at once."""

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.core.access import totp
from tests.gateway_process import ADMIN, GatewayProcess

from .chromium import watched
from .people import log_in

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(Path(tmp_path_factory.mktemp("people"))) as running:
        running.add_admin()
        yield running


def invite(browser: Browser, gateway: GatewayProcess) -> str:
    with watched(browser, gateway.url) as page:
        log_in(page, ADMIN, gateway.password)
        page.goto("/admin/people")
        page.get_by_label("Good for (days)").fill("2")
        page.get_by_role("button", name="Make a link").click()
        link = page.locator("[data-notice] [data-secret]").text_content()
        assert link is not None
        return link


def make_account(page: Page, username: str) -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False])
def test_an_invited_person_comes_in_and_no_server_sees_the_code_in_an_address(
    gateway: GatewayProcess, browser: Browser, javascript: bool
) -> None:
    link = invite(browser, gateway)
    code = link.partition("#")[2]
    asked: list[str] = []
    with watched(browser, gateway.url, javascript) as page:
        page.on("request", lambda request: asked.append(request.url + str(request.headers)))
        page.goto(link)
        field = page.get_by_label("Invitation code")
        if javascript:
            expect(field).to_have_value(code)
            assert code not in page.url
        else:
            field.fill(code)
        make_account(page, f"lea-{javascript}")
    assert len(asked) > 3
    assert not any(code in request.partition("#")[0] for request in asked)
    assert not any(code in line for line in gateway.lines)


def test_a_second_factor_from_scan_to_log_in(gateway: GatewayProcess, browser: Browser) -> None:
    link = invite(browser, gateway)
    with watched(browser, gateway.url) as page:
        page.goto(link)
        make_account(page, "otto")
        page.goto("/account")
        page.get_by_role("link", name="Set it up").click()
        page.get_by_label("Your password").fill(PASSWORD)
        page.get_by_role("button", name="Begin").click()
        expect(page.get_by_role("img", name="QR code for an authenticator app")).to_be_visible()
        shown = page.locator("code.secret").text_content()
        secret = base64.b32decode((shown or "").replace(" ", ""))
        page.get_by_label("Code", exact=True).fill(totp.code_of(secret, int(time.time()) // 30))
        page.get_by_role("button", name="Turn the second factor on").click()
        codes = page.locator("[data-notice] [data-secret]").text_content() or ""
        assert len(re.findall(r"[A-Z2-9]{4}(?:-[A-Z2-9]{4}){3}", codes)) == 10
    with watched(browser, gateway.url) as page:
        page.goto("/login")
        page.get_by_label("User name").fill("otto")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="One more step")).to_be_visible()
        page.get_by_label("Code", exact=True).fill(codes.split()[0])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_logging_out_everywhere_takes_every_tab_along(gateway: GatewayProcess, browser: Browser) -> None:
    with watched(browser, gateway.url) as here, browser.new_context(base_url=gateway.url) as context:
        there = context.new_page()
        for page in (here, there):
            log_in(page, ADMIN, gateway.password)
        here.goto("/account")
        here.get_by_role("button", name="Log out everywhere").click()
        expect(here.get_by_role("heading", name="Log in")).to_be_visible()
        # The other tab was told by the end of its socket, without anybody touching it.
        expect(there.locator("#lost").or_(there.get_by_role("heading", name="Log in")).first).to_be_visible()
