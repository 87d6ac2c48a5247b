"""No link, no module's token and no key is ever in a log line, an error, an event or the audit trail."""

import base64
from pathlib import Path
from typing import Any

import httpx

from tests.dialects.world import barrier

from .device import Board
from .world import BELL_TYPE, Updates, eventually, firmware_of, open_updates, secrets_of

GUESS = "canary-guess-0123456789abcdef"


def test_no_secret_is_told(tmp_path: Path) -> None:
    """The whole life of updates, honest and not; then everything that anybody can read is searched."""
    with open_updates(tmp_path, log_format="json") as world:
        tab = world.tab(world.admin)
        told: list[str] = []
        boards = lives(world)
        for board in boards:
            for offer in board.offers:
                assert secrets_of(offer) or not offer["url"], "a link without a secret"
                world.secrets |= secrets_of(offer)
                told += errors(world, offer, board.token)
        barrier(tab)
        told += [str(heard) for heard in tab.log]
        assert "firmware:job:updated" in {heard.event for heard in tab.log}
        tab.close()
        told += [str(world.jobs()), str([world.job(job) for job in world.jobs()])]
        told += [str(world.call("GET", path)) for path in ("/firmware", "/firmware/policy", "/settings")
                 if world.api.get(path).is_success]  # fmt: skip
        told += [str(page(world, "/audit")), str(page(world, "/modules"))]
        told += [world.admin.http.get(path).text for path in ("/firmware", f"/modules/{boards[0].id}")]
        told += [httpx.get(world.url + "/metrics", headers=world.api.headers).text]
        keys = keys_of(world.house.data)
        assert keys
        text = "\n".join([*told, *world.house.lines])
        # Programs of the admin's get their own token; nothing else may be in there.
        found = [secret for secret in world.secrets | keys | {GUESS} if secret in text]
        assert found == []


def lives(world: Updates) -> list[Board]:
    old, new, bad = world.image(), world.image(), world.image()
    honest = world.board(old)
    by_mqtt = world.board(old, transport="mqtt")
    failing = world.board(old, failures=2)
    broken = world.board(old, bad_images=frozenset({bad["digest"]}))
    held = world.board(old, hold="offered")
    jobs = {board: world.assign(board.id, new) for board in (honest, by_mqtt, failing, held)}
    for board in (honest, by_mqtt, failing):
        world.until(jobs[board], "confirmed")
    world.until(world.assign(broken.id, bad), "rolled_back")
    eventually(lambda: held.offers, "an offer")
    world.call("POST", f"/firmware/jobs/{jobs[held]['id']}/cancel")
    headers = {"Authorization": world.api.headers["Authorization"]}
    body = {
        "name": "K",
        "serial_number": world.serial("K"),
        "type_id": BELL_TYPE,
        "assigned_firmware_id": new["id"],
    }
    device = httpx.post(world.url + "/devices", json=body, headers=headers).json()
    world.secrets.add(device["shared_key"])
    proof = {
        "device_serial": device["id"],
        "shared_key": device["shared_key"],
        "current_firmware_serial": "nobody",
    }
    answer = httpx.post(world.url + "/registration", json=proof).json()
    world.secrets.add(answer["token"])
    httpx.post(world.url + "/registration", json=proof | {"shared_key": GUESS})
    keyed = Board(
        world.url, world.mqtt_port, device["id"], answer["token"], type=BELL_TYPE, runs=firmware_of(old)
    )
    world.boards.append(keyed)
    keyed.start()
    eventually(lambda: world.module(keyed.id)["current_firmware"] == new["serial"], "it is updated")
    return [honest, by_mqtt, failing, broken, held, keyed]


def errors(world: Updates, offer: dict[str, Any], token: str) -> list[str]:
    """What comes of a link that is dead, changed, or at the wrong door; and of a token in an address."""
    answers = [
        httpx.get(offer["url"]),
        httpx.get(offer["url"][:-3] + "AAA"),
        httpx.get(offer["url"].replace("/fw/", "/api/v1/")),
        httpx.get(f"{world.url}/fw/{offer['job']}", params={"token": token}),
        httpx.get(f"{world.url}/fw/{offer['job']}", headers={"Authorization": "Bearer " + GUESS}),
        httpx.post(offer["url"]),
    ]
    assert [answer.status_code for answer in answers if answer.is_success] == []
    return [answer.text + str(answer.headers) for answer in answers]


def page(world: Updates, path: str) -> list[Any]:
    found: list[Any] = []
    after: dict[str, Any] = {}
    while True:
        answer = world.call("GET", path, params={"limit": 100} | after)
        found += answer["items"]
        if not answer["next"]:
            return found
        after = {"cursor": answer["next"]}


def keys_of(data: Path) -> set[str]:
    """What the gateway keeps for itself, as it lies there and as it might be printed."""
    found: set[str] = set()
    for path in data.rglob("*.key"):
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
        raw = path.read_bytes().strip()
        lines = [line for line in raw.splitlines() if len(line) >= 20 and not line.startswith(b"-----")]
        found |= {line.decode("latin-1") for line in lines}
        found |= {raw.hex(), base64.b64encode(raw).decode()}
    return found
