"""What devices and programs may do by plain HTTP: register, and the instance dialect's two acts."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .world import CLIENTS, TOKEN, World, open_world

PATHS = ["/modules/register", "/modules"]


@pytest.fixture
def http(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.url, timeout=20) as client:
        yield client


# POST /modules/register


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [{"json": {"type": 0}}, {"json": {"type": "0"}}, {"data": {"type": "0"}}, {"data": {"type": 0}}]
)
def test_a_device_gets_a_token(world: World, http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    reply = http.post(path, **body)
    assert reply.status_code == 200
    assert set(reply.json()) == {"token", "id"}
    assert TOKEN.fullmatch(reply.json()["token"])
    module = world.module(reply.json()["id"])
    assert (module["status"], module["type"]) == ("pending", 0)


@pytest.mark.parametrize("path", PATHS)
def test_serial_and_information_are_kept(world: World, http: httpx.Client, path: str) -> None:
    serial = world.serial()
    said = {"type": 100, "serial": serial, "information": {"name": "Door", "location": "Hall"}}
    assert http.post(path, json=said).json()["id"] == serial
    module = world.module(serial)
    assert (module["name"], module["location"]) == ("Door", "Hall")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [{"json": {}}, {"data": {}}, {"json": {"serial": "X"}}, {"json": {"type": None}}]
)
def test_the_type_is_required(http: httpx.Client, path: str, body: dict[str, Any]) -> None:
    reply = http.post(path, **body)
    assert reply.status_code == 400
    expected = {"error": "validation_failed", "error_description": "Module type is required"}
    assert reply.json() == {"errors": [expected]}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'{"type":[]}', b'{"type":"x"}', b'{"type":-1}', b"\xff"]
)
def test_bad_bodies_are_refused_in_one_form(http: httpx.Client, body: bytes) -> None:
    reply = http.post("/modules/register", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 400
    (error,) = reply.json()["errors"]
    assert error["error"] == "validation_failed" and error["error_description"]


def test_a_known_serial_is_answered_as_an_unknown_one(world: World, http: httpx.Client) -> None:
    id, token = world.approved()
    before = world.module(id)
    known = http.post("/modules/register", json={"type": 100, "serial": id})
    unknown = http.post("/modules/register", json={"type": 100, "serial": world.serial()})
    for reply in (known, unknown):
        assert (reply.status_code, set(reply.json())) == (200, {"token", "id"})
        assert TOKEN.fullmatch(reply.json()["token"])
    assert known.json()["token"] != token
    assert world.module(id) == before
    with CLIENTS["python"](world.url) as line:
        line.say("module.register", {"token": token})
        assert line.hear("module.register").data["status"] == 2


# The instance dialect


@pytest.mark.parametrize("who", ["client", "node"])
def test_registered_by_http_one_logs_in_by_socket(world: World, http: httpx.Client, who: str) -> None:
    asked = {"action": "register", "parameters": {"information": {"name": "Pad", "location": "Hall"}}}
    reply = http.put(f"/{who}/to/instance", json=asked)
    assert reply.status_code == 200, reply.text
    granted = reply.json()
    assert TOKEN.fullmatch(granted["token"]) and granted["id"]
    if who == "node":
        assert world.module(str(granted["id"]))["status"] == "pending"
        world.approve(str(granted["id"]))
    with CLIENTS["python"](world.url) as line:
        line.say(f"{who}.to.instance", {"action": "login", "parameters": {"token": granted["token"]}})
        told = line.hear(f"instance.to.{who}").data
        assert told["action"] == "logged", told
        assert told["parameters"]["queue"] == []
        assert told["parameters"]["information"]["name"] == "Pad"


@pytest.mark.parametrize("who", ["client", "node"])
def test_information_is_updated_by_http(world: World, http: httpx.Client, who: str) -> None:
    asked = {"action": "register", "parameters": {"information": {"name": "Pad"}}}
    granted = http.put(f"/{who}/to/instance", json=asked).json()
    if who == "node":
        world.approve(str(granted["id"]))
    change = {"token": granted["token"], "information": {"name": "Tablet"}}
    reply = http.post(f"/{who}/to/instance", json={"action": "update", "parameters": change})
    assert (reply.status_code, reply.json()) == (200, {})
    with CLIENTS["python"](world.url) as line:
        line.say(f"{who}.to.instance", {"action": "login", "parameters": {"token": granted["token"]}})
        told = line.hear(f"instance.to.{who}").data
        assert told["parameters"]["information"]["name"] == "Tablet"


@pytest.mark.parametrize("who", ["client", "node"])
@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("PUT", {"action": "register"}, 400),
        ("PUT", {"action": "register", "parameters": {}}, 400),
        ("PUT", {"action": "register", "parameters": {"information": "x"}}, 400),
        ("PUT", {"action": "register", "parameters": {"information": {"name": "x" * 5000}}}, 400),
        ("PUT", {"action": "explode", "parameters": {}}, 400),
        ("PUT", {"parameters": {"information": {}}}, 400),
        ("PUT", [], 400),
        ("POST", {"action": "update", "parameters": {"information": {"name": "x"}}}, 401),
        ("POST", {"action": "update", "parameters": {"token": "", "information": {"name": "x"}}}, 401),
        ("POST", {"action": "update", "parameters": {"token": None, "information": {"name": "x"}}}, 401),
        ("POST", {"action": "update", "parameters": {"token": "x" * 43, "information": {"name": "x"}}}, 401),
    ],
)
def test_bad_asks_are_answered_in_the_dialect(
    http: httpx.Client, who: str, method: str, body: Any, status: int
) -> None:
    reply = http.request(method, f"/{who}/to/instance", json=body)
    assert reply.status_code == status, reply.text
    assert set(reply.json()) == {"action", "msg"} and reply.json()["msg"]


# Who may come at all


def test_a_closed_door_is_closed_for_all(world: World, http: httpx.Client, tmp_path: Any) -> None:
    _, token = world.register()
    world.call("PUT", "/join", json={"mode": "closed"})
    try:
        for path in PATHS:
            reply = http.post(path, json={"type": 100})
            assert (reply.status_code, reply.json()["errors"][0]["error"]) == (403, "access_denied")
        for who in ("client", "node"):
            asked = {"action": "register", "parameters": {"information": {"name": "x"}}}
            reply = http.put(f"/{who}/to/instance", json=asked)
            assert (reply.status_code, reply.json()["action"]) == (403, "register")
            with CLIENTS["python"](world.url) as line:
                line.say(f"{who}.to.instance", asked)
                told = line.hear(f"instance.to.{who}").data
                assert (told["action"], told["parameters"]["action"]) == ("error", "register")
                assert told["parameters"]["msg"]
        # Who waits already goes on waiting.
        with CLIENTS["python"](world.url) as line:
            line.say("module.register", {"token": token})
            assert line.hear("module.error").data["error"] == "MODULE_IS_PENDING"
    finally:
        world.call("PUT", "/join", json={"mode": "open"})


def test_too_many_from_one_address_are_slowed_down(tmp_path: Any) -> None:
    with open_world(tmp_path, rate_limits="on") as world:
        for put in (
            lambda: httpx.post(world.url + "/modules/register", json={"type": 100}),
            lambda: httpx.put(
                world.url + "/client/to/instance",
                json={"action": "register", "parameters": {"information": {"name": "x"}}},
            ),
        ):
            replies = [put() for _ in range(120)]
            (slowed,) = {reply.status_code for reply in replies} - {200}
            assert slowed == 429
            refused = next(reply for reply in replies if reply.status_code == 429)
            assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["action"] == "register" and refused.json()["msg"]
        login_is_throttled(world)


def login_is_throttled(world: World) -> None:
    """On one socket, and then for the address on another one; the answer stays the same sentence."""
    for _ in range(2):
        with CLIENTS["python"](world.url) as line:
            for _ in range(40):
                line.say("client.to.instance", {"action": "login", "parameters": {"token": "x" * 43}})
            told = [line.hear("instance.to.client").data for _ in range(40)]
            assert {one["action"] for one in told} == {"loginFailed"}
            assert len({one["parameters"]["msg"] for one in told}) > 1, "never slowed down"


def test_the_waiting_room_is_bounded(tmp_path: Any) -> None:
    with open_world(tmp_path, pending_max=2) as world:
        for _ in range(2):
            world.register()
        reply = httpx.post(world.url + "/modules/register", json={"type": 100})
        assert (reply.status_code, reply.json()["errors"][0]["error"]) == (403, "access_denied")
        asked = {"action": "register", "parameters": {"information": {"name": "x"}}}
        reply = httpx.put(world.url + "/node/to/instance", json=asked)
        assert (reply.status_code, reply.json()["action"]) == (403, "register")
