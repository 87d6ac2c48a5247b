"""Three real boards and the real gateway: an image goes up by REST, and all three prove that they run it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from firmware.bundles import make_bundle
from tests.gateway_process import GatewayProcess

from .harness import wait_until
from .updating import Slotted, program

IDS = ("MP-1", "MP-2", "MP-3")
SETTINGS = {"probation": 2, "reconcile_every": 0.5, "update_retry": 1}


@contextmanager
def house(
    tmp_path: Path, ids: tuple[str, ...], main: str = program(1), **settings: object
) -> Iterator[tuple[httpx.Client, list[Slotted]]]:
    """A gateway, and boards that run version 1 and are approved."""
    boards = [Slotted(tmp_path / id, "micropython") for id in ids]
    with GatewayProcess(tmp_path, **(SETTINGS | settings)) as gateway, gateway.api() as api:
        try:
            for board in boards:
                where = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": gateway.mqtt_port}
                board.install(main, SERIAL=board.folder.name, **where)
                board.start()
                approve(api, board.folder.name)
            for board in boards:
                board.says("is online")
            yield api, boards
        finally:
            for board in boards:
                board.cut_power()
        told = [line for line in gateway.lines if "Traceback" in line]
        assert not told, "\n".join(gateway.lines)
    assert not any(board.count("Traceback") for board in boards)


def approve(api: httpx.Client, id: str) -> None:
    wait_until(lambda: api.get(f"/modules/{id}").is_success, f"{id} in the registry")
    assert api.post(f"/modules/{id}/approve").is_success


def upload(api: httpx.Client, main: str, serial: str = "probe-2", noise: int = 120_000) -> dict:
    data = make_bundle({"main.py": main.encode(), "noise.bin": os.urandom(noise)}, "probe", "2")
    about = {"serial": serial, "version": "2", "type": "7", "notes": "The second"}
    answer = api.post("/firmware", data=about, files={"file": ("probe.tar", data)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def assign(api: httpx.Client, id: str, image: dict) -> str:
    answer = api.put(f"/modules/{id}/firmware", json={"firmware_id": image["id"]})
    assert answer.status_code == 200, answer.text
    return answer.json()["job"]["id"]


def ended(api: httpx.Client, job_id: str) -> dict:
    def over() -> dict | None:
        answer = api.get(f"/firmware/jobs/{job_id}")
        assert answer.is_success, answer.text
        job = answer.json()
        return job if job["state"] in ("confirmed", "failed", "rolled_back", "cancelled") else None

    try:
        return wait_until(over, f"the end of {job_id}", 150)
    except AssertionError as error:
        raise AssertionError(f"{error}: {api.get(f'/firmware/jobs/{job_id}').json()}") from error


def states(job: dict) -> list[str]:
    found: list[str] = []
    for step in job["history"]:
        if not found or found[-1] != step["state"]:
            found.append(step["state"])
    return found


def sends(api: httpx.Client, id: str, version: int) -> None:
    wait_until(lambda: api.get(f"/modules/{id}").json()["telemetry"]["version"] == version, f"{id} runs it")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("way", ["http", "mqtt"])
def test_three_boards_take_a_new_version(tmp_path: Path, way: str) -> None:
    settings = {} if way == "http" else {"public_url": "http://127.0.0.1:9"}
    with house(tmp_path, IDS, **settings) as (api, boards):
        image = upload(api, program(2))
        jobs = {id: assign(api, id, image) for id in IDS}
        for id, job_id in jobs.items():
            job = ended(api, job_id)
            assert job["state"] == "confirmed", job
            assert states(job) == [
                "assigned", "offered", "downloading", "downloaded", "verified", "installing", "confirmed",
            ]  # fmt: skip
            assert job["received"] == image["size"]
            assert api.get(f"/modules/{id}").json()["current_firmware"] == "probe-2"
            sends(api, id, 2)
        for board in boards:
            board.kept_slot("b")


# The power fails right after the board has written that the new program is to be tried.
CUT = """
import slots
try_next = slots.try_next

def cut(*words):
    try_next(*words)
    slots.reset()

slots.try_next = cut
"""


@pytest.mark.timeout(400)
def test_the_power_fails_before_a_board_can_say_installing(tmp_path: Path) -> None:
    with house(tmp_path, IDS[:1], CUT + program(1)) as (api, boards):
        job = ended(api, assign(api, "MP-1", upload(api, program(2))))
        assert job["state"] == "confirmed", job
        boards[0].kept_slot("b")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("when", ["downloading", "trial"])
def test_the_power_is_cut(tmp_path: Path, when: str) -> None:
    # Large and over MQTT, so that it takes long enough to be cut.
    with house(tmp_path, IDS[:1], public_url="http://127.0.0.1:9") as (api, boards):
        job_id = assign(api, "MP-1", upload(api, program(2), noise=1_000_000))
        if when == "downloading":
            part = boards[0].folder / "update.part"
            wait_until(lambda: part.exists() and part.stat().st_size > 10_000, "a part of the image")
        else:
            boards[0].says("slot b is on trial")
        boards[0].restart()
        job = ended(api, job_id)
        assert job["state"] == "confirmed", job


@pytest.mark.timeout(400)
def test_a_bad_version_comes_back_with_a_reason(tmp_path: Path) -> None:
    with house(tmp_path, IDS[:1]) as (api, boards):
        image = upload(api, "import nothing_like_it", "probe-bad")
        job = ended(api, assign(api, "MP-1", image))
        assert job["state"] == "rolled_back"
        assert "nothing_like_it" in job["error"]
        assert boards[0].state()["good"] == "a"
