"""An admin's pages in a real browser, over TLS: what others do, settings, a backup."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gateway_process import GatewayProcess
from playwright.sync_api import Browser, Page, expect

from gateway.backup.sealing import Opened

from .chromium import watched

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("admin"), tls="own") as gateway:
        gateway.add_admin()
        gateway.command(
            "user", "add", "berta", "--role", "admin", "--password-stdin", stdin="berta's words\n"
        )
        yield gateway


def trusting(gateway: GatewayProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(gateway.data / "tls" / "ca.pem"))


def secure(gateway: GatewayProcess) -> str:
    return gateway.url.replace("http:", "https:")


@contextmanager
def admin(browser: Browser, gateway: GatewayProcess, **how: object) -> Iterator[Page]:
    with watched(browser, secure(gateway), ignore_https_errors=True, **how) as page:
        page.goto("/login")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password", exact=True).fill(gateway.password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/")
        yield page


@contextmanager
def another(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=secure(gateway) + "/api/v1", verify=trusting(gateway), timeout=30) as api:
        login = api.post("/auth/login", json={"username": "berta", "password": "berta's words"})
        api.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        yield api


def maintenance(api: httpx.Client, on: bool, reason: str = "") -> None:
    assert api.put("/maintenance", json={"on": on, "reason": reason}).is_success


def test_what_others_do_appears_and_can_be_held_and_filtered(
    browser: Browser, gateway: GatewayProcess
) -> None:
    with admin(browser, gateway) as page, another(gateway) as api:
        page.goto("/admin/activity")
        stream = page.locator("[data-activity]")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.locator("[data-activity-again]")).to_be_hidden()
        page.wait_for_timeout(500)
        maintenance(api, True, "new <b>disk</b>")
        expect(stream).to_contain_text("berta · maintenance.on")
        expect(stream).to_contain_text("new <b>disk</b>")
        assert stream.locator("b").count() == 0

        page.get_by_role("button", name="Pause").click()
        maintenance(api, False)
        expect(page.get_by_role("button", name="Go on (")).to_be_visible()
        expect(stream).not_to_contain_text("maintenance.off")
        page.get_by_role("button", name="Go on (").click()
        expect(stream).to_contain_text("maintenance.off")

        page.get_by_label("Show only what has this in it").fill("maintenance.off")
        expect(stream.get_by_text("maintenance.on")).to_be_hidden()
        expect(stream.get_by_text("berta · maintenance.off")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False], ids=["live", "plain"])
def test_a_setting_is_changed_and_taken_back(
    browser: Browser, gateway: GatewayProcess, javascript: bool
) -> None:
    with admin(browser, gateway, javascript=javascript) as page:
        page.goto("/admin/settings")
        days = page.get_by_role("spinbutton", name="Keep every reading for")
        days.fill("30")
        days.press("Enter")
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(days).to_have_value("30")
        page.get_by_role("button", name="Keep every reading for: back to the default").click()
        expect(days).to_have_value("7")
        expect(page.get_by_role("button", name="Keep every reading for: back to the default")).to_be_hidden()


@pytest.mark.parametrize("javascript", [True, False], ids=["live", "plain"])
def test_a_backup_is_downloaded(
    browser: Browser, gateway: GatewayProcess, tmp_path: Path, javascript: bool
) -> None:
    with admin(browser, gateway, javascript=javascript) as page:
        page.goto("/admin/backup")
        page.get_by_label("Passphrase").fill(PASSPHRASE)
        page.get_by_label("The same again").fill(PASSPHRASE)
        with page.expect_download() as coming:
            page.get_by_role("button", name="Download a backup").click()
        coming.value.save_as(tmp_path / "b")
        with (tmp_path / "b").open("rb") as file:
            Opened(file, PASSPHRASE).finish()
        page.goto("/admin/backup")
        expect(page.get_by_text("never")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(browser: Browser, gateway: GatewayProcess, width: int) -> None:
    with admin(browser, gateway, viewport={"width": width, "height": 800}) as page:
        for place in ("", "/programs", "/statistics", "/activity", "/settings", "/backup"):
            page.goto("/admin" + place)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
            expect(page.get_by_role("navigation", name="Admin")).to_be_visible()
