"""A technician updates three modules in a real browser, and what happens when an image is bad."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.gateway_process import GatewayProcess, wait_until

from .bystander import approved
from .chromium import staying, watched
from .people import log_in
from .updating import UpdatingDevice

PASSWORD = "correct horse battery"
IDS = ("PUMP-1", "PUMP-2", "PUMP-3")
NOTES = 'Better <b>valves</b><script>window.owned=1</script><img src=x onerror="window.owned=1">'
# Of no known kind: it must not begin as the image of a chip does.
IMAGE = b"pump" + os.urandom(699_996)
PROBATION_S = 2
# From what a module did to what the page shows, with room for a machine that is shared.
PROMPT_MS = 15_000


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path, probation=PROBATION_S, reconcile_every=1) as running:
        yield running


@pytest.fixture
def api(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.api() as client:
        person = {"username": "tom", "password": PASSWORD, "role": "technician"}
        client.post("/users", json=person).raise_for_status()
        yield client


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "pump.bin"
    path.write_bytes(IMAGE)
    return path


def devices(stack: ExitStack, gateway: GatewayProcess, api: httpx.Client, **how) -> list[UpdatingDevice]:
    tokens = {id: approved(api, id) for id in IDS}
    made = [UpdatingDevice(gateway.url, gateway.mqtt_port, id, tokens[id], **how) for id in IDS]
    return [stack.enter_context(device) for device in made]


def put(api: httpx.Client, serial: str, version: str, data: bytes) -> int:
    fields = {"serial": serial, "version": version, "type": "7"}
    answer = api.post("/firmware", data=fields, files={"file": ("image", data)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def slow_line(page: Page, bytes_per_s: int) -> None:
    line = {"offline": False, "latency": 5, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", line)


def upload(page: Page, serial: str, version: str, file: Path) -> None:
    page.get_by_label("Serial", exact=True).fill(serial)
    page.get_by_label("Version", exact=True).fill(version)
    page.get_by_label("For modules of type").select_option(label="Generic")
    page.get_by_text("More: notes, hardware, signature").click()
    page.get_by_label("Notes").fill(NOTES)
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload").click()


def values(bar: Locator) -> list[int]:
    """What the bar shows; nothing while it is not to be seen."""
    return bar.evaluate_all("bars => bars.filter((bar) => bar.checkVisibility()).map((bar) => bar.value)")


def watch_bar(bar: Locator, until: int, gone_is: int) -> list[int]:
    """The values a bar shows on its way; when that is over, it is gone, and not for a moment only."""
    seen: list[int] = []
    gone_s, deadline = 0.0, time.monotonic() + 120
    while (not seen or seen[-1] < until) and time.monotonic() < deadline:
        shown = values(bar)
        gone_s = 0.0 if shown else gone_s + 0.1
        seen += shown or ([gone_is] if gone_s > 3 else [])
        time.sleep(0.1)
    return seen


def row(page: Page, id: str) -> Locator:
    return page.locator("#updates tr").filter(has=page.locator(f'a[href^="/modules/{id}#"]'))


def test_three_modules_get_an_image(
    gateway: GatewayProcess, api: httpx.Client, browser: Browser, image: Path
) -> None:
    with ExitStack() as stack, watched(browser, gateway.url) as page:
        made = devices(stack, gateway, api, pause_s=0.3)
        log_in(page, "tom", PASSWORD)
        page.get_by_role("link", name="Firmware", exact=True).click()
        slow_line(page, 300_000)
        with staying(page):
            upload(page, "pump-2.0", "2.0", image)
            bar = page.locator("[data-upload-progress] progress")
            expect(page.locator('[data-upload-progress] [data-part="rate"]')).to_contain_text("/s")
            seen = watch_bar(bar, len(IMAGE), len(IMAGE))
            assert len(set(seen)) > 3 and seen == sorted(seen), seen
            expect(page.locator("[data-notice]")).to_contain_text("pump-2.0 is in the catalogue: 700.0 kB")
        expect(page.locator("#catalogue")).to_contain_text(NOTES)
        page.locator("[data-notice]").get_by_role("link").click()
        assign_to_all(page)
        bars_move_and_are_confirmed(page, api)
        assert [device.slot[0] for device in made] == ["pump-2.0"] * 3
        assert page.evaluate("window.owned") is None


def assign_to_all(page: Page) -> None:
    with staying(page):
        for id in IDS:
            page.get_by_role("checkbox", name=id).check()
        page.get_by_role("button", name="Assign to those chosen").click()
        expect(page.locator("[data-notice]")).to_contain_text("assigned to PUMP-1, PUMP-2, PUMP-3")
    page.locator(".crumb").click()


def bars_move_and_are_confirmed(page: Page, api: httpx.Client) -> None:
    bars = [row(page, id).locator("progress") for id in IDS]
    for bar in bars:
        expect(bar).to_be_visible(timeout=PROMPT_MS)
    with staying(page):
        seen = watch_bar(bars[0], len(IMAGE) // 3, len(IMAGE))
        assert len(set(seen)) > 2 and seen == sorted(seen), seen
        expect(row(page, "PUMP-1").locator('[data-part="rate"]')).to_contain_text("/s")
        expect(row(page, "PUMP-1").locator('[data-part="eta"]')).to_contain_text("left")
    (before,) = values(bars[0]) or [0]
    page.goto("/modules/PUMP-1")
    card = page.locator("#firmware")
    assert (values(card.locator("progress")) or [len(IMAGE)]) >= [before]
    with staying(page):
        expect(card.locator(".ledger")).to_contain_text("Confirmed", timeout=60_000)
        expect(card.locator(".facts")).to_contain_text("pump-2.0")
    steps = card.locator(".ledger li .pill").all_inner_texts()
    order = ["Assigned", "Offered", "Downloading", "Downloaded", "Verified", "Installing", "Confirmed"]
    assert list(dict.fromkeys(reversed(steps))) == order
    wait_until(lambda: states(api) == {"confirmed"}, "all three are confirmed")
    page.goto("/firmware")
    expect(page.locator("#catalogue")).to_contain_text("runs on 3")
    expect(page.locator("#updates")).to_contain_text("No module is being updated.")


def states(api: httpx.Client) -> set[str]:
    return {job["state"] for job in api.get("/firmware/jobs").json()["items"]}


def test_the_same_without_scripts(
    gateway: GatewayProcess, api: httpx.Client, browser: Browser, image: Path
) -> None:
    with ExitStack() as stack, watched(browser, gateway.url, javascript=False) as page:
        devices(stack, gateway, api)
        log_in(page, "tom", PASSWORD)
        page.goto("/firmware")
        upload(page, "pump-2.0", "2.0", image)
        expect(page.locator("[data-notice]")).to_contain_text("pump-2.0 is in the catalogue")
        page.locator("[data-notice]").get_by_role("link").click()
        for id in IDS:
            page.get_by_role("checkbox", name=id).check()
        page.get_by_role("button", name="Assign to those chosen").click()
        expect(page.locator("[data-notice]")).to_contain_text("assigned to PUMP-1, PUMP-2, PUMP-3")
        wait_until(lambda: states(api) == {"confirmed"}, "all three are confirmed")
        page.goto("/modules/PUMP-2")
        expect(page.locator("#firmware .ledger")).to_contain_text("Confirmed")


def test_a_bad_image_stops_its_rollout_and_is_taken_back(
    gateway: GatewayProcess, api: httpx.Client, browser: Browser
) -> None:
    good, bad = put(api, "pump-2.0", "2.0", IMAGE[:50_000]), put(api, "pump-2.1", "2.1", IMAGE[:60_000])
    with ExitStack() as stack, watched(browser, gateway.url) as page:
        made = devices(stack, gateway, api, bad="pump-2.1")
        for id in IDS:
            api.put(f"/modules/{id}/firmware", json={"firmware_id": good}).raise_for_status()
        wait_until(lambda: states(api) == {"confirmed"}, "all run the good one")
        log_in(page, "tom", PASSWORD)
        page.goto(f"/rollouts/new?firmware={bad}")
        page.get_by_text("First to a few that you know well").click()
        page.locator('input[name="canary"][value="PUMP-2"]').check()
        page.locator("#stop-count").fill("1")
        page.get_by_role("button", name="Start the rollout").click()
        expect(page.get_by_role("heading", name="pump-2.1 for Generic")).to_be_visible()
        with staying(page):
            expect(page.locator("main")).to_contain_text("Stopped.", timeout=60_000)
            expect(page.locator("main")).to_contain_text("did not reach the gateway")
            expect(page.locator(".waves")).to_contain_text("1 rolled back")
        page.goto("/")
        expect(page.locator("main")).to_contain_text("Needs you now")
        page.get_by_role("link", name="pump-2.1 for Generic").click()
        cancel(page)
        assert [device.slot[0] for device in made] == ["pump-2.0"] * 3
        (trail,) = [row for row in audit(api) if row["action"] == "rollout.cancel"]
        assert trail["who"] == "tom"


def cancel(page: Page) -> None:
    """What will happen is said before; without the tick nothing does."""
    card = page.get_by_role("region", name="What you can do")
    with staying(page):
        card.locator("summary", has_text="Cancel…").click()
        expect(card).to_contain_text("2 modules that wait never get pump-2.1")
        card.get_by_label("Cancel the rollout").check()
        card.get_by_role("button", name="Cancel the rollout").click()
        expect(page.locator("[data-notice]")).to_contain_text("Cancelled")
        expect(page.locator(".page-head .pill")).to_contain_text("Cancelled")


def audit(api: httpx.Client) -> list[dict]:
    answer = api.get("/audit", params={"limit": 100})
    answer.raise_for_status()
    return json.loads(answer.text)["items"]
