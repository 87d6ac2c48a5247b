"""The device on a real broker, with somebody who plays the gateway: its whole life and every outage."""

import json
import time
from itertools import pairwise

from .harness import Board, Mosquitto, StandIn, wait_until
from .programs import PROGRAM


def start(board: Board, broker: Mosquitto, pause: float = 0.2, **settings: object) -> str:
    known = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": broker.port, "SERIAL": "MP-1", "KEEPALIVE_S": 5}
    board.install(PROGRAM.replace("PAUSE", str(pause)), **(known | settings))
    board.start()
    return "MP-1"


def online(board: Board, broker: Mosquitto, gateway: StandIn, **options: object) -> str:
    id = start(board, broker, **options)
    gateway.hears(f"{id}/up/register")
    gateway.approve(id)
    gateway.hears(f"{id}/up/telemetry")
    return id


def counts(gateway: StandIn) -> list[int]:
    bodies = gateway.bodies("MP-1/up/telemetry")
    return [body.get("values", body)["count"] for body in bodies]


def test_enrols_waits_in_silence_and_comes_online(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    id = start(board, broker, NAME="probe", FIRMWARE="probe-1")
    gateway.hears(f"{id}/up/register", 2)
    assert not gateway.payloads(f"{id}/up/telemetry")
    asked = next(json.loads(payload) for topic, payload, _ in gateway.heard if topic.startswith("register/"))
    assert asked["serial"] == id
    assert asked["type"] == 7
    assert asked["information"] == {"name": "probe"}
    assert asked["firmware"] == {"serial": "probe-1"}
    assert gateway.bodies(f"{id}/up/register")[0] == {"firmware": {"serial": "probe-1"}}
    gateway.approve(id)
    gateway.hears(f"{id}/up/telemetry")
    assert gateway.payloads(f"{id}/up/availability") == [b"online"]
    assert all(set(body.get("values", body)) == {"count"} for body in gateway.bodies(f"{id}/up/telemetry"))
    assert board.kept("credentials.json") == {"id": id, "token": "secret1", "approved": True}
    assert not board.count("secret1")


def test_an_enrolment_that_is_refused_is_tried_again(
    board: Board, broker: Mosquitto, gateway: StandIn
) -> None:
    gateway.reply = {"status": "closed", "message": "come back later", "retry_after": 1}
    start(board, broker)
    board.says("come back later", 2)
    gateway.reply = {"status": "approved"}
    gateway.hears("MP-1/up/telemetry")


def test_a_restart_needs_no_new_approval(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    id = online(board, broker, gateway)
    board.cut_power()
    wait_until(lambda: gateway.payloads(f"{id}/up/availability")[-1] == b"offline", "the last will")
    board.start()
    board.says("MP-1 is online", 2)
    assert sum(topic.startswith("register/") for topic, _, _ in gateway.heard) == 1


def test_commands_are_answered(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    id = online(board, broker, gateway)
    long_ago, far_off = 1_700_000_000_000, 4_000_000_000_000
    gateway.command(id, "a", "led", params={"pin": 4}, expires_at=far_off)
    gateway.command(id, "b", "break")
    gateway.command(id, "c", "refuse")
    gateway.command(id, "d", "unheard-of")
    gateway.command(id, "e", "led", expires_at=long_ago)
    gateway.answered(id, "e", "rejected")
    assert [body["status"] for body in gateway.answers(id, "a")] == ["accepted", "done"]
    assert gateway.answers(id, "a")[1]["result"] == {"pin": 4}
    assert gateway.answered(id, "b", "failed")["error"] == "ValueError: no such thing"
    assert gateway.answered(id, "c", "rejected")["error"] == "not at night"
    assert gateway.answers(id, "d")[0]["status"] == "rejected"
    assert board.count("led runs") == 1


def test_a_command_that_comes_twice_runs_once(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    id = online(board, broker, gateway)
    gateway.command(id, "a", "led")
    gateway.command(id, "a", "led")
    wait_until(lambda: len(gateway.answers(id, "a")) == 3, "a second answer")
    board.restart()
    gateway.command(id, "a", "led")
    wait_until(lambda: len(gateway.answers(id, "a")) >= 4, "an answer after the restart")
    assert [body["status"] for body in gateway.answers(id, "a")][2:] >= ["done", "done"]
    assert board.count("led runs") == 1


def test_a_command_cut_short_by_a_restart_fails_and_is_not_run_again(
    board: Board, broker: Mosquitto, gateway: StandIn
) -> None:
    id = online(board, broker, gateway)
    gateway.command(id, "a", "led", params={"takes": 600})
    board.says("led runs")
    gateway.answered(id, "a", "accepted")
    board.restart()
    assert "restarted" in gateway.answered(id, "a", "failed")["error"]
    gateway.command(id, "a", "led")
    wait_until(lambda: [body["status"] for body in gateway.answers(id, "a")].count("failed") == 2, "a repeat")
    assert board.count("led runs") == 1


def test_commands_sent_while_it_was_away_wait_for_it(
    board: Board, broker: Mosquitto, gateway: StandIn
) -> None:
    id = online(board, broker, gateway)
    board.cut_power()
    gateway.command(id, "a", "led")
    gateway.command(id, "b", "led")
    board.start()
    gateway.answered(id, "a", "done")
    gateway.answered(id, "b", "done")


def test_nothing_is_lost_while_the_broker_is_away(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    online(board, broker, gateway, pause=0.1, QUEUE=500)
    wait_until(lambda: len(counts(gateway)) > 5, "some readings")
    broker.stop()
    board.says("no connection")
    time.sleep(3)
    before = max(counts(gateway))
    broker.start()
    board.says("MP-1 is online", 2)
    wait_until(lambda: max(counts(gateway)) > before + 40, "readings after the outage")
    seen = counts(gateway)
    assert set(range(1, max(seen))) <= set(seen)
    late = [body for body in gateway.bodies("MP-1/up/telemetry") if "ts" in body]
    assert late
    assert all(abs(body["ts"] - time.time() * 1000) < 120_000 for body in late)


def test_a_full_queue_gives_up_the_oldest_readings(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    online(board, broker, gateway, pause=0.05, QUEUE=8)
    broker.stop()
    board.says("no connection")
    time.sleep(2)
    broker.start()
    board.says("MP-1 is online", 2)
    reached = max(counts(gateway)) + 5
    wait_until(lambda: max(counts(gateway)) > reached, "readings after the outage")
    seen = sorted(set(counts(gateway)))
    gaps = [later - earlier - 1 for earlier, later in pairwise(seen)]
    assert max(gaps) > 5
    assert sum(gap > 0 for gap in gaps) <= 2


def test_a_frozen_broker_is_noticed(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    online(board, broker, gateway, pause=30)
    broker.freeze()
    board.says("nothing heard for too long")
    broker.thaw()
    board.says("MP-1 is online", 2)


def test_a_revoked_device_asks_again(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    id = online(board, broker, gateway)
    gateway.approved.clear()
    gateway.say(id, "down/registered", {"status": "revoked"})
    board.says("enrolled as", 2)
    assert board.kept("credentials.json") == {"id": id, "token": "secret2", "approved": False}
    board.says("waits for approval", 2)
    gateway.approve(id)
    board.says("MP-1 is online", 2)


def test_an_approval_may_give_the_old_id_back(board: Board, broker: Mosquitto, gateway: StandIn) -> None:
    start(board, broker, SERIAL="MP-NEW")
    gateway.hears("MP-NEW/up/register")
    gateway.approved.add("MP-OLD")
    gateway.say("MP-NEW", "down/registered", {"status": "online", "id": "MP-OLD"})
    gateway.hears("MP-OLD/up/telemetry")
    assert board.kept("credentials.json") == {"id": "MP-OLD", "token": "secret1", "approved": True}


def test_a_lost_token_is_asked_for_anew_under_the_same_serial(
    board: Board, broker: Mosquitto, gateway: StandIn
) -> None:
    id = online(board, broker, gateway)
    board.cut_power()
    (board.folder / "credentials.json").unlink()
    board.start()
    board.says("enrolled as MP-1", 2)
    gateway.hears(f"{id}/up/telemetry", 2)
