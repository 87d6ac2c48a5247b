"""The days of those who live in these pages, each with a mouse, by the keyboard alone and on a phone."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conformance.client import Client
from tests.gateway_process import ADMIN, GatewayProcess

from .bystander import approved, device
from .hands import WAYS, Mouse, using
from .people import candidate, printed_link, value
from .updating import UpdatingDevice

PASSWORD = "correct horse battery"
TYPE = 7
IMAGE = b"pump" + os.urandom(99_996)
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path, probation=1, reconcile_every=1) as running:
        yield running


def ask_to_join(gateway: GatewayProcess, *ids: str) -> dict[str, str]:
    """Devices that wait; their tokens, good for nothing until somebody approves them."""
    tokens = {}
    for id in ids:
        answer = httpx.post(f"{gateway.url}/modules/register", json={"type": TYPE, "serial": id})
        tokens[id] = answer.json()["token"]
    return tokens


def log_in(hand: Mouse, username: str, password: str) -> None:
    page = hand.page
    page.goto("/login")
    hand.fill(page.get_by_label("User name"), username)
    hand.fill(page.get_by_label("Password", exact=True), password)
    hand.press(page.get_by_role("button", name="Log in"))
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def said(page: Page) -> Locator:
    return page.locator("main > [data-notice]")


def people(gateway: GatewayProcess, *named: tuple[str, str]) -> None:
    with gateway.api() as api:
        for name, role in named:
            person = {"username": name, "password": PASSWORD, "role": role}
            api.post("/users", json=person).raise_for_status()


@every_way
def test_from_the_first_set_up_to_the_first_live_module(tmp_path: Path, browser: Browser, way: str) -> None:
    with GatewayProcess(tmp_path) as gateway, using(browser, gateway.url, way) as hand:
        page = hand.page
        page.goto(printed_link(gateway))
        hand.fill(page.get_by_label("User name"), "ada")
        hand.fill(page.get_by_label("Password", exact=True), PASSWORD)
        hand.fill(page.get_by_label("Password again"), PASSWORD)
        hand.press(page.get_by_role("button", name="Make the account"))
        expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
        token = ask_to_join(gateway, "PUMP-1")["PUMP-1"]
        hand.go("Waiting")
        hand.tick(candidate(page, "PUMP-1").get_by_role("checkbox"))
        hand.press(page.get_by_role("button", name="Approve chosen"))
        expect(said(page)).to_contain_text("Approved PUMP-1")
        hand.go("Modules")
        hand.press(page.get_by_role("link", name="PUMP-1"))
        with device(gateway, "PUMP-1", token) as module:
            publish(module, temperature=21.5)
            expect(value(page, "temperature")).to_have_text("21.5")
            publish(module, temperature=22)
            expect(value(page, "temperature")).to_have_text("22")


def publish(module: Client, **values: object) -> None:
    module.publish("gw/1/PUMP-1/up/telemetry", json.dumps(values).encode(), qos=1)


@every_way
def test_a_technicians_morning(gateway: GatewayProcess, browser: Browser, way: str) -> None:
    """Approve three, reject one, assign firmware to one of them, watch it arrive."""
    people(gateway, ("tom", "technician"))
    good = ("PUMP-1", "PUMP-2", "PUMP-3")
    tokens = ask_to_join(gateway, *good, "ODD-1")
    with gateway.api() as api:
        fields = {"serial": "pump-2.0", "version": "2.0", "type": str(TYPE)}
        api.post("/firmware", data=fields, files={"file": ("image", IMAGE)}).raise_for_status()
    with using(browser, gateway.url, way) as hand:
        page = hand.page
        log_in(hand, "tom", PASSWORD)
        hand.go("Waiting")
        for id in good:
            hand.tick(candidate(page, id).get_by_role("checkbox"))
        hand.press(page.get_by_role("button", name="Approve chosen"))
        expect(said(page)).to_contain_text("Approved")
        hand.tick(candidate(page, "ODD-1").get_by_role("checkbox"))
        hand.fill(page.get_by_label("Reason"), "Not ours")
        hand.press(page.get_by_role("button", name="Reject chosen"))
        expect(said(page)).to_contain_text("Rejected ODD-1")
        expect(page.get_by_text("Not ours")).to_be_visible()
        with UpdatingDevice(gateway.url, gateway.mqtt_port, "PUMP-1", tokens["PUMP-1"]) as board:
            hand.go("Firmware")
            hand.press(page.get_by_role("link", name="pump-2.0"))
            hand.tick(page.get_by_role("checkbox", name="PUMP-1"))
            hand.press(page.get_by_role("button", name="Assign to those chosen"))
            hand.go("Modules")
            hand.press(page.get_by_role("link", name="PUMP-1"))
            expect(page.locator("#firmware")).to_contain_text("Confirmed", ignore_case=True)
            assert board.slot[0] == "pump-2.0"


@every_way
def test_an_owner_sees_only_what_is_his(gateway: GatewayProcess, browser: Browser, way: str) -> None:
    people(gateway, ("lea", "user"))
    with gateway.api() as api:
        for id in ("PUMP-1", "PUMP-2"):
            approved(api, id)
        code = api.get("/modules/PUMP-1/claim-code").json()["code"]
    with using(browser, gateway.url, way) as hand:
        page = hand.page
        log_in(hand, "lea", PASSWORD)
        hand.go("Modules")
        expect(page.get_by_text("PUMP-", exact=False)).to_have_count(0)
        hand.go("Claim")
        hand.fill(page.get_by_label("Claim code"), code)
        hand.press(page.get_by_role("button", name="Claim"))
        expect(said(page)).to_contain_text("is yours now")
        hand.go("Modules")
        expect(page.get_by_role("link", name="PUMP-1")).to_be_visible()
        expect(page.get_by_role("link", name="PUMP-2")).to_have_count(0)
    with using(browser, gateway.url, way) as hand:
        log_in(hand, "lea", PASSWORD)
        answer = hand.page.request.get("/modules/PUMP-2")
        assert answer.status == 404
        assert hand.page.request.get("/waiting").status == 403


@every_way
def test_an_admin_finds_out_who_did_what(gateway: GatewayProcess, browser: Browser, way: str) -> None:
    people(gateway, ("tom", "technician"))
    ask_to_join(gateway, "PUMP-1")
    with httpx.Client(base_url=f"{gateway.url}/api/v1") as tom:
        login = tom.post("/auth/login", json={"username": "tom", "password": PASSWORD}).json()
        tom.headers["Authorization"] = f"Bearer {login['access_token']}"
        tom.post("/modules/PUMP-1/approve").raise_for_status()
        tom.patch("/modules/PUMP-1", json={"name": "Well pump"}).raise_for_status()
    with using(browser, gateway.url, way) as hand:
        page = hand.page
        log_in(hand, ADMIN, gateway.password)
        hand.go("Admin")
        hand.press(page.get_by_role("link", name="Audit", exact=True))
        hand.fill(page.get_by_role("textbox", name="Who"), "tom")
        hand.press(page.get_by_role("button", name="Find"))
        rows = page.locator("tbody tr")
        expect(rows.filter(has_text="module.edit")).to_contain_text("Well pump")
        expect(rows.filter(has_text="module.approve")).to_contain_text("tom")
        hand.press(page.get_by_role("button", name="Verify the chain"))
        expect(said(page)).to_contain_text("whole")
