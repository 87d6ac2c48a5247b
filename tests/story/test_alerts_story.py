"""Alerts in a real browser: the bell moves by itself, and channels can be set up without scripts."""

from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.gateway.couriers.receivers import http_receiver
from tests.gateway_process import ADMIN, GatewayProcess, wait_until
from tests.story.chromium import Watched, chromium, watched
from tests.story.people import log_in


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def gateway(tmp_path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as process:
        process.add_admin()
        yield process


def register(gateway: GatewayProcess, serial: str) -> None:
    answer = httpx.post(f"{gateway.url}/modules/register", data={"type": 7, "serial": serial})
    assert answer.is_success, answer.text


def test_the_bell_tells_of_a_newcomer_and_forgets_what_was_seen(gateway, browser) -> None:
    with watched(browser, gateway.url) as page:
        log_in(page, ADMIN, gateway.password)
        bell = page.get_by_role("link", name="Notifications").first
        expect(page.locator("[data-unseen]")).to_be_hidden()
        register(gateway, "NEW-1")
        expect(page.locator("[data-unseen-count]")).to_have_text("1")
        expect(page.locator("#announce")).not_to_be_empty()
        bell.click()
        expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
        expect(page.get_by_text("NEW-1 asks to join and waits for approval.")).to_be_visible()
        # The page follows by itself.
        register(gateway, "NEW-2")
        expect(page.get_by_text("NEW-2 asks to join and waits for approval.")).to_be_visible()
        page.get_by_role("button", name="Mark all as seen").click()
        expect(page.locator("[data-unseen]")).to_be_hidden()
        expect(page.get_by_text("NEW-2 asks to join and waits for approval.")).to_be_visible()


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
def test_an_admin_sets_up_a_webhook_and_sees_its_test(gateway, browser, javascript) -> None:
    watcher = Watched(browser, gateway.url, javascript)
    with http_receiver() as receiver, closing(watcher):
        page = watcher.page
        log_in(page, ADMIN, gateway.password)
        page.goto("/admin/notifications")
        page.locator("#add-webhook").click()
        form = page.locator('form[action="/admin/notifications/webhook"]')
        form.get_by_label("Name of the channel").fill("Node-RED")
        form.get_by_label("Address").fill("ftp://wrong.test/")
        form.get_by_label("Device waits for approval").uncheck()
        form.get_by_role("button", name="Add").click()
        expect(page.locator("[data-notice]")).to_contain_text("http")
        # What was typed and ticked is still there.
        form = page.locator('form[action="/admin/notifications/webhook"]')
        expect(form.get_by_label("Name of the channel")).to_have_value("Node-RED")
        expect(form.get_by_label("Device waits for approval")).not_to_be_checked()
        form.get_by_label("Address").fill(f"{receiver.url}/hook")
        form.get_by_role("button", name="Add").click()
        expect(page.locator("[data-notice]")).to_contain_text("The channel Node-RED was added")
        receiver.secret = page.locator("[data-secret]").inner_text()
        page.get_by_role("button", name="Send a test").click()
        expect(page.locator("[data-notice]")).to_contain_text("was taken")
        wait_until(lambda: receiver.taken, "the test")
        assert receiver.taken[0]["event"] == "test"
        # The browser notes the form that was refused, and nothing else.
        assert [said for said in watcher.complaints if "status of 400" not in said] == []
