"""The whole story: a technician, a real browser, the real gateway, three boards under real MicroPython."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from firmware.bundles import make_bundle
from tests.device.test_updates_end_to_end import IDS, house, sends
from tests.device.updating import program

from .chromium import staying, watched
from .people import log_in

PASSWORD = "correct horse battery"
# Big enough that its way over MQTT can be watched.
NOISE = 1_500_000
CONFIRMED_MS = 120_000


def bundle(folder: Path) -> Path:
    path = folder / "probe.tar"
    path.write_bytes(
        make_bundle({"main.py": program(2).encode(), "noise.bin": os.urandom(NOISE)}, "probe", "2")
    )
    return path


@pytest.mark.timeout(400)
def test_a_technician_updates_three_real_boards(tmp_path: Path, browser: Browser) -> None:
    # No address that boards can reach, so the image goes over MQTT, in the boards' own time.
    with house(tmp_path, IDS, public_url="http://127.0.0.1:9", probation=3) as (api, boards):
        person = {"username": "tina", "password": PASSWORD, "role": "technician"}
        api.post("/users", json=person).raise_for_status()
        url = str(api.base_url).partition("/api/")[0]
        with watched(browser, url) as page:
            log_in(page, "tina", PASSWORD)
            uploads(page, bundle(tmp_path))
            assigns(page)
            watches(page)
        for id, board in zip(IDS, boards, strict=True):
            sends(api, id, 2)
            board.kept_slot("b")
            assert api.get(f"/modules/{id}").json()["current_firmware"] == "probe-2"


def uploads(page: Page, file: Path) -> None:
    page.get_by_role("link", name="Firmware", exact=True).click()
    page.get_by_label("Serial", exact=True).fill("probe-2")
    page.get_by_label("Version", exact=True).fill("2")
    page.get_by_label("For modules of type").select_option(label="Generic")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("[data-notice]")).to_contain_text("probe-2 is in the catalogue")
    page.locator("[data-notice]").get_by_role("link").click()


def assigns(page: Page) -> None:
    with staying(page):
        for id in IDS:
            page.get_by_role("checkbox", name=id).check()
        page.get_by_role("button", name="Assign to those chosen").click()
        expect(page.locator("[data-notice]")).to_contain_text("assigned to MP-1, MP-2, MP-3")
    page.locator(".crumb").click()


def watches(page: Page) -> None:
    """Bars that grow, and then nothing left to be done, without the page being loaded again."""
    with staying(page):
        expect(page.locator("#updates progress").first).to_be_visible()
        expect(page.locator("#updates")).to_contain_text("Installing", timeout=CONFIRMED_MS)
        expect(page.locator("#updates")).to_contain_text("No module is being updated.", timeout=CONFIRMED_MS)
    page.goto("/modules/MP-1")
    expect(page.locator("#firmware .ledger")).to_contain_text("Confirmed")
    page.goto("/firmware")
    expect(page.locator("#catalogue")).to_contain_text("runs on 3")
