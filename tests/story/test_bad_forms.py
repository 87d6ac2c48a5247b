"""Forms that are not ours, forms filled in wrongly, and script in everything a device may say."""

import json
import re
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conformance.client import Client
from tests.gateway_process import ADMIN, GatewayProcess

from .bystander import Bystander, approved, bystander, device
from .chromium import staying, watched
from .people import log_in, send_values, value

HOSTILE = '"><img src=x onerror="window.owned=1;alert(1)"><script>window.owned=1</script>\'${7*7}{{7*7}}'
SHORT = "<svg onload=alert(1)>"
TYPED = "what somebody typed"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("forms")) as running:
        yield running


@pytest.fixture(scope="module")
def api(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.api() as client:
        yield client


@pytest.fixture(scope="module")
def other(gateway: GatewayProcess, api: httpx.Client, browser: Browser) -> Iterator[Bystander]:
    with bystander(gateway, api, browser) as one:
        yield one
    assert not any("Traceback" in line or "[error" in line for line in gateway.lines)


@pytest.fixture(autouse=True)
def nobody_else_notices(other: Bystander) -> Iterator[None]:
    yield
    other.goes_on()


@pytest.fixture(scope="module")
def lamp(gateway: GatewayProcess, api: httpx.Client) -> str:
    """A module's token; it has said something, so that its page is complete."""
    token = approved(api, "LAMP")
    with device(gateway, "LAMP", token) as module:
        module.publish("gw/1/LAMP/up/telemetry", b'{"level": 1}', qos=1)
        module.disconnect()
    return token


def form_token(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page).group(1)


@pytest.fixture
def forms(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    """A browser that is logged in, as far as forms are concerned."""
    with closing(httpx.Client(base_url=gateway.url, timeout=30)) as client:
        token = form_token(client.get("/login").text)
        words = {"csrf": token, "username": ADMIN, "password": gateway.password}
        assert client.post("/login", data=words).status_code == 303
        yield client


FORMS = [
    ("/login", {"username": TYPED, "password": "canary-password", "next": "/"}, TYPED),
    ("/waiting/decide", {"reason": TYPED, "decision": "reject", "id": "LAMP"}, TYPED),
    ("/modules/LAMP/edit", {"name": TYPED, "location": "x"}, TYPED),
    ("/modules/LAMP/commands/set", {"values": TYPED}, TYPED),
    ("/modules/LAMP/delete", {"confirm": "yes"}, ""),
    ("/modules/LAMP/revoke", {"confirm": "yes"}, ""),
    ("/modules/LAMP/rotate-token", {}, ""),
    ("/admin/users", {"username": TYPED, "password": "canary-password", "role": "admin"}, TYPED),
    ("/admin/services", {"name": TYPED, "role": "controller"}, TYPED),
    ("/account/password", {"current": "canary-password", "new": "x" * 12, "again": "x" * 12}, ""),
    ("/account/logout-everywhere", {}, ""),
    ("/join", {"mode": "closed", "back": "/"}, ""),
    ("/logout", {}, ""),
]


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize(("path", "words", "kept"), FORMS)
def test_forms_without_their_token_do_nothing(
    forms: httpx.Client, api: httpx.Client, lamp: str, path: str, words: dict, kept: str, token: str
) -> None:
    before = api.get("/audit").json()["items"][0]["number"]
    if path == "/login":
        forms.cookies.clear()
    answer = forms.post(path, data=words | ({"csrf": token} if token else {}))
    assert answer.status_code == 403
    assert "canary-password" not in answer.text
    assert kept in answer.text, "what was typed is lost"
    assert api.get("/audit").json()["items"][0]["number"] == before
    assert api.get("/modules/LAMP").json()["name"] == ""


def test_calls_from_other_sites_do_nothing(forms: httpx.Client, lamp: str) -> None:
    token = form_token(forms.get("/modules/LAMP").text)
    words = {"csrf": token, "name": "stolen"}
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert forms.post("/modules/LAMP/edit", data=words, headers=header).status_code == 403
    assert forms.patch("/api/v1/modules/LAMP", json={"name": "stolen"}).status_code == 403
    assert forms.get("/api/v1/modules/LAMP").json()["name"] == ""


@pytest.mark.parametrize("javascript", [True, False])
def test_what_was_typed_stays(gateway: GatewayProcess, browser: Browser, lamp: str, javascript: bool) -> None:
    context = browser.new_context(base_url=gateway.url, java_script_enabled=javascript)
    with closing(context):
        page = context.new_page()
        log_in(page, ADMIN, gateway.password)
        page.goto("/modules/LAMP")
        field = page.locator("textarea[name=values]")
        field.fill('{"half":')
        page.get_by_label("Name").fill("a name not saved yet")
        page.get_by_role("button", name="Send Set values").click()
        expect(page.locator("[data-notice].bad")).to_contain_text("Values")
        expect(field).to_have_value('{"half":')
        if javascript:
            expect(page.get_by_label("Name")).to_have_value("a name not saved yet")
        page.goto("/admin/people")
        page.get_by_label("User name").fill(ADMIN)
        page.get_by_label("First password").fill("long enough, but the name is taken")
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("[data-notice].bad")).to_be_visible()
        expect(page.get_by_label("User name")).to_have_value(ADMIN)


def wrong_token(page: Page) -> None:
    """The page is out of date: its forms carry a token of another session."""
    page.evaluate("document.querySelectorAll('input[name=csrf]').forEach(field => field.value = 'stale')")


def test_an_outdated_page_keeps_what_was_typed(gateway: GatewayProcess, browser: Browser, lamp: str) -> None:
    context = browser.new_context(base_url=gateway.url)
    with closing(context):
        page = context.new_page()
        log_in(page, ADMIN, gateway.password)
        page.goto("/modules/LAMP")
        wrong_token(page)
        page.get_by_label("Place").fill(TYPED)
        with staying(page):
            page.get_by_role("button", name="Save").click()
            expect(page.locator("[data-notice].bad")).to_contain_text("out of date")
            expect(page.get_by_label("Place")).to_have_value(TYPED)
            page.get_by_role("button", name="Save").click()
            expect(page.locator("[data-notice].good, [data-notice]:not(.bad)")).to_contain_text("Saved.")


def harmless(page: Page) -> None:
    assert page.evaluate("window.owned") is None
    assert page.locator("[onerror], [onload], main script, main svg svg").count() == 0


def enrol(gateway: GatewayProcess, serial: str) -> dict:
    application = {
        "type": 7, "serial": serial, "hardware": HOSTILE[:100],
        "firmware": {"serial": HOSTILE, "digest": HOSTILE},
        "information": {"name": HOSTILE, "location": HOSTILE, "more": {HOSTILE: HOSTILE}},
    }  # fmt: skip
    nonce = f"nonce-{serial}"
    with Client(gateway.mqtt_port, nonce) as newcomer:
        newcomer.subscribe((f"gw/1/register/{nonce}/reply", 1))
        newcomer.publish(f"gw/1/register/{nonce}", json.dumps(application).encode(), qos=1)
        return json.loads(newcomer.one().payload)


def test_x9_script_in_whatever_a_device_says(
    gateway: GatewayProcess, api: httpx.Client, browser: Browser, lamp: str
) -> None:
    with watched(browser, gateway.url) as page:
        log_in(page, ADMIN, gateway.password)
        page.goto("/waiting")
        with staying(page):
            token = enrol(gateway, "HOSTILE")["token"]
            enrol(gateway, "LAMP")
            expect(page.locator("main")).to_contain_text("asks again without its token")
            expect(page.locator('.candidate[data-row="HOSTILE"]')).to_contain_text(HOSTILE)
            harmless(page)
        api.post("/modules/HOSTILE/approve").raise_for_status()
        with device(gateway, "HOSTILE", token) as module:
            module.subscribe(("gw/1/HOSTILE/down/#", 1))
            speak(page, module)
        for path in ("/", "/modules", "/modules?q=" + SHORT, "/waiting", "/admin", "/account", "/api/docs"):
            page.goto(path)
            expect(page.locator("main")).to_be_visible()
            harmless(page)


def speak(page: Page, module: Client) -> None:
    """Values and answers full of script, live and after a reload."""
    page.goto("/modules/HOSTILE")
    values = {"text": HOSTILE, "object": {"inner": HOSTILE}, "list": [SHORT], "level": 1}
    with staying(page):
        module.publish("gw/1/HOSTILE/up/telemetry", json.dumps(values).encode(), qos=1)
        expect(value(page, "text")).to_have_text(HOSTILE)
        module.publish("gw/1/HOSTILE/up/telemetry", json.dumps({"text": SHORT}).encode(), qos=1)
        expect(value(page, "text")).to_have_text(SHORT)
        send_values(page, {"x": HOSTILE})
        sent = next(json.loads(m.payload) for m in iter(module.one, None) if m.topic.endswith("/command"))
        reply = {"id": sent["id"], "status": "failed", "error": HOSTILE, "result": {HOSTILE: HOSTILE}}
        module.publish("gw/1/HOSTILE/up/reply", json.dumps(reply).encode(), qos=1)
        expect(page.locator("#commands")).to_contain_text(HOSTILE)
        module.publish("gw/1/HOSTILE/up/event/" + SHORT, b"{}", qos=1)
        module.publish("gw/1/HOSTILE/up/log/info", HOSTILE.encode(), qos=1)
        module.ping()
        harmless(page)
    page.reload()
    expect(value(page, "text")).to_have_text(SHORT)
    harmless(page)


def test_keys_named_like_javascripts_own(
    gateway: GatewayProcess, api: httpx.Client, browser: Browser, lamp: str
) -> None:
    token = approved(api, "ODD")
    with device(gateway, "ODD", token) as module, watched(browser, gateway.url) as page:
        log_in(page, ADMIN, gateway.password)
        odd = {"constructor": 1, "__proto__": 2, "toString": {"valueOf": 3}, "text": "first"}
        module.publish("gw/1/ODD/up/telemetry", json.dumps(odd).encode(), qos=1)
        page.goto("/modules/ODD")
        expect(value(page, "text")).to_have_text("first")
        with staying(page):
            module.publish("gw/1/ODD/up/telemetry", b'{"text": "second"}', qos=1)
            expect(value(page, "text")).to_have_text("second")
            expect(value(page, "constructor")).to_have_text("1")
            module.publish("gw/1/ODD/up/telemetry", b'{"constructor": 5, "__proto__": 6}', qos=1)
            expect(value(page, "constructor")).to_have_text("5")
            expect(value(page, "__proto__")).to_have_text("6")
