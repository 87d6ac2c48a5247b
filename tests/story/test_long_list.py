"""The list of many modules in a real browser: only rows in sight exist, and it is as if all did."""

import json
from collections.abc import Iterator

import httpx
import paho.mqtt.publish as mqtt
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.gateway_process import GatewayProcess, wait_until

from .chromium import staying, watched
from .people import log_in

MANY = 1200


class House:
    """A gateway with many modules of known names, and the tokens of all."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway
        rows = [f"M-{n:04d},7,Module {n},Hall {n % 3}" for n in range(MANY)]
        table = gateway.folder / "modules.csv"
        table.write_text("\n".join(["serial,type,name,group", *rows]))
        said = json.loads(gateway.command("module", "import", str(table), "--json"))
        self.tokens = {module["id"]: module["token"] for module in said}
        gateway.add_admin()

    def report(self, id: str, values: dict[str, object]) -> None:
        mqtt.single(
            f"gw/1/{id}/up/telemetry", json.dumps(values), qos=1, hostname="127.0.0.1",
            port=self.gateway.mqtt_port, client_id=id, auth={"username": id, "password": self.tokens[id]},
        )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with GatewayProcess(tmp_path_factory.mktemp("long"), rate_limits="off") as running:
        yield House(running)


def row(page: Page, id: str):
    return page.locator(f'tr[data-module="{id}"]')


def open_list(page: Page, house: House, query: str = "") -> None:
    log_in(page, "admin", house.gateway.password)
    page.goto(f"/modules{query}")
    expect(page.locator("tr[data-index]").first).to_be_visible()


def is_near(top: float | None) -> bool:
    """Rows are no whole number of pixels high."""
    return top is not None and abs(top - 900) < 5


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.closest('tr')?.dataset.module ?? ''")


def test_it_scrolls_to_the_end_by_wheel_and_by_keyboard(browser: Browser, house: House) -> None:
    with watched(browser, house.gateway.url) as page:
        open_list(page, house)
        assert page.locator("tr[data-index]").count() < 100
        expect(page.locator("table.modules")).to_have_attribute("aria-rowcount", str(MANY + 1))
        with staying(page):
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            expect(row(page, f"M-{MANY - 1:04d}")).to_be_visible()
            expect(row(page, "M-0000")).to_have_count(0)
            row(page, f"M-{MANY - 1:04d}").get_by_role("link").focus()
            wait_until(lambda: focused(page) == f"M-{MANY - 1:04d}", "the row that was chosen", 10)
            page.keyboard.press("Home")
            wait_until(lambda: focused(page) == "M-0000", "the first row", 20)
            page.keyboard.press("ArrowDown")
            wait_until(lambda: focused(page) == "M-0001", "the next row")
            page.keyboard.press("PageDown")
            wait_until(lambda: focused(page) > "M-0005", "a page further")
            page.keyboard.press("End")
            wait_until(lambda: focused(page) == f"M-{MANY - 1:04d}", "the last row")
            expect(row(page, f"M-{MANY - 1:04d}")).to_have_attribute("aria-rowindex", str(MANY + 1))


def test_search_filter_and_sort_stand_in_the_address_and_survive_leaving(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.gateway.url) as page:
        open_list(page, house)
        with staying(page):
            page.get_by_label("Search").fill("module 11")
            expect(page.locator("[data-refresh=modules-count]")).to_have_text("111 modules of 1200")
            page.get_by_role("link", name="Group").click()
            expect(page.locator("th[aria-sort]")).to_have_attribute("data-column", "group")
            page.get_by_role("link", name="Group").click()
            expect(page.locator("th[aria-sort=descending]")).to_have_attribute("data-column", "group")
            expect(page.locator("tr[data-index]").first).to_contain_text("Hall 2")
            page.get_by_label("Group").select_option("Hall 1")
            expect(page.locator("[data-refresh=modules-count]")).to_have_text("36 modules of 1200")
        assert page.url.endswith("/modules?q=module+11&group=Hall+1&sort=-group")
        page.evaluate("scrollTo(0, 900)")
        wait_until(lambda: is_near(page.evaluate("history.state?.top")), "the place is remembered")
        seen = page.locator("tr[data-index] a.title").nth(12)
        title = seen.inner_text()
        seen.click()
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        page.go_back()
        expect(page.get_by_role("link", name=title, exact=True)).to_be_visible()
        wait_until(lambda: is_near(page.evaluate("scrollY")), "the place it was left at")
        page.reload()
        expect(page.get_by_label("Search")).to_have_value("module 11")
        wait_until(lambda: is_near(page.evaluate("scrollY")), "the same place after a reload")


def test_a_choice_survives_scrolling_and_is_named_before_anything_is_done(
    browser: Browser, house: House
) -> None:
    with watched(browser, house.gateway.url) as page:
        open_list(page, house, "?q=module+9")
        row(page, "M-0009").get_by_role("checkbox").check()
        row(page, "M-0090").get_by_role("checkbox").check()
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(row(page, "M-0999")).to_be_visible()
        row(page, "M-0999").get_by_role("checkbox").check()
        page.evaluate("scrollTo(0, 0)")
        expect(row(page, "M-0009").get_by_role("checkbox")).to_be_checked()
        expect(page.locator("[data-chosen-count]")).to_have_text("3 chosen")
        page.get_by_label("What to do").select_option("group")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("heading", name="Set the group of 3 modules")).to_be_visible()
        for name in ("Module 9", "Module 90", "Module 999"):
            expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
        page.get_by_label("Group").fill("Tower")
        page.get_by_role("checkbox", name="Yes, do this to 3 modules").check()
        page.get_by_role("button", name="Set the group of 3 modules").click()
        expect(page.locator("[data-notice]")).to_have_text("Done: 3 modules.")
        page.get_by_role("link", name="Back to the list").click()
        expect(row(page, "M-0090")).to_contain_text("Tower")


def test_rows_in_sight_are_live_and_two_tabs_stay_equal(browser: Browser, house: House) -> None:
    with watched(browser, house.gateway.url) as page, watched(browser, house.gateway.url) as other:
        open_list(page, house)
        open_list(other, house)
        house.report("M-0003", {"temperature": 21.5})
        for tab in (page, other):
            expect(row(tab, "M-0003")).to_contain_text("21.5")
        page.evaluate("scrollTo(0, 30000)")
        expect(row(page, "M-0003")).to_have_count(0)
        house.report("M-0003", {"temperature": 22.5})
        expect(row(other, "M-0003")).to_contain_text("22.5")
        page.evaluate("scrollTo(0, 0)")
        expect(row(page, "M-0003")).to_contain_text("22.5")
        with house.gateway.api() as api:
            api.patch("/modules/M-0004", json={"name": "<i>Renamed</i>", "group": "Moved"}).raise_for_status()
            for tab in (page, other):
                expect(row(tab, "M-0004")).to_contain_text("<i>Renamed</i>")
                expect(row(tab, "M-0004")).to_contain_text("Moved")
            asked = {"type": 7, "serial": "A-1"}
            httpx.post(f"{house.gateway.url}/modules/register", json=asked).raise_for_status()
            for tab in (page, other):
                expect(row(tab, "A-1")).to_contain_text("Waiting")
                expect(tab.locator("[data-refresh=modules-count]")).to_have_text(f"{MANY + 1} modules")
            api.delete("/modules/A-1").raise_for_status()
        for tab in (page, other):
            expect(row(tab, "A-1")).to_have_count(0)
            expect(tab.locator("[data-refresh=modules-count]")).to_have_text(f"{MANY} modules")


def test_without_scripts_it_goes_page_by_page(browser: Browser, house: House) -> None:
    with watched(browser, house.gateway.url, javascript=False) as page:
        log_in(page, "admin", house.gateway.password)
        page.goto("/modules?q=module")
        expect(page.locator("tr[data-module]")).to_have_count(200)
        page.get_by_role("link", name="Next 200").click()
        expect(row(page, "M-0300")).to_be_visible()
        page.get_by_role("link", name="Module", exact=True).click()
        expect(page.locator("th[aria-sort=descending]")).to_have_attribute("data-column", "name")
        page.get_by_label("Search").fill("Module 77")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tr[data-module]")).to_have_count(11)
        page.get_by_role("checkbox", name="Choose Module 770").check()
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_text("It does not wait for approval.")).to_be_visible()
