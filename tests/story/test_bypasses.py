"""X1, X2, X12, U8: the list of ways around the door, over TCP and over the websocket; none leads in."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as open_websocket

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.conformance.packets import Connack, Publish, Suback, Will
from tests.gateway_process import GatewayProcess, wait_until

from .bystander import approved, device

PATIENCE_S = 15
RECONNECTS = 200
REFUSED = 0x80


class Door(Protocol):
    def __call__(self, gateway: GatewayProcess, sent: bytes) -> list: ...


def by_tcp(gateway: GatewayProcess, sent: bytes) -> list:
    """All that the gateway answers until it closes, or has nothing more to say."""
    with Wire(gateway.mqtt_port) as wire:
        wire.send(sent)
        wire.finish()
        return wire.read_all()


def by_websocket(gateway: GatewayProcess, sent: bytes) -> list:
    heard = b""
    with open_websocket(f"ws://127.0.0.1:{gateway.http_port}/mqtt", subprotocols=["mqtt"]) as socket:
        try:
            socket.send(sent)
            socket.send(mqtt.BYE)
            while True:
                heard += socket.recv(PATIENCE_S)
        except ConnectionClosed:
            pass
    found = []
    while whole := mqtt.cut(heard):
        first, body, end = whole
        found.append(mqtt.read(first, body))
        heard = heard[end:]
    return found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("bypasses"), rate_limits="off") as running:
        yield running
    assert not any("Traceback" in line or "[error" in line for line in running.lines)


@pytest.fixture(scope="module")
def api(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.api() as client:
        yield client


@pytest.fixture(scope="module")
def tokens(gateway: GatewayProcess, api: httpx.Client) -> dict[str, bytes]:
    """A good module, and one that was revoked."""
    found = {id: approved(api, id).encode() for id in ("GOOD", "REVOKED", "VICTIM")}
    api.post("/modules/REVOKED/revoke").raise_for_status()
    return found


@pytest.fixture(params=[by_tcp, by_websocket])
def door(request: pytest.FixtureRequest) -> Door:
    return request.param


Words = Callable[[dict[str, bytes]], bytes]
CONNECTS: dict[str, Words] = {
    "no password": lambda t: mqtt.connect("GOOD", user="GOOD"),
    "empty password": lambda t: mqtt.connect("GOOD", user="GOOD", password=b""),
    "wrong password": lambda t: mqtt.connect("GOOD", user="GOOD", password=b"x" * 43),
    "a password that is no text": lambda t: mqtt.connect("GOOD", user="GOOD", password=b"\xff\xfe"),
    "half a password": lambda t: mqtt.connect("GOOD", user="GOOD", password=t["GOOD"][:20]),
    "NUL after the password": lambda t: mqtt.connect("GOOD", user="GOOD", password=t["GOOD"] + b"\0"),
    "empty user": lambda t: mqtt.connect("GOOD", user="", password=t["GOOD"]),
    "long user": lambda t: mqtt.connect("GOOD", user="x" * 5000, password=t["GOOD"]),
    "NUL in the user": lambda t: mqtt.connect("GOOD", user="GOOD\0", password=t["GOOD"]),
    "wildcard as user": lambda t: mqtt.connect("+", user="+", password=t["GOOD"]),
    "wildcard as id": lambda t: mqtt.connect("#", user="GOOD", password=t["GOOD"]),
    "a path as user": lambda t: mqtt.connect("GOOD", user="GOOD/../VICTIM", password=t["GOOD"]),
    "another's id": lambda t: mqtt.connect("VICTIM", user="GOOD", password=t["GOOD"]),
    "another's name": lambda t: mqtt.connect("VICTIM", user="VICTIM", password=t["GOOD"]),
    "other letters": lambda t: mqtt.connect("good", user="good", password=t["GOOD"]),
    "empty id": lambda t: mqtt.connect("", user="GOOD", password=t["GOOD"]),
    "the gateway's name": lambda t: mqtt.connect("gateway", user="gateway", password=b""),
    "an admin's name": lambda t: mqtt.connect("admin", user="admin", password=b"admin"),
    "a revoked module": lambda t: mqtt.connect("REVOKED", user="REVOKED", password=t["REVOKED"]),
    "nobody with a short id": lambda t: mqtt.connect("x"),
    "nobody with wildcards": lambda t: mqtt.connect("nonce-++++++"),
    "nobody with a slash": lambda t: mqtt.connect("nonce/12345678"),
    "password without a user": lambda t: mqtt.connect("GOOD", password=t["GOOD"], flags=0x42),
    "will on another's topic": lambda t: with_will(t, "gw/1/VICTIM/up/availability"),
    "will on a down topic": lambda t: with_will(t, "gw/1/GOOD/down/command"),
    "will on $SYS": lambda t: with_will(t, "$SYS/broker/version"),
    "will with a wildcard": lambda t: with_will(t, "gw/1/+/up/availability"),
    "a stranger's will": lambda t: mqtt.connect("nonce-12345678", will=Will("gw/1/VICTIM/up/availability")),
}


def with_will(tokens: dict[str, bytes], topic: str) -> bytes:
    return mqtt.connect("GOOD", user="GOOD", password=tokens["GOOD"], will=Will(topic, b"offline", 1, True))


@pytest.mark.parametrize("name", CONNECTS)
def test_x1_nobody_comes_in(
    gateway: GatewayProcess, tokens: dict[str, bytes], door: Door, name: str
) -> None:
    listen = mqtt.subscribe(1, ("gw/1/VICTIM/down/#", 1), ("#", 0))
    heard = door(gateway, CONNECTS[name](tokens) + listen)
    assert heard == [] or (len(heard) == 1 and isinstance(heard[0], Connack) and heard[0].code != 0)


def test_x1_the_right_credential_comes_in(
    gateway: GatewayProcess, tokens: dict[str, bytes], door: Door
) -> None:
    """So that the refusals above mean something. Whoever is in still hears and says only what is his."""
    listen = mqtt.subscribe(1, ("gw/1/GOOD/down/#", 1), ("gw/1/VICTIM/down/#", 1), ("$SYS/#", 0), ("#", 0))
    heard = door(gateway, mqtt.connect("GOOD", user="GOOD", password=tokens["GOOD"]) + listen)
    assert heard[:2] == [Connack(False, 0), Suback(1, (1, REFUSED, REFUSED, REFUSED))]
    assert not [packet for packet in heard[2:] if isinstance(packet, Publish)]


def test_x1_a_second_connect_ends_the_session(gateway: GatewayProcess, tokens: dict[str, bytes]) -> None:
    good = mqtt.connect("GOOD", user="GOOD", password=tokens["GOOD"])
    with Wire(gateway.mqtt_port) as wire:
        wire.send(good)
        assert wire.read() == Connack(False, 0)
        wire.send(mqtt.connect("VICTIM", user="VICTIM", password=tokens["VICTIM"]))
        assert wire.read_all() == []


def test_x1_a_wrong_password_leaves_the_right_session_alone(
    gateway: GatewayProcess, tokens: dict[str, bytes], door: Door
) -> None:
    with device(gateway, "VICTIM", tokens["VICTIM"].decode()) as victim:
        door(gateway, mqtt.connect("VICTIM", user="VICTIM", password=b"guess"))
        door(gateway, mqtt.connect("VICTIM"))
        victim.ping()


def test_x1_retained_messages_stay_with_those_who_may_read(
    gateway: GatewayProcess, tokens: dict[str, bytes]
) -> None:
    """`#` of an allowed subtree reaches what is retained there and nothing else."""
    with device(gateway, "VICTIM", tokens["VICTIM"].decode()) as victim:
        victim.publish("gw/1/VICTIM/up/telemetry", b'{"secret": 1}', qos=1, retain=True)
        victim.publish("gw/1/VICTIM/up/availability", b"online", qos=1, retain=True)
    with device(gateway, "GOOD", tokens["GOOD"].decode()) as thief:
        assert thief.subscribe("gw/1/+/up/#", "gw/1/VICTIM/#", "gw/1/GOOD/down/#") == (REFUSED, REFUSED, 0)
        thief.ping()
        assert not thief.messages


@pytest.mark.parametrize("path", ["/", "/modules", "/waiting", "/admin", "/account", "/modules/GOOD"])
def test_x1_pages_ask_to_log_in(gateway: GatewayProcess, path: str) -> None:
    answer = httpx.get(gateway.url + path, cookies={"passerelle_session": "guess"})
    assert answer.status_code == 303 and answer.headers["location"].startswith("/login")


@pytest.mark.parametrize("path", ["/modules", "/modules/GOOD", "/users", "/audit", "/settings", "/stats"])
def test_x1_calls_ask_to_log_in(gateway: GatewayProcess, tokens: dict[str, bytes], path: str) -> None:
    guesses = [("GOOD", tokens["GOOD"].decode()), ("admin", ""), ("", "")]
    forged = {"headers": {"Authorization": "Bearer x.y.z"}}
    for words in ({}, forged, *({"auth": guess} for guess in guesses)):
        answer = httpx.get(gateway.url + "/api/v1" + path, **words)
        assert answer.status_code == 401 and "WWW-Authenticate" in answer.headers, words


def test_x2_whoever_is_rejected_or_revoked_is_out(gateway: GatewayProcess, api: httpx.Client) -> None:
    for decision, id in (("reject", "UNWANTED"), ("revoke", "UNLOVED")):
        register = {"type": 7, "serial": id}
        token = httpx.post(gateway.url + "/modules/register", json=register).json()["token"]
        if decision == "revoke":
            api.post(f"/modules/{id}/approve").raise_for_status()
        with device(gateway, id, token) as module:
            module.subscribe((f"gw/1/{id}/down/registered", 1))
            api.post(f"/modules/{id}/{decision}", json={}).raise_for_status()
            began_s = time.monotonic()
            module.wait_closed()
            assert time.monotonic() - began_s < 5
            assert json.loads(module.messages[-1].payload) == {"status": decision.rstrip("e") + "ed"}
        with Wire(gateway.mqtt_port) as wire:
            wire.send(mqtt.connect(id, user=id, password=token.encode()))
            answer = wire.read()
            assert isinstance(answer, Connack) and answer.code != 0


def test_x2_a_pending_module_can_only_wait(gateway: GatewayProcess, api: httpx.Client) -> None:
    register = {"type": 7, "serial": "WAITING"}
    token = httpx.post(gateway.url + "/modules/register", json=register).json()["token"]
    with device(gateway, "WAITING", token) as module:
        wanted = ("gw/1/WAITING/down/registered", "gw/1/WAITING/down/#", "gw/1/WAITING/down/command")
        assert module.subscribe(*wanted) == (0, REFUSED, REFUSED)
        module.publish("gw/1/WAITING/up/telemetry", b'{"n": 1}', qos=1)
        module.publish("gw/1/WAITING/up/register", b"", qos=1)
        module.ping()
        assert not module.messages
        seen = api.get("/modules/WAITING").json()
        assert (seen["status"], seen["telemetry"]) == ("pending", {})
        command = {"command": "set", "params": {"values": {}}}
        assert api.post("/modules/WAITING/commands", json=command).status_code == 409


def test_u8_reconnects_cost_nothing(gateway: GatewayProcess, tokens: dict[str, bytes]) -> None:
    process = psutil.Process(gateway.pid)
    with device(gateway, "GOOD", tokens["GOOD"].decode()) as first:
        first.ping()
    before = process.num_fds()
    clients: list[Client] = []
    try:
        for _ in range(RECONNECTS):
            client = device(gateway, "GOOD", tokens["GOOD"].decode())
            clients.append(client)
            client.__enter__()
        wait_until(lambda: process.num_fds() <= before + 2, "the descriptors of those taken over")
        clients[-1].ping()
    finally:
        for client in clients:
            client.cut()
