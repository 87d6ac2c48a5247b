"""Somebody who only wants to go on: a module with its session, and a browser with that module's page open."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Browser, Page, expect

from tests.conformance.client import Client
from tests.gateway_process import ADMIN, GatewayProcess

from .chromium import staying, watched
from .people import log_in, value

ID = "BYSTANDER"


class Bystander:
    """`goes_on()`: on the same connection a reading leaves, and on the same page it appears."""

    def __init__(self, device: Client, page: Page) -> None:
        self._device = device
        self._page = page
        self._number = 0

    def goes_on(self) -> None:
        self._number += 1
        self._device.publish(f"gw/1/{ID}/up/telemetry", json.dumps({"count": self._number}).encode(), qos=1)
        expect(value(self._page, "count")).to_have_text(str(self._number))
        assert not self._device.messages, "somebody spoke to the bystander"


def approved(api: httpx.Client, id: str, type: int = 7) -> str:
    """Register and approve a module; its token."""
    base = str(api.base_url).split("/api")[0]
    answer = api.post(base + "/modules/register", json={"type": type, "serial": id})
    assert answer.status_code == 200, answer.text
    api.post(f"/modules/{id}/approve").raise_for_status()
    return answer.json()["token"]


def device(gateway: GatewayProcess, id: str, token: str, **more) -> Client:
    return Client(gateway.mqtt_port, id, user=id, password=token.encode(), **more)


@contextmanager
def bystander(gateway: GatewayProcess, api: httpx.Client, browser: Browser) -> Iterator[Bystander]:
    token = approved(api, ID)
    with device(gateway, ID, token) as module, watched(browser, gateway.url) as page:
        module.subscribe((f"gw/1/{ID}/down/#", 1))
        module.publish(f"gw/1/{ID}/up/telemetry", b'{"count": 0}', qos=1)
        log_in(page, ADMIN, gateway.password)
        page.goto(f"/modules/{ID}")
        expect(value(page, "count")).to_have_text("0")
        with staying(page):
            yield Bystander(module, page)
