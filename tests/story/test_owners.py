"""A module changes hands and the gateway goes into maintenance, on pages that are open meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway_process import GatewayProcess

from .chromium import staying, watched
from .people import log_in

ID = "MC-0007-GEN"
PASSWORD = "correct horse battery"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as running:
        yield running


def move_in(gateway: GatewayProcess, api: httpx.Client) -> None:
    """A module that is approved, a technician and a user."""
    httpx.post(f"{gateway.url}/modules/register", json={"type": 7, "serial": ID}).raise_for_status()
    api.post(f"/modules/{ID}/approve").raise_for_status()
    for name, role in (("tom", "technician"), ("lea", "user"), ("max", "user")):
        person = {"username": name, "password": PASSWORD, "role": role}
        api.post("/users", json=person).raise_for_status()


def claim(page: Page, code: str) -> None:
    page.get_by_role("link", name="Claim", exact=True).click()
    page.get_by_label("Claim code").fill(code.lower())
    page.get_by_role("button", name="Claim").click()
    expect(page.locator("[data-notice]")).to_contain_text("is yours now")
    expect(page.locator("#owner")).to_contain_text("This module is yours")


def hand_over(page: Page) -> str:
    page.get_by_text("Hand over").click()
    page.get_by_label(f"Give up {ID}").check()
    page.get_by_role("button", name="Give it up").click()
    expect(page.get_by_role("heading", name="Modules")).to_be_visible()
    return page.get_by_label("Claim code").inner_text()


def test_a_module_changes_hands(gateway: GatewayProcess, browser: Browser) -> None:
    with gateway.api() as api:
        move_in(gateway, api)
    with (
        watched(browser, gateway.url) as tom,
        watched(browser, gateway.url) as lea,
        watched(browser, gateway.url, javascript=False) as max_,
    ):
        for page, name in ((tom, "tom"), (lea, "lea"), (max_, "max")):
            log_in(page, name, PASSWORD)
        tom.goto(f"/modules/{ID}")
        card = tom.locator("#owner")
        first = card.get_by_label("Claim code").inner_text()
        with staying(tom):
            claim(lea, first)
            expect(card).to_contain_text("lea")
            expect(card.get_by_label("Claim code")).to_have_count(0)
            with staying(lea):
                second = hand_over(lea)
            assert second != first
            expect(card.get_by_label("Claim code")).to_have_text(second)
            claim(max_, second)
            expect(card).to_contain_text("max")
        third = hand_over(max_)
        assert third not in (first, second)
        max_.reload()
        expect(max_.locator("main")).not_to_contain_text(third)


def test_maintenance_is_seen_at_once(gateway: GatewayProcess, browser: Browser) -> None:
    with gateway.api() as api:
        move_in(gateway, api)
        with watched(browser, gateway.url) as lea, watched(browser, gateway.url) as admin:
            log_in(lea, "lea", PASSWORD)
            log_in(admin, "admin", gateway.password)
            lea.goto("/account")
            banner = lea.locator("#maintenance")
            expect(banner).to_be_hidden()
            # The stream is there once it has been told something: before that nobody would tell.
            lea.wait_for_function(
                "performance.getEntriesByName(location.origin + '/api/v1/maintenance').length"
            )
            admin.goto("/admin")
            admin.get_by_role("textbox", name="Reason").fill("A new <b>disk</b>.")
            admin.get_by_label("From now on only admins can log in").check()
            with staying(lea), staying(admin):
                admin.get_by_role("button", name="Turn maintenance on").click()
                expect(admin.locator("[data-notice]")).to_contain_text("only admins can log in")
                for page in (lea, admin):
                    expect(page.locator("#maintenance")).to_contain_text("A new <b>disk</b>.")
                admin.get_by_role("button", name="End maintenance").click()
                for page in (lea, admin):
                    expect(page.locator("#maintenance")).to_be_hidden()
