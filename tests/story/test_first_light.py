"""First light: from the printed link to a reading on the open page and a command back, with real tools."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, Page, expect

from tests.gateway_process import GatewayProcess

from .chromium import staying, watched
from .mosquitto import Listener, TakenOver, identity, publish
from .people import approve, candidate, printed_link, send_values, set_up, value

ID, NONCE = "MC-0001-GEN", "nonce-12345678"
NAME = 'probe <b>x</b><img src=x onerror="window.owned=1;alert(1)"><script>window.owned=1</script>'
PASSWORD = "correct horse battery"
ROOM = f"gw/1/{ID}"
PATIENCE_S = 30


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as running:
        yield running


def enrol(port: int) -> dict:
    """As the README says it: one program listens for the answer, another asks."""
    application = json.dumps({"type": 7, "serial": ID, "information": {"name": NAME}})
    with Listener(port, "-i", NONCE, "-t", f"gw/1/register/{NONCE}/reply") as replies:
        try:
            publish(port, "-i", NONCE, "-t", f"gw/1/register/{NONCE}", "-m", application, "-q", "1")
        except TakenOver:
            return enrol(port)
        reply = json.loads(replies.wait_for('"token"').split(" ", 1)[1])
    assert reply["status"] == "pending" and reply["id"] == ID
    return reply


def report(port: int, me: list[str], **values: object) -> None:
    publish(port, *me, "-t", f"{ROOM}/up/telemetry", "-m", json.dumps(values), "-q", "1")


def shows_name_as_text(page: Page) -> None:
    expect(page.locator("main")).to_contain_text(NAME)
    assert page.locator("main img[onerror], main script, main h1 b, main label b").count() == 0


def nothing_ran(page: Page) -> None:
    assert page.evaluate("window.owned") is None


def test_first_light(gateway: GatewayProcess, browser: Browser) -> None:
    port = gateway.mqtt_port
    with watched(browser, gateway.url) as page:
        set_up(page, printed_link(gateway), "anna", PASSWORD)
        page.goto("/waiting")
        expect(page.locator("main")).to_contain_text("Nobody is waiting.")
        with staying(page):
            me = identity(ID, enrol(port)["token"])
            expect(candidate(page, ID)).to_be_visible()
            shows_name_as_text(page)
        with Listener(port, *me, "-t", f"{ROOM}/down/registered") as registered, staying(page):
            approve(page, ID)
            told = json.loads(registered.wait_for('"online"').split(" ", 1)[1])
        assert told["id"] == ID and told["type"] == 7 and told["commands"] == ["set"]
        nothing_ran(page)
        live_reading(page, port, me)
        command_arrives(page, port, me)


def live_reading(page: Page, port: int, me: list[str]) -> None:
    report(port, me, temperature=21.5, lamp={"on": True})
    page.goto(f"/modules/{ID}")
    shows_name_as_text(page)
    expect(value(page, "temperature")).to_have_text("21.5")
    expect(page.locator("[data-plot] canvas")).to_be_visible()
    with staying(page):
        report(port, me, temperature=22.25)
        expect(value(page, "temperature")).to_have_text("22.25")
        report(port, me, humidity=48)
        expect(value(page, "humidity")).to_have_text("48")
    nothing_ran(page)


def command_arrives(page: Page, port: int, me: list[str]) -> None:
    with Listener(port, *me, "-t", f"{ROOM}/down/#", "-q", "1") as commands, staying(page):
        send_values(page, {"lamp": {"on": False}})
        sent = json.loads(commands.wait_for(f"{ROOM}/down/command", '"set"').split(" ", 1)[1])
    assert sent["params"] == {"values": {"lamp": {"on": False}}}
    done = json.dumps({"id": sent["id"], "status": "done"})
    with staying(page):
        publish(port, *me, "-t", f"{ROOM}/up/reply", "-m", done, "-q", "1")
        expect(page.locator('#commands .pill[data-status="done"]')).to_be_visible()


def test_first_light_without_scripts(gateway: GatewayProcess, browser: Browser) -> None:
    """Forms alone carry the whole story; what changes is seen on the next load."""
    port = gateway.mqtt_port
    with watched(browser, gateway.url, javascript=False) as page:
        set_up(page, printed_link(gateway), "anna", PASSWORD)
        me = identity(ID, enrol(port)["token"])
        page.goto("/waiting")
        shows_name_as_text(page)
        with Listener(port, *me, "-t", f"{ROOM}/down/registered") as registered:
            approve(page, ID)
            registered.wait_for('"online"')
        report(port, me, temperature=21.5)
        page.goto(f"/modules/{ID}")
        shows_name_as_text(page)
        expect(value(page, "temperature")).to_have_text("21.5")
        expect(page.locator("[data-plot-table]")).to_contain_text("21.5")
        with Listener(port, *me, "-t", f"{ROOM}/down/#", "-q", "1") as commands:
            send_values(page, {"lamp": 1})
            sent = json.loads(commands.wait_for("/down/command").split(" ", 1)[1])
        assert sent["params"] == {"values": {"lamp": 1}}
        publish(port, *me, "-t", f"{ROOM}/up/reply", "-m", json.dumps({"id": sent["id"], "status": "done"}))
        report(port, me, temperature=23)
        page.reload()
        expect(value(page, "temperature")).to_have_text("23")
        expect(page.locator('#commands .pill[data-status="done"]')).to_be_visible()


def test_set_up_link_works_once(gateway: GatewayProcess, browser: Browser) -> None:
    link = printed_link(gateway)
    with watched(browser, gateway.url) as page:
        set_up(page, link, "anna", PASSWORD)
    context = browser.new_context()
    try:
        stranger = context.new_page()
        answer = stranger.goto(link)
        assert answer is not None and answer.status == 410
        expect(stranger.get_by_role("heading", name="This link is used up")).to_be_visible()
    finally:
        context.close()
    gateway.restart()
    assert not any("secret=" in line for line in gateway.lines)


class WebSocketDevice:
    """paho over `/mqtt` on the HTTP port."""

    def __init__(self, port: int, id: str, token: str) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=id, transport="websockets")
        self.client.ws_set_options(path="/mqtt")
        self.client.username_pw_set(id, token)
        self.answered = threading.Event()
        self.code: int | None = None
        self.granted: list[int] | None = None
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.subscribed = threading.Event()
        self._port = port

    def _connected(self, client, userdata, flags, code, properties) -> None:
        self.code = code.value
        self.answered.set()
        if code.is_failure:
            client.disconnect()

    def _subscribed(self, client, userdata, mid, codes, properties) -> None:
        self.granted = [code.value for code in codes]
        self.subscribed.set()

    def __enter__(self) -> "WebSocketDevice":
        self.client.connect("127.0.0.1", self._port)
        self.client.loop_start()
        assert self.answered.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_mqtt_over_websocket_passes_the_same_door(gateway: GatewayProcess) -> None:
    with gateway.api() as api:
        token = enrol(gateway.mqtt_port)["token"]
        api.post(f"/modules/{ID}/approve").raise_for_status()
        with WebSocketDevice(gateway.http_port, ID, "wrong") as stranger:
            assert stranger.code != 0
        with WebSocketDevice(gateway.http_port, "somebody-else", token) as thief:
            assert thief.code != 0
        with WebSocketDevice(gateway.http_port, ID, token) as device:
            assert device.code == 0
            asked = [(f"{ROOM}/down/#", 1), ("gw/1/other/down/#", 1), ("#", 0), ("$SYS/#", 0)]
            device.client.subscribe(asked)
            assert device.subscribed.wait(PATIENCE_S)
            assert device.granted == [1, 128, 128, 128]
            sent = device.client.publish(f"{ROOM}/up/telemetry", json.dumps({"temperature": 5}), qos=1)
            sent.wait_for_publish(PATIENCE_S)
        assert api.get(f"/modules/{ID}").json()["telemetry"] == {"temperature": 5}
