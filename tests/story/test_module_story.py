"""A technician at one module's page: live news, two people at one setting, a session that ends meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conformance.client import Client
from tests.gateway_process import GatewayProcess

from .chromium import Watched, staying, watched
from .people import log_in

ID = "MC-0007-GEN"
PASSWORD = "correct horse battery"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as running:
        yield running


def move_in(gateway: GatewayProcess) -> str:
    """An approved module and a technician; returns the module's token."""
    with gateway.api() as api:
        answer = httpx.post(f"{gateway.url}/modules/register", json={"type": 7, "serial": ID})
        answer.raise_for_status()
        api.post(f"/modules/{ID}/approve").raise_for_status()
        person = {"username": "tom", "password": PASSWORD, "role": "technician"}
        api.post("/users", json=person).raise_for_status()
        return str(answer.json()["token"])


def say(gateway: GatewayProcess, token: str, *words: tuple[str, bytes]) -> None:
    with Client(gateway.mqtt_port, ID, user=ID, password=token.encode()) as device:
        for topic, payload in words:
            device.publish(f"gw/1/{ID}/up/{topic}", payload, qos=1)


@contextmanager
def watched_loosely(browser: Browser, url: str) -> Iterator[Page]:
    """A browser notes every refusal of the server as an error, and refusals are what is tested here."""
    watcher = Watched(browser, url)
    try:
        yield watcher.page
        assert [each for each in watcher.complaints if "Failed to load resource" not in each] == []
    finally:
        watcher.close()


def test_news_of_a_module_appear_while_its_page_is_open(gateway: GatewayProcess, browser: Browser) -> None:
    token = move_in(gateway)
    with watched(browser, gateway.url) as page:
        log_in(page, "tom", PASSWORD)
        page.goto(f"/modules/{ID}")
        expect(page.locator("#timeline")).to_contain_text("Approved")
        with staying(page):
            said = ("telemetry", b'{"temperature": 21.5}'), ("log/error", b"\x1b[1mno <b>sensor")
            say(gateway, token, *said)
            expect(page.locator('[data-key="temperature"]')).to_have_text("21.5")
            expect(page.locator("#log")).to_contain_text("␛[1mno <b>sensor")
            expect(page.locator("#timeline")).to_contain_text("Logged an error")
            expect(page.locator("#timeline")).to_contain_text("Offline")
            expect(page.locator("#presence")).to_contain_text("said hello")
            # It is gone again, so what it said is old.
            expect(page.locator("#values .old-mark")).to_have_count(1)
            with gateway.api() as api:
                wanted = {"version": 0, "values": {"interval": 30}}
                api.put(f"/modules/{ID}/desired", json=wanted).raise_for_status()
            expect(page.locator("#settings")).to_contain_text("Waiting")
            say(gateway, token, ("reported", b'{"version": 1, "values": {"interval": 30}}'))
            expect(page.locator("#settings")).to_contain_text("In step")


def test_the_second_at_a_setting_is_told_and_keeps_what_was_typed(
    gateway: GatewayProcess, browser: Browser
) -> None:
    move_in(gateway)
    with gateway.api() as api, watched_loosely(browser, gateway.url) as page:
        api.put(f"/modules/{ID}/desired", json={"version": 0, "values": {"interval": 30}}).raise_for_status()
        log_in(page, "tom", PASSWORD)
        page.goto(f"/modules/{ID}")
        page.get_by_text("Change interval").click()
        page.get_by_label("New value of interval").fill("99")
        api.put(f"/modules/{ID}/desired", json={"version": 1, "values": {"interval": 5}}).raise_for_status()
        page.locator("#settings").get_by_role("button", name="Set", exact=True).first.click()
        expect(page.locator("[data-notice]")).to_contain_text("set interval to 5 since you looked")
        expect(page.get_by_label("New value of interval")).to_have_value("99")
        page.locator("#settings").get_by_role("button", name="Set", exact=True).first.click()
        expect(page.locator("[data-notice]")).to_contain_text("interval: the module is told.")


def test_a_session_that_ends_in_the_middle_of_a_form_loses_nothing(
    gateway: GatewayProcess, browser: Browser
) -> None:
    """With scripts: the page stays with what was typed, and takes it once somebody has logged in again."""
    move_in(gateway)
    with watched_loosely(browser, gateway.url) as page:
        log_in(page, "tom", PASSWORD)
        page.goto(f"/modules/{ID}")
        name = page.locator("#about").get_by_label("Name")
        name.fill("Greenhouse")
        page.context.clear_cookies(name="passerelle_session")
        page.locator("#about").get_by_role("button", name="Save").click()
        expect(page.locator("[data-logged-out]")).to_contain_text("What you typed is still here")
        expect(name).to_have_value("Greenhouse")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Log in again").click()
        beside = opened.value
        beside.get_by_label("User name").fill("tom")
        beside.get_by_label("Password", exact=True).fill(PASSWORD)
        beside.get_by_role("button", name="Log in").click()
        expect(beside.get_by_role("heading", name="Dashboard")).to_be_visible()
        beside.close()
        page.locator("#about").get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Greenhouse", level=1)).to_be_visible()


def test_the_same_without_scripts(gateway: GatewayProcess, browser: Browser) -> None:
    move_in(gateway)
    with watched(browser, gateway.url, javascript=False) as page:
        log_in(page, "tom", PASSWORD)
        page.goto(f"/modules/{ID}")
        page.locator("#about").get_by_label("Name").fill("Greenhouse")
        page.locator("#about").get_by_label("Place").fill("Roof & <b>")
        page.context.clear_cookies(name="passerelle_session")
        page.locator("#about").get_by_role("button", name="Save").click()
        page.get_by_label("User name").fill("tom")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Send it again?")).to_be_visible()
        expect(page.locator("main")).to_contain_text("Roof & <b>")
        page.get_by_role("button", name="Send it").click()
        expect(page.get_by_role("heading", name="Greenhouse", level=1)).to_be_visible()


def test_at_a_phone_the_page_is_short_and_its_parts_open_by_keyboard(
    gateway: GatewayProcess, browser: Browser
) -> None:
    move_in(gateway)
    with watched(browser, gateway.url) as page:
        page.set_viewport_size({"width": 390, "height": 800})
        log_in(page, "tom", PASSWORD)
        page.goto(f"/modules/{ID}")
        expect(page.locator(".page-head .pill").first).to_be_in_viewport()
        expect(page.locator("#values")).to_be_in_viewport()
        folded = page.locator("#rights")
        expect(folded.locator(".fold-body")).to_be_hidden()
        folded.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(folded).to_contain_text(f"gw/1/{ID}/up/#")
        expect(folded.locator(".fold-body")).to_be_visible()
        page.get_by_role("link", name="Presence", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#presence .fold-body")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
