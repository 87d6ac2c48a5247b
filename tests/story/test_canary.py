"""X6: no secret that anybody uses is ever printed, written into the audit trail, or kept as it is."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.gateway_process import GatewayProcess

from .bystander import device
from .people import printed_link

PASSWORD = "canary-password-of-anna"
NEW_PASSWORD = "canary-password-of-anna-2"
OTHERS_PASSWORD = "canary-password-of-berta"
GUESSES = [f"canary-guess-{number}-" for number in range(12)]
QUERY = "canary-in-a-query"
SHARED_KEY = "canary-shared-key"
HALF = '{"type": 7, "shared_key": "x", "password": "'


class Secrets:
    """Everything that must stay between the gateway and its owner."""

    def __init__(self) -> None:
        self.unprinted: set[str] = set()
        self.known = {PASSWORD, NEW_PASSWORD, OTHERS_PASSWORD, SHARED_KEY, QUERY, *GUESSES}

    def add(self, *secrets: str) -> None:
        assert all(len(secret) > 20 for secret in secrets)
        self.known.update(secrets)

    def within(self, text: str) -> list[str]:
        return [secret for secret in self.known if secret in text]


def form_token(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page).group(1)


def people_come(gateway: GatewayProcess, link: str, secrets: Secrets) -> dict:
    """The first admin by the form, his browser, his program; and guesses at each door."""
    with httpx.Client(base_url=gateway.url, timeout=30) as browser:
        browser.get("/setup", params={"secret": GUESSES[0]})
        page = browser.get(link).text
        words = {"csrf": form_token(page), "secret": link.split("secret=")[1], "username": "anna"}
        browser.post("/setup", data=words | {"password": PASSWORD, "again": GUESSES[1]})
        assert browser.post("/setup", data=words | {"password": PASSWORD, "again": PASSWORD}).is_redirect
        secrets.add(*browser.cookies.values())
        csrf = form_token(browser.get("/account").text)
        # The one secret that is kept as it is: worth nothing without the cookie, and needed for every form.
        secrets.unprinted.add(csrf)
        change = {"csrf": csrf, "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        browser.post("/account/password", data=change | {"current": GUESSES[2]})
        assert browser.post("/account/password", data=change | {"current": PASSWORD}).is_redirect
        berta = {"csrf": csrf, "username": "berta", "role": "user", "password": OTHERS_PASSWORD}
        assert browser.post("/admin/users", data=berta).is_redirect
        browser.get("/login", params={"next": "/modules?password=" + QUERY, "password": QUERY})
    api = gateway.url + "/api/v1"
    login = {"username": "anna", "password": NEW_PASSWORD}
    tokens = httpx.post(api + "/auth/login", json=login).json()
    httpx.post(api + "/auth/login", json=login | {"password": GUESSES[3]})
    httpx.post(api + "/auth/login", content=HALF + GUESSES[4])
    httpx.post(api + "/auth/refresh", json={"refresh_token": GUESSES[5]})
    httpx.get(api + "/modules", headers={"Authorization": "Bearer " + GUESSES[6]})
    httpx.get(api + "/modules", auth=(GUESSES[7], GUESSES[7]))
    httpx.get(api + "/modules", params={"token": QUERY})
    httpx.get(gateway.url + "/socket.io/", params={"EIO": "4", "transport": "polling", "token": QUERY})
    again = httpx.post(api + "/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    secrets.add(*(pair[name] for pair in (tokens, again) for name in ("access_token", "refresh_token")))
    return again


def devices_come(gateway: GatewayProcess, access_token: str, secrets: Secrets) -> None:
    headers = {"Authorization": "Bearer " + access_token}
    with httpx.Client(base_url=gateway.url + "/api/v1", headers=headers, timeout=30) as api:
        token = enrol(gateway)
        api.post("/modules/LAMP/approve").raise_for_status()
        new = api.post("/modules/LAMP/rotate-token").json()["token"]
        service = api.post("/service-accounts", json={"name": "reader", "role": "reader"}).json()["token"]
        secrets.add(token, new, service)
        for secret in (token, new):
            with device(gateway, "LAMP", secret, clean=False) as module:
                module.subscribe(("gw/1/LAMP/down/#", 1))
                module.publish("gw/1/LAMP/up/telemetry", b'{"level": 1}', qos=1)
        with device(gateway, "reader", service) as program:
            program.ping()
        api.get("/modules", auth=("reader", service)).raise_for_status()
    tries = {"LAMP": GUESSES[8], "nobody": GUESSES[9]}
    tries |= {"anna": NEW_PASSWORD, "reader": token, "KEYED": service}
    for user, word in tries.items():
        with Wire(gateway.mqtt_port) as wire:
            wire.send(mqtt.connect(user, user=user, password=word.encode()))
            wire.read_all()
    keyed = {"type": 7, "serial": "KEYED", "shared_key": SHARED_KEY, "information": {"name": "x"}}
    httpx.post(gateway.url + "/modules/register", json=keyed)
    httpx.post(gateway.url + "/modules/register", content=HALF + GUESSES[10])


def enrol(gateway: GatewayProcess) -> str:
    with Client(gateway.mqtt_port, "nonce-canary") as newcomer:
        newcomer.subscribe(("gw/1/register/nonce-canary/reply", 1))
        newcomer.publish("gw/1/register/nonce-canary", b'{"type": 7, "serial": "LAMP"}', qos=1)
        return json.loads(newcomer.one().payload)["token"]


def audit_trail(gateway: GatewayProcess, access_token: str) -> str:
    found, cursor = [], {}
    headers = {"Authorization": "Bearer " + access_token}
    with httpx.Client(base_url=gateway.url + "/api/v1", headers=headers, timeout=30) as api:
        while True:
            page = api.get("/audit", params={"limit": 100} | cursor).json()
            found += page["items"]
            if not page["next"]:
                return json.dumps(found)
            cursor = {"cursor": page["next"]}


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_x6_no_secret_leaves_its_place(tmp_path: Path, log_format: str) -> None:
    secrets = Secrets()
    with GatewayProcess(tmp_path, log_format=log_format) as gateway:
        link = printed_link(gateway)
        setup_secret = link.split("secret=")[1]
        tokens = people_come(gateway, link, secrets)
        devices_come(gateway, tokens["access_token"], secrets)
        trail = audit_trail(gateway, tokens["access_token"])
        first_life = list(gateway.lines)
        gateway.kill9()
        gateway.start()
        gateway.stop()
        printed = "\n".join([*first_life, *gateway.lines])
        assert len(json.loads(trail)) > 8
        secrets.add(*secrets.unprinted, setup_secret)
        assert secrets.within(trail) == []
        assert secrets.within(printed) == [setup_secret]
        assert printed.count(setup_secret) == 1
        kept = {path: path.read_bytes() for path in gateway.data.rglob("*") if path.is_file()}
        for path, content in kept.items():
            assert set(secrets.within(content.decode("latin-1"))) <= secrets.unprinted, path
        key = (gateway.data / "secret.key").read_text().strip()
        assert key not in printed
        assert (gateway.data / "secret.key").stat().st_mode & 0o077 == 0
