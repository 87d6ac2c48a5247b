"""The history of a module and the form of a type in a real browser: zoom, keyboard, live values, rows."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway_process import ADMIN, GatewayProcess

from .chromium import staying, watched
from .people import log_in
from .test_module_story import ID, move_in, say

MINUTE_MS = 60_000


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as running:
        yield running


def span_ms(page: Page) -> float:
    query = page.locator('[data-plot-export="csv"]').get_attribute("href").split("?")[1]
    words = dict(word.split("=") for word in query.split("&"))
    return int(words["to"]) - int(words["from"])


def becomes(page: Page, true: str) -> None:
    """Until the span of the plot (ms) fits."""
    for _ in range(200):
        if eval(true, {"span": span_ms(page)}):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{span_ms(page)} ms never became {true}")


@pytest.mark.parametrize("how", [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}])
def test_moving_within_a_plot(gateway: GatewayProcess, browser: Browser, how: dict) -> None:
    token = move_in(gateway)
    now_ms = int(time.time() * 1000)
    batch = [
        {
            "ts": now_ms - n * MINUTE_MS,
            "values": {"temperature": 20 + n % 7, "humidity": 50 + n % 9, "on": n % 4 == 0},
        }
        for n in range(600)
        if not 100 < n < 160
    ]
    say(gateway, token, ("telemetry", json.dumps(batch).encode()))
    with watched(browser, gateway.url, **how) as page:
        log_in(page, "tom", "correct horse battery")
        page.goto(f"/modules/{ID}?key=temperature&range=6h")
        expect(page.locator("[data-plot] canvas")).to_be_visible()
        becomes(page, "span == 6 * 3600e3")
        with staying(page):
            page.get_by_role("checkbox", name="Humidity").check()
            page.get_by_role("checkbox", name="On", exact=True).check()
            expect(page.locator(".u-legend .u-series:not(.plot-hidden)")).to_have_count(4)
            page.get_by_role("button", name="Zoom in").click()
            becomes(page, "span == 3 * 3600e3")
            page.get_by_role("button", name="Earlier").click()
            expect(page.locator("[data-plot-span]")).not_to_contain_text("to now")
            plot = page.locator("[data-plot]")
            plot.focus()
            page.keyboard.press("-")
            becomes(page, "span == 6 * 3600e3")
            page.keyboard.press("0")
            expect(page.locator("[data-plot-span]")).to_contain_text("to now")
            over = page.locator(".u-over")
            over.scroll_into_view_if_needed()
            box = over.bounding_box()
            middle = box["y"] + box["height"] / 2
            page.mouse.move(box["x"] + box["width"] * 0.2, middle)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
            page.mouse.up()
            becomes(page, "2e3 * 3600 < span < 2.8e3 * 3600")
            page.locator("#plot-range").select_option("1h")
            becomes(page, "span == 3600e3")
            page.get_by_text("As a table").click()
            rows = page.locator("[data-plot-table] tbody tr")
            expect(rows.first).to_be_visible()
            say(gateway, token, ("telemetry", b'{"temperature": 99.5}'))
            expect(page.locator('[data-key="temperature"]')).to_have_text("99.5")
        # What is chosen is in the address, so it can be sent to somebody.
        assert "range=1h" in page.url and page.url.count("key=") == 3
        page.reload()
        expect(page.locator(".u-legend .u-series:not(.plot-hidden)")).to_have_count(4)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_free_range_without_scripts(gateway: GatewayProcess, browser: Browser) -> None:
    token = move_in(gateway)
    now_ms = int(time.time() * 1000)
    batch = [{"ts": now_ms - n * MINUTE_MS, "values": {"temperature": n}} for n in range(30)]
    say(gateway, token, ("telemetry", json.dumps(batch).encode()))
    with watched(browser, gateway.url, javascript=False) as page:
        log_in(page, "tom", "correct horse battery")
        page.goto(f"/modules/{ID}")
        begin, end = (time.strftime("%Y-%m-%dT%H:%M", time.gmtime(now_ms / 1000 - s)) for s in (1200, 600))
        page.locator("#plot-range").select_option("free")
        page.locator("#plot-from").fill(begin)
        page.locator("#plot-to").fill(end)
        page.locator("[data-plot-go]").click()
        rows = page.locator("[data-plot-table] tbody tr")
        assert 9 <= rows.count() <= 11
        page.locator("#plot-to").fill("2001-01-01T00:00")
        page.locator("[data-plot-go]").click()
        expect(page.locator("#plot")).to_contain_text("before the end")


@pytest.mark.parametrize("javascript", [True, False])
def test_a_type_row_by_row(gateway: GatewayProcess, browser: Browser, javascript: bool) -> None:
    gateway.add_admin()
    with watched(browser, gateway.url, javascript=javascript) as page:
        log_in(page, ADMIN, gateway.password)
        page.goto("/types/new")
        page.get_by_label("Name").first.fill("Pump")
        row = page.get_by_role("group", name="New key")
        row.get_by_label("Name").fill("flow")
        page.get_by_role("button", name="Add a key").click()
        expect(page.get_by_role("group", name="flow")).to_be_visible()
        page.get_by_role("group", name="New key").get_by_label("Name").fill("pressure")
        page.get_by_role("button", name="Add a command").click()
        page.get_by_role("group", name="New command").get_by_label("Name").fill("run")
        page.get_by_role("button", name="Declare the type").click()
        expect(page.locator("main > [data-notice]")).to_contain_text("Type Pump is declared.")
        expect(page.get_by_role("group", name="pressure")).to_be_visible()
        page.get_by_role("button", name="Remove pressure").click()
        expect(page.get_by_role("group", name="pressure")).to_have_count(0)
        page.get_by_role("button", name="Save the changes").click()
        expect(page.locator("main > [data-notice]")).to_contain_text("Type Pump is changed.")
        expect(page.get_by_role("group", name="flow")).to_be_visible()
