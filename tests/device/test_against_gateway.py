"""The device and the whole gateway: from a board out of the box to a reading, and every bad day after."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway_process import GatewayProcess

from .harness import Board, wait_until
from .programs import PROGRAM
from .technician import Technician

ID = "MP-1"
OUTAGE_S = {"micropython": 60, "cpython": 5}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path) as gateway:
        yield gateway
    told = "\n".join(gateway.lines)
    assert "Traceback" not in told, told


@pytest.fixture
def technician(gateway: GatewayProcess) -> Iterator[Technician]:
    with gateway.api() as api:
        technician = Technician(gateway, api, ID)
        yield technician
        technician.close()


def start(board: Board, gateway: GatewayProcess, program: str | None, **settings: object) -> None:
    where = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": gateway.mqtt_port, "SERIAL": ID, "KEEPALIVE_S": 6}
    board.install(program, **(where | settings))
    board.start()
    board.says(f"{ID} waits for approval")


def counting(board: Board, gateway: GatewayProcess, technician: Technician) -> None:
    """An approved device that sends 1, 2, 3 .. as `count`, four a second."""
    start(board, gateway, PROGRAM.replace("PAUSE", "0.25"), QUEUE=1000)
    technician.approve()
    wait_until(lambda: technician.reading("count"), "the first reading")


def continues(technician: Technician, more: int = 8) -> None:
    """Readings go on after an outage, and none is missing."""

    def newest() -> int:
        # Nothing, when the gateway died after it showed the first and before it stored (and acknowledged) it.
        return technician.reading("count") or 0

    reached = newest() + more
    wait_until(lambda: newest() >= reached, "readings after the outage", 120)
    start_of_last_ms = time.time() * 1000
    wait_until(lambda: technician.history("count", start_of_last_ms), "what came before, on disk")
    seen = [count for _, count in technician.history("count")]
    assert set(range(1, reached + 1)) <= set(seen)


def test_the_example_out_of_the_box(board: Board, gateway: GatewayProcess, technician: Technician) -> None:
    start(board, gateway, None, NAME="Probe in the hall", FIRMWARE="probe-1")
    wait_until(lambda: technician.ask()["status"] == "pending", "the module waiting")
    assert technician.ask()["name"] == "Probe in the hall"
    technician.approve()
    wait_until(lambda: technician.reading("temperature") == 21.5, "the temperature")
    assert (technician.ask()["status"], technician.reading("lamp")) == ("online", False)
    command = technician.done(technician.command("set", values={"lamp": True}))
    assert command["result"] == {"lamp": True}
    assert board.count("lamp on") == 1
    wait_until(lambda: technician.reading("lamp") is True, "the lamp's new state")
    secret = board.kept("credentials.json")["token"]
    assert not any(secret in line for line in [*board.lines, *gateway.lines])


def test_the_gateway_is_killed_and_started_again(
    board: Board, gateway: GatewayProcess, technician: Technician
) -> None:
    counting(board, gateway, technician)
    for outage in (1, 2):
        gateway.kill9()
        board.says("no connection", outage)
        gateway.start()
        continues(technician)
    assert board.count("enrolled as") == 1


@pytest.mark.timeout(400)
def test_the_broker_is_gone_for_a_minute(
    board: Board, gateway: GatewayProcess, technician: Technician
) -> None:
    outage_s = OUTAGE_S[board.interpreter]
    counting(board, gateway, technician)
    gateway.stop()
    gone_ms = time.time() * 1000
    time.sleep(outage_s)
    back_ms = time.time() * 1000
    gateway.start()
    continues(technician, 4 * outage_s)
    meanwhile = [at_ms for at_ms, _ in technician.history("count", gone_ms) if at_ms < back_ms]
    assert len(meanwhile) > 2 * outage_s


def test_a_gateway_that_restarts_keeps_who_waits(
    board: Board, gateway: GatewayProcess, technician: Technician
) -> None:
    start(board, gateway, PROGRAM.replace("PAUSE", "1"))
    gateway.kill9()
    board.says("no connection")
    gateway.start()
    board.says("waits for approval", 2)
    technician.approve()
    wait_until(lambda: technician.reading("count"), "the first reading")
    assert board.count("enrolled as") == 1


def test_a_device_that_loses_power_goes_offline_and_gets_what_was_sent_meanwhile(
    board: Board, gateway: GatewayProcess, technician: Technician
) -> None:
    start(board, gateway, None)
    technician.approve()
    wait_until(lambda: technician.ask()["status"] == "online", "the module online")
    board.cut_power()
    wait_until(lambda: technician.ask()["status"] == "offline", "the module offline")
    assert technician.ask()["reason"] == "will"
    sent = technician.command("set", values={"lamp": True})
    board.start()
    technician.done(sent)
    assert board.count("lamp on") == 1


def test_a_lost_token_is_given_anew_by_a_person(
    board: Board, gateway: GatewayProcess, technician: Technician
) -> None:
    counting(board, gateway, technician)
    old = board.kept("credentials.json")
    board.cut_power()
    (board.folder / "credentials.json").unlink()
    restarted_ms = time.time() * 1000
    board.start()
    board.says("waits for approval", 2)
    (claim,) = wait_until(technician.claims, "the re-enrolment in the waiting room")
    assert not technician.history("count", restarted_ms)
    technician.approve_claim(claim)
    wait_until(lambda: technician.history("count", restarted_ms), "readings under the old name")
    new = board.kept("credentials.json")
    assert new["id"] == old["id"]
    assert new["token"] != old["token"]
    assert not technician.claims()


def test_a_revoked_device_asks_again(board: Board, gateway: GatewayProcess, technician: Technician) -> None:
    counting(board, gateway, technician)
    technician.tell("/revoke")
    board.says("waits for approval", 2)
    (claim,) = wait_until(technician.claims, "the re-enrolment in the waiting room")
    approved_ms = time.time() * 1000
    technician.approve_claim(claim)
    wait_until(lambda: technician.history("count", approved_ms), "readings after the second approval")


def test_a_rejected_device_stays_out(board: Board, gateway: GatewayProcess, technician: Technician) -> None:
    start(board, gateway, PROGRAM.replace("PAUSE", "1"))
    wait_until(lambda: technician.ask()["status"] == "pending", "the module waiting")
    technician.tell("/reject", reason="not ours")
    board.says("not yet: rejected: ")
    assert board.count("is online") == 0
