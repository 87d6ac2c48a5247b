"""The device and the whole gateway: from a board out of the box to a value on a page, and every bad day."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Board, wait_until
from .programs import PROGRAM
from .real_gateway import RealGateway, Technician

ID = "MP-1"
OUTAGE_S = {"micropython": 60, "cpython": 5}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RealGateway]:
    gateway = RealGateway(tmp_path)
    gateway.add_admin()
    gateway.start()
    yield gateway
    gateway.stop()
    told = "\n".join(gateway.lines)
    assert "Traceback" not in told, told


@pytest.fixture
def technician(gateway: RealGateway) -> Iterator[Technician]:
    technician = Technician(gateway.url)
    yield technician
    technician.close()


def start(board: Board, gateway: RealGateway, program: str | None, **settings: object) -> None:
    where = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": gateway.mqtt_port, "SERIAL": ID, "KEEPALIVE_S": 6}
    board.install(program, **(where | settings))
    board.start()
    board.says(f"{ID} waits for approval")


def counting(board: Board, gateway: RealGateway, technician: Technician, pause_s: float = 0.25) -> None:
    """An approved device that sends 1, 2, 3 .. as `count`."""
    start(board, gateway, PROGRAM.replace("PAUSE", str(pause_s)), QUEUE=1000)
    technician.approve(ID)
    wait_until(lambda: counts(gateway), "the first reading")


def counts(gateway: RealGateway) -> list[int]:
    return [int(number) for _, number in gateway.history("count")]


def since(gateway: RealGateway, start_ms: float) -> list[float]:
    return [number for ts_ms, number in gateway.history("count") if ts_ms >= start_ms]


def continues(gateway: RealGateway, more: int = 8) -> None:
    reached = max(counts(gateway)) + more
    wait_until(lambda: max(counts(gateway)) >= reached, "readings after the outage", 120)


def assert_nothing_is_missing(gateway: RealGateway) -> None:
    seen = set(counts(gateway))
    assert set(range(1, max(seen) - 8)) <= seen


def test_the_example_out_of_the_box(board: Board, gateway: RealGateway, technician: Technician) -> None:
    start(board, gateway, None, NAME="Probe <b>in</b> the hall", FIRMWARE="probe-1")
    assert "Probe &lt;b&gt;in" in technician.page("/waiting")
    technician.approve(ID)
    board.says(f"{ID} is online")
    wait_until(lambda: technician.value(ID, "temperature") == "21.5", "the temperature on the page")
    before = technician.value(ID, "lamp")
    technician.command(ID, "set", values='{"lamp": true}')
    board.says("lamp on")
    wait_until(lambda: technician.value(ID, "lamp") != before, "the lamp on the page")
    wait_until(lambda: 'data-status="done"' in technician.page(f"/modules/{ID}"), "the command done")
    told = board.kept("credentials.json")["token"]
    assert not any(told in line for line in [*board.lines, *gateway.lines])


def test_the_gateway_is_killed_and_started_again(
    board: Board, gateway: RealGateway, technician: Technician
) -> None:
    counting(board, gateway, technician)
    for outage in (1, 2):
        gateway.kill()
        board.says("no connection", outage)
        gateway.start()
        continues(gateway)
    assert_nothing_is_missing(gateway)
    assert board.count("enrolled as") == 1


def test_the_broker_is_gone_for_a_minute(board: Board, gateway: RealGateway, technician: Technician) -> None:
    counting(board, gateway, technician)
    gateway.stop()
    gone_ms = time.time() * 1000
    time.sleep(OUTAGE_S[board.interpreter])
    back_ms = time.time() * 1000
    gateway.start()
    continues(gateway, 4 * OUTAGE_S[board.interpreter] + 8)
    assert_nothing_is_missing(gateway)
    meanwhile = [ts_ms for ts_ms, _ in gateway.history("count") if gone_ms < ts_ms < back_ms]
    assert len(meanwhile) > 2 * OUTAGE_S[board.interpreter]


def test_a_gateway_that_restarts_keeps_who_waits(
    board: Board, gateway: RealGateway, technician: Technician
) -> None:
    start(board, gateway, PROGRAM.replace("PAUSE", "1"))
    gateway.kill()
    board.says("no connection")
    gateway.start()
    board.says("waits for approval", 2)
    technician.approve(ID)
    board.says(f"{ID} is online")
    assert board.count("enrolled as") == 1


def test_a_command_for_a_device_that_is_off_waits(
    board: Board, gateway: RealGateway, technician: Technician
) -> None:
    start(board, gateway, None)
    technician.approve(ID)
    board.says(f"{ID} is online")
    board.cut_power()
    technician.command(ID, "set", values='{"lamp": true}')
    board.start()
    board.says("lamp on")
    wait_until(lambda: 'data-status="done"' in technician.page(f"/modules/{ID}"), "the command done")
    assert board.count("lamp on") == 1


def test_a_lost_token_is_given_anew_by_a_person(
    board: Board, gateway: RealGateway, technician: Technician
) -> None:
    counting(board, gateway, technician)
    old = board.kept("credentials.json")
    board.cut_power()
    (board.folder / "credentials.json").unlink()
    restarted_ms = time.time() * 1000
    board.start()
    board.says("waits for approval", 2)
    (claim,) = wait_until(technician.claims, "the re-enrolment in the waiting room")
    assert not since(gateway, restarted_ms)
    technician.approve_claim(claim)
    wait_until(lambda: since(gateway, restarted_ms), "readings under the old name")
    new = board.kept("credentials.json")
    assert new["id"] == old["id"]
    assert new["token"] != old["token"]


def test_a_revoked_device_asks_again(board: Board, gateway: RealGateway, technician: Technician) -> None:
    counting(board, gateway, technician)
    technician.post(f"/modules/{ID}", f"/modules/{ID}/revoke", confirm="yes")
    board.says("waits for approval", 2)
    (claim,) = wait_until(technician.claims, "the re-enrolment in the waiting room")
    approved_ms = time.time() * 1000
    technician.approve_claim(claim)
    wait_until(lambda: since(gateway, approved_ms), "readings after the second approval")
