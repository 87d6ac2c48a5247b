"""Bad input at every door: a clear answer, or set aside and counted; nobody else notices."""

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser

from tests.conformance import packets as mqtt
from tests.conformance.client import Client, Wire
from tests.conformance.packets import Connack
from tests.gateway_process import GatewayProcess, modules, wait_until

from .bystander import ID as BYSTANDER
from .bystander import Bystander, approved, bystander, device

IDENTIFIER, CREDENTIALS = 2, 4
REFUSED = 0x80
WEATHER = 8
NEVER = b'{"temperature": 1}'
CONNECT = mqtt.connect("nonce-malformed")
MALFORMED = {
    "first packet is no CONNECT": mqtt.PING,
    "second CONNECT": CONNECT + CONNECT,
    "reserved packet type": CONNECT + b"\xf0\x00",
    "length of five bytes": CONNECT + b"\x30\xff\xff\xff\xff\x01",
    "QoS 3": CONNECT + b"\x36\x05\x00\x01a\x00\x01",
    "packet id 0": CONNECT + mqtt.publish("gw/1/register/nonce-malformed", b"{}", qos=1, id=0),
    "wildcard in a topic": CONNECT + mqtt.publish("gw/1/+/up/telemetry", b"{}"),
    "NUL in a topic": CONNECT + mqtt.publish("gw/1/\0/up/telemetry", b"{}"),
    "topic is no UTF-8": CONNECT + mqtt.publish(b"gw/\xff\xfe", b"{}"),
    "no filter in a SUBSCRIBE": CONNECT + mqtt.packet(mqtt.SUBSCRIBE, b"\x00\x01"),
    "flags of a SUBSCRIBE": CONNECT + mqtt.subscribe(1, ("a", 0), flags=0),
    "no MQTT at all": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "oversize CONNECT": b"\x10\xff\xff\x7f",
    "oversize PUBLISH": CONNECT + b"\x30\xff\xff\x7f",
}
DEEP = {"a": {"a": {"a": {"a": {"a": 1}}}}}
UNFIT = {
    "invalid JSON": b'{"temperature": ',
    "no JSON": b"\xff\x00\x80",
    "NaN": b'{"temperature": NaN}',
    "Infinity": b'{"temperature": Infinity}',
    "beyond any number": b'{"temperature": 1e999}',
    "unknown key": b'{"colour": 3}',
    "wrong kind": b'{"temperature": "warm"}',
    "out of bounds": b'{"temperature": 1000}',
    "too deep": json.dumps(DEEP).encode(),
    "deep beyond reason": b'{"temperature": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "too many keys": json.dumps({f"k{number}": 1 for number in range(65)}).encode(),
    "no name for a key": json.dumps({"<b>": 1, "a b": 2, "": 3}).encode(),
    "a number": b"17",
    "a batch of nonsense": b'[1, "x", null, {"ts": "now", "values": {"temperature": 1}}]',
    "a batch without end": json.dumps([{"temperature": 1}] * 1001).encode(),
    "nothing": b"",
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("bad")) as running:
        yield running


@pytest.fixture(scope="module")
def api(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.api() as client:
        yield client


@pytest.fixture(scope="module")
def other(gateway: GatewayProcess, api: httpx.Client, browser: Browser) -> Iterator[Bystander]:
    with bystander(gateway, api, browser) as one:
        yield one
    printed = "\n".join(gateway.lines)
    assert "Traceback" not in printed and "[error" not in printed


@pytest.fixture(autouse=True)
def nobody_else_notices(other: Bystander) -> Iterator[None]:
    yield
    other.goes_on()


@pytest.fixture(scope="module")
def weather(gateway: GatewayProcess, api: httpx.Client) -> str:
    return approved(api, "WEATHER", WEATHER)


def code(gateway: GatewayProcess, *words: object, **more: object) -> int:
    with Wire(gateway.mqtt_port) as wire:
        wire.send(mqtt.connect(*words, **more))
        answer = wire.read()
    assert isinstance(answer, Connack)
    return answer.code


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_packets_end_their_connection(gateway: GatewayProcess, name: str) -> None:
    began_s = time.monotonic()
    with Wire(gateway.mqtt_port) as wire:
        wire.send(MALFORMED[name])
        wire.read_all()
    assert time.monotonic() - began_s < 8, "it ended, but only because nothing more came"


def test_no_connect_within_ten_seconds(gateway: GatewayProcess) -> None:
    began_s = time.monotonic()
    with Wire(gateway.mqtt_port) as silent, Wire(gateway.mqtt_port) as slow:
        slow.send(CONNECT[:-4])
        silent.read_all()
        slow.read_all()
    assert 9 <= time.monotonic() - began_s <= 14


def test_wrong_credentials(gateway: GatewayProcess, weather: str) -> None:
    """The same answer whether the name exists or not."""
    token = weather.encode()
    assert code(gateway, "WEATHER", user="WEATHER", password=b"wrong") == CREDENTIALS
    assert code(gateway, "NOBODY", user="NOBODY", password=b"wrong") == CREDENTIALS
    assert code(gateway, "WEATHER", user="WEATHER", password=b"") == CREDENTIALS
    assert code(gateway, "WEATHER", user="WEATHER") == CREDENTIALS
    assert code(gateway, "NOBODY", user="NOBODY", password=token) == CREDENTIALS
    assert code(gateway, BYSTANDER, user="WEATHER", password=token) == IDENTIFIER
    assert code(gateway, BYSTANDER, user=BYSTANDER, password=token) == CREDENTIALS
    assert code(gateway, "short") != 0
    assert code(gateway, BYSTANDER) == 0, "a nonce may look like anything"


def test_outside_ones_rights(gateway: GatewayProcess, api: httpx.Client, weather: str) -> None:
    """MQTT 3.1.1 knows no refusal of a publish: it is acknowledged and goes nowhere."""
    before = api.get(f"/modules/{BYSTANDER}").json()["telemetry"]
    with device(gateway, "WEATHER", weather) as thief:
        for topic in (f"gw/1/{BYSTANDER}/up/telemetry", f"gw/1/{BYSTANDER}/down/command", "$SYS/x", "x"):
            thief.publish(topic, b'{"count": -1}', qos=1, retain=True)
        wanted = ("#", "+/#", "$SYS/#", "$CONTROL/#", f"gw/1/{BYSTANDER}/down/#", "gw/1/+/down/#", "gw/1/#",
                  "gw/1/WEATHER/up/#", "gw/1/+/out/#", "gw/1/register/+")  # fmt: skip
        assert set(thief.subscribe(*wanted)) == {REFUSED}
        assert thief.subscribe("gw/1/WEATHER/down/#") == (0,)
        thief.ping()
        assert not thief.messages
    assert api.get(f"/modules/{BYSTANDER}").json()["telemetry"] == before


def test_a_stranger_may_only_enrol(gateway: GatewayProcess, api: httpx.Client) -> None:
    with Client(gateway.mqtt_port, "nonce-stranger") as stranger:
        stranger.publish(f"gw/1/{BYSTANDER}/up/telemetry", b'{"count": -1}', qos=1)
        stranger.publish("gw/1/register/nonce-somebody", b'{"type": 7, "serial": "FORGED"}', qos=1)
        assert set(stranger.subscribe("gw/1/register/nonce-somebody/reply", "gw/1/#", "#")) == {REFUSED}
    assert api.get("/modules/FORGED").status_code == 404


@pytest.mark.parametrize("name", UNFIT)
def test_unfit_readings_are_set_aside_and_counted(
    gateway: GatewayProcess, api: httpx.Client, weather: str, name: str
) -> None:
    before = api.get("/stats").json()["telemetry_set_aside"]
    with device(gateway, "WEATHER", weather) as module:
        module.publish("gw/1/WEATHER/up/telemetry", UNFIT[name], qos=1)
        module.ping()
        module.disconnect()
    seen = api.get("/modules/WEATHER").json()
    assert seen["telemetry"] == {}
    assert api.get("/stats").json()["telemetry_set_aside"] > before


def enrol(gateway: GatewayProcess, nonce: str, payload: bytes, **more) -> dict:
    with Client(gateway.mqtt_port, nonce) as newcomer:
        newcomer.subscribe((f"gw/1/register/{nonce}/reply", 1))
        newcomer.publish(f"gw/1/register/{nonce}", payload, qos=1, **more)
        return json.loads(newcomer.one().payload)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"{}", b'{"type": 99}', b'{"type": "seven"}', b'{"type": -1}',
     b'{"type": 7, "serial": 5}',
     b'{"type": 7, "serial": "' + b"x" * 300 + b'"}', b'{"type": 7, "x": "' + b"x" * 9000 + b'"}',
     b'{"type": 7, "information": ' + b"[" * 4000 + b"]" * 4000 + b"}"],
)  # fmt: skip
def test_bad_registrations_get_a_sentence(gateway: GatewayProcess, payload: bytes) -> None:
    answer = enrol(gateway, "nonce-bad-registration", payload)
    assert answer["status"] == "refused" and len(answer["message"]) > 10 and answer["retry_after"] > 0


@pytest.mark.parametrize(
    "body", ["{", "[]", "{}", '{"type": 99}', '{"type": "x"}', '{"type": 7, "serial": {}}']
)
def test_bad_registrations_over_http(gateway: GatewayProcess, body: str) -> None:
    answer = httpx.post(
        gateway.url + "/modules/register", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert len(answer.json()["errors"][0]["error_description"]) > 10


@pytest.mark.parametrize(
    ("body", "status"),
    [({"command": "explode"}, 400), ({"command": ""}, 400), ({}, 400), ({"command": "set"}, 400),
     ({"command": "set", "params": {"values": 3}}, 400), ({"command": "set", "params": {"x": 3}}, 400),
     ({"command": "set", "params": {"values": {}}, "expires_in": -1}, 400), ({"comand": "set"}, 400)],
)  # fmt: skip
def test_bad_commands_get_a_sentence(api: httpx.Client, body: dict, status: int) -> None:
    answer = api.post(f"/modules/{BYSTANDER}/commands", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10
    assert api.get(f"/modules/{BYSTANDER}/commands").json()["items"] == []


def test_bad_calls(api: httpx.Client) -> None:
    json_type = {"content-type": "application/json"}
    for content in ("{", '{"name": NaN}', "[" * 100_000, '"x"', "\x00"):
        answer = api.patch(f"/modules/{BYSTANDER}", content=content, headers=json_type)
        assert answer.status_code == 400 and len(answer.json()["detail"]) > 10
    assert api.post("/auth/login", content="x" * 3_000_000, headers=json_type).status_code == 413
    assert api.get("/modules/NOBODY").status_code == 404
    assert api.get("/modules", params={"cursor": "nonsense"}).status_code == 400


def flood(gateway: GatewayProcess, address: str, count: int) -> list[httpx.Response]:
    """Registrations from one address of this machine."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as http:
        where = gateway.url + "/modules/register"
        return [http.post(where, json={"type": 7, "serial": f"FLOOD-{number}"}) for number in range(count)]


def test_register_floods(gateway: GatewayProcess, api: httpx.Client) -> None:
    answers = flood(gateway, "127.0.0.9", 90)
    last = answers[-1]
    assert last.status_code == 429 and int(last.headers["Retry-After"]) > 0
    assert last.json()["errors"][0]["error"] == "too_many_requests"
    waiting = modules(api, status="pending")
    assert 30 <= len([one for one in waiting if one["id"].startswith("FLOOD-")]) < 90
    enrolled = enrol(gateway, "nonce-after-flood", b'{"type": 7, "serial": "PATIENT"}')
    assert enrolled["status"] == "pending", "one address's flood keeps another out"
    with socket.create_connection(("127.0.0.1", gateway.mqtt_port), source_address=("127.0.0.9", 0)) as sock:
        wire = Wire(gateway.mqtt_port)
        wire.sock = sock
        topic = "gw/1/register/nonce-flooding"
        wire.send(mqtt.connect("nonce-flooding"), mqtt.subscribe(1, (topic + "/reply", 0)))
        wire.send(mqtt.publish(topic, b'{"type": 7}'))
        assert isinstance(wire.read(), Connack) and isinstance(wire.read(), mqtt.Suback)
        answer = json.loads(wire.read().payload)
    assert answer["status"] == "refused" and answer["retry_after"] > 0
    for module in modules(api, status="pending"):
        assert api.delete(f"/modules/{module['id']}").status_code == 204


def test_full_waiting_room(tmp_path_factory: pytest.TempPathFactory) -> None:
    with GatewayProcess(tmp_path_factory.mktemp("full"), pending_max=3) as small:
        answers = flood(small, "127.0.0.9", 4)
        assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
        assert enrol(small, "nonce-full", b'{"type": 7}')["status"] == "full"
        wait_until(small.answers, "the gateway")
