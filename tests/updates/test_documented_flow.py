"""The registration and firmware flow of the origin (seeds/004), end to end, and the loop for what is due."""

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway_process import free_ports

from .device import Board, Firmware
from .world import BELL_TYPE, GENERIC, Updates, eventually, firmware_of, open_updates

CALM_S = 1.0  # three rounds of the loop


def devices(world: Updates, method: str, path: str, status: int, body: dict[str, Any], **more: Any) -> Any:
    """The document's paths, which stand beside `/api/v1`; by the admin's token unless told otherwise."""
    headers = more.pop("headers", {"Authorization": world.api.headers["Authorization"]})
    reply = httpx.request(method, world.url + path, json=body, headers=headers, timeout=20)
    assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
    return reply.json()


def entered(world: Updates, image: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    body = {"name": "A bell", "serial_number": world.serial("D"), "type_id": BELL_TYPE} | more
    if image is not None:
        body["assigned_firmware_id"] = image["id"]
    device = devices(world, "POST", "/devices", 201, body)
    world.secrets.add(device["shared_key"])
    return device


def registered(
    world: Updates, device: dict[str, Any], firmware: str = "", status: int = 200
) -> dict[str, Any]:
    body = {"device_serial": device["serial_number"], "shared_key": device["shared_key"]}
    if firmware:
        body["current_firmware_serial"] = firmware
    answer = devices(world, "POST", "/registration", status, body, headers={})
    if "token" in answer:
        world.secrets.add(answer["token"])
    return answer


def board_of(world: Updates, device: dict[str, Any], token: str, runs: Firmware) -> Board:
    board = Board(world.url, world.mqtt_port, device["id"], token, type=BELL_TYPE, runs=runs)
    world.boards.append(board)
    return board


def audit(world: Updates, device: dict[str, Any]) -> str:
    """What the trail tells of a module, newest first."""
    items = world.call("GET", "/audit", params={"limit": 100})["items"]
    return json.dumps([item for item in items if device["id"] in json.dumps(item)])


def current(world: Updates, device: dict[str, Any]) -> str | None:
    return world.module(device["id"])["current_firmware"]


def test_the_flow_over_mqtt(world: Updates) -> None:
    """Entered with an assignment, registered by its key, found by the loop, updated, confirmed."""
    old, new = world.image(), world.image()
    device = entered(world, new)
    assert world.module(device["id"])["status"] == "offline"
    answer = world.ask_in(
        type=BELL_TYPE, serial=device["serial_number"], shared_key=device["shared_key"],
        firmware={"serial": old["serial"], "digest": old["digest"]},
    )  # fmt: skip
    assert answer["status"] == "approved", answer
    eventually(lambda: current(world, device) == old["serial"], "the reported firmware is known")
    board = board_of(world, device, answer["token"], firmware_of(old))
    board.start()
    eventually(lambda: current(world, device) == new["serial"], "it runs what is assigned")
    (job,) = world.jobs(module=device["id"])
    world.until(job, "confirmed")
    assert (len(board.installs), board.jobs) == (1, [job["id"]])


def test_the_flow_over_http(world: Updates) -> None:
    old, new = world.image(), world.image()
    device = entered(world, new)
    answer = registered(world, device, old["serial"])
    assert answer["id"] == device["id"]
    eventually(lambda: current(world, device) == old["serial"], "the reported firmware is known")
    assert "firmware.current" in audit(world, device)
    board = board_of(world, device, answer["token"], firmware_of(old))
    board.start()
    eventually(lambda: current(world, device) == new["serial"], "it runs what is assigned")
    assert len(board.installs) == 1


def test_the_shared_key_is_shown_once(world: Updates) -> None:
    device = entered(world)
    assert len(device["shared_key"]) >= 32
    patched = devices(world, "PATCH", f"/devices/{device['uuid']}", 200, {"name": "B"})
    assert device["shared_key"] not in json.dumps([world.module(device["id"]), patched])


def test_a_device_tells_what_is_assigned_to_it(world: Updates) -> None:
    image = world.image()
    device = entered(world, image)
    assert device["assigned_firmware_id"] == image["id"]
    assert world.module(device["id"])["assigned_firmware"] in (image["serial"], image["id"])


def test_entering_with_a_firmware_that_nobody_has(world: Updates) -> None:
    body = {"name": "x", "serial_number": world.serial("D"), "type_id": BELL_TYPE}
    body["assigned_firmware_id"] = 99999
    reply = httpx.post(
        world.url + "/devices", json=body, headers={"Authorization": world.api.headers["Authorization"]}
    )
    assert reply.status_code in (400, 404, 409, 422), reply.text
    assert not world.knows(body["serial_number"]), "half of what was asked was done"


def test_entering_with_a_firmware_of_another_type(world: Updates) -> None:
    image = world.image(type=GENERIC)
    body = {"name": "x", "serial_number": world.serial("D"), "type_id": BELL_TYPE}
    body["assigned_firmware_id"] = image["id"]
    reply = httpx.post(
        world.url + "/devices", json=body, headers={"Authorization": world.api.headers["Authorization"]}
    )
    assert reply.status_code in (400, 409, 422), reply.text
    assert not world.knows(body["serial_number"])


@pytest.mark.parametrize("another_type", [False, True], ids=["unknown", "of another type"])
def test_firmware_that_cannot_be_is_a_warning(world: Updates, another_type: bool) -> None:
    """The registration holds, the old value stays, the trail warns."""
    known = world.image()
    said = world.image(type=GENERIC)["serial"] if another_type else "nobody-knows-this-1"
    device = entered(world)
    token = registered(world, device, known["serial"])["token"]
    eventually(lambda: current(world, device) == known["serial"], "the known one is set")
    devices(world, "PATCH", f"/devices/{device['uuid']}", 200, {"current_firmware_serial": said})
    eventually(lambda: "firmware.unknown" in audit(world, device), "a warning")
    assert current(world, device) == known["serial"]
    with board_client(world, device, token) as line:  # and by the hello of MQTT
        hello = json.dumps({"firmware": {"serial": said}}).encode()
        line.publish(f"gw/1/{device['id']}/up/register", hello, qos=1)
        time.sleep(0.5)
    assert current(world, device) == known["serial"]


def board_client(world: Updates, device: dict[str, Any], token: str) -> Any:
    return world.line(board_of(world, device, token, Firmware()))


def test_a_first_registration_with_unknown_firmware_holds(world: Updates) -> None:
    device = entered(world)
    assert registered(world, device, "nobody-knows-this-2")["token"]
    eventually(lambda: "firmware.unknown" in audit(world, device), "a warning")
    assert not current(world, device)


def test_an_unknown_serial_and_a_wrong_key_look_the_same(world: Updates) -> None:
    device = entered(world)
    wrong = registered(world, device | {"shared_key": "x" * len(device["shared_key"])}, status=401)
    unknown = registered(world, device | {"serial_number": "NOBODY"}, status=401)
    assert strip(wrong) == strip(unknown)


def strip(problem: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in problem.items() if name not in ("instance", "id")}


def test_authenticate(world: Updates) -> None:
    device = entered(world)
    name, token = world.service("controller")
    good = {"device_serial": device["serial_number"], "shared_key": device["shared_key"]}
    for headers in ({"Authorization": "Bearer " + token}, basic(name, token)):
        reply = httpx.post(world.url + "/authenticate", json=good, headers=headers)
        if reply.status_code == 200:
            break
    assert reply.status_code == 200, reply.text
    assert reply.json()["id"] == device["id"] and "shared_key" not in reply.json()
    for body in (good | {"shared_key": "wrong"}, good | {"device_serial": "NOBODY"}, {}):
        assert httpx.post(world.url + "/authenticate", json=body, headers=headers).status_code in (400, 401)
    assert httpx.post(world.url + "/authenticate", json=good).status_code in (401, 403)
    reader, secret = world.service("reader")
    for headers in ({"Authorization": "Bearer " + secret}, basic(reader, secret)):
        assert httpx.post(world.url + "/authenticate", json=good, headers=headers).status_code in (401, 403)


def basic(name: str, token: str) -> dict[str, str]:
    return {"Authorization": httpx.BasicAuth(name, token)._auth_header}


@pytest.mark.parametrize("path", ["/devices", "/device"])
def test_a_device_is_patched(world: Updates, path: str) -> None:
    known = world.image()
    device = entered(world)
    body = {"registered_at": "2026-01-02T03:04:05Z", "current_firmware_serial": known["serial"]}
    devices(world, "PATCH", f"{path}/{device['uuid']}", 200, body)
    eventually(lambda: current(world, device) == known["serial"], "it is set")
    for bad in ({"current_firmware_serial": 7}, {"registered_at": "yesterday"}):
        devices(world, "PATCH", f"{path}/{device['uuid']}", 400, bad)
    devices(world, "PATCH", f"{path}/00000000-0000-0000-0000-000000000000", 404, {"name": "x"})
    assert httpx.patch(f"{world.url}{path}/{device['uuid']}", json=body).status_code in (401, 403)


def test_the_loop_finds_a_module_that_never_said_what_it_runs(world: Updates) -> None:
    board = world.board()
    job = world.assign(board.id, image := world.image())
    world.until(job, "confirmed")
    assert world.module(board.id)["current_firmware"] == image["serial"]


def test_not_before(world: Updates) -> None:
    board = world.board(old := world.image())
    world.online(board)
    due_ms = int(time.time() * 1000) + 2500
    job = world.assign(board.id, world.image(), not_before=due_ms)
    assert job["state"] == "assigned"
    assert world.module(board.id)["current_firmware"] == old["serial"]
    world.until(job, "confirmed")
    assert board.offered_at[0] * 1000 >= due_ms


def test_a_module_that_is_away_needs_no_second_action(world: Updates) -> None:
    board = world.board(starts=False)
    job = world.assign(board.id, world.image())
    time.sleep(CALM_S)
    assert world.job(job)["state"] == "assigned"
    board.start()
    world.until(job, "confirmed")
    assert board.jobs == [job["id"]]


def test_what_it_runs_already_is_not_offered(world: Updates) -> None:
    board = world.board(image := world.image())
    eventually(lambda: world.module(board.id)["current_firmware"] == image["serial"], "it is known")
    assert world.assign(board.id, image) is None
    time.sleep(CALM_S)
    assert not board.offers


# The trail over TCP


class Receiver(threading.Thread):
    """What takes JSON lines, as Logstash does."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.text = ""
        self._door = socket.create_server(("127.0.0.1", port))

    def run(self) -> None:
        while True:
            try:
                peer, _ = self._door.accept()
                with peer, peer.makefile("r", encoding="utf-8") as lines:
                    for line in lines:
                        self.text += line
            except OSError:
                return

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.join(10)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n")[:-1]]


def test_audit_lines_wait_for_their_receiver(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with open_updates(tmp_path, logstash_url=f"tcp://127.0.0.1:{port}") as world:
        device = entered(world)
        registered(world, device, "nobody-knows-this-3")
        eventually(lambda: "firmware.unknown" in audit(world, device), "a warning in the database")
        world.house.kill9()
        receiver = Receiver(port)
        receiver.start()
        try:
            world.house.start()
            eventually(lambda: "firmware.unknown" in receiver.text, "the warning, sent late")
            mine = [row for row in receiver.rows() if device["id"] in json.dumps(row)]
            assert len(mine) >= 2 and device["shared_key"] not in receiver.text
        finally:
            receiver.close()
