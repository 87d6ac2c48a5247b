"""`/esp32`: firmware in the field, as it stands, byte for byte what it sends and reads."""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.gateway_process import wait_until

from .rawsocket import RawSocket
from .transports import SILENCE_S
from .world import World

OPEN = Callable[..., RawSocket]
SWITCH, AUDIO = 2, 6


@pytest.fixture
def board(world: World, keep: Any) -> OPEN:
    return lambda **more: keep(RawSocket(world.url, **more))


def identify(line: RawSocket, id: Any, password: Any, **more: Any) -> None:
    line.say("module_identify", {"moduleId": id, "password": password, **more})


def online(world: World, line: RawSocket, type: int = SWITCH, suffix: str = "ST") -> tuple[str, str]:
    id, token = world.approved(world.serial(suffix=suffix), type)
    identify(line, id, token, moduleType="switch-track", uptime=5, position="left")
    line.hear("auth_success")
    world.becomes(id, "online")
    return id, token


def password(world: World) -> str:
    word = secrets.token_hex(16)
    world.secrets.add(word)
    return word


def enrolled(world: World, id: str, word: str, **more: Any) -> dict[str, Any]:
    """Firmware nobody knows asks once; the module that waits then."""
    with RawSocket(world.url) as line:
        identify(line, id, word, **more)
        assert line.closed_with() == 1008
    wait_until(lambda: world.knows(id), f"{id} in the registry")
    return world.module(id)


# Who it is


def test_the_welcome_comes_in_two_frames(world: World, board: OPEN) -> None:
    line = board()
    id, token = world.approved(world.serial(suffix="ST"), SWITCH)
    identify(line, id, token, moduleType="switch-track")
    connected = line.hear("connected").data
    assert {"type": "connected", "status": "authenticated"}.items() <= connected.items()
    assert isinstance(connected["initialState"], dict)
    assert line.hear("auth_success").data["type"] == "auth_success"
    assert [item.event for item in line.log[:2]] == ["connected", "auth_success"]
    assert token not in str(line.log)


def test_the_initial_state_is_what_was_last_known(world: World, board: OPEN) -> None:
    line = board()
    id, token = online(world, line)
    line.say("telemetry", {"moduleId": id, "password": token, "position": "right", "uptime": 7})
    world.reports(id, position="right")
    line.leave()
    again = board()
    identify(again, id, token)
    assert again.hear("connected").data["initialState"]["position"] == "right"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda id, token: (id, "x" * 43),
        lambda id, token: (id, ""),
        lambda id, token: (id, None),
        lambda id, token: (id, [token]),
        lambda id, token: (id, 5),
        lambda id, token: (None, token),
        lambda id, token: ("", token),
        lambda id, token: ([id], token),
        lambda id, token: ("nobody-" + id, "x"),
        lambda id, token: ("a/b", token),
        lambda id, token: ("+", token),
    ],
)
def test_failures_are_closed_alike(
    world: World, board: OPEN, wrong: Callable[[str, str], tuple[Any, Any]]
) -> None:
    id, token = world.approved()
    line = board()
    identify(line, *wrong(id, token), moduleType=100)
    assert line.closed_with() == 1008
    assert line.log == []
    assert world.module(id)["status"] == "offline"


@pytest.mark.parametrize("frame", ["{", "nonsense", "", '{"type":', "\x00"])
def test_bad_json_is_closed_as_such(world: World, board: OPEN, frame: str) -> None:
    line = board()
    line.say_raw(frame)
    assert line.closed_with() == 1003
    known = board()
    id, _ = online(world, known)
    known.say_raw(frame)
    assert known.closed_with() == 1003
    world.becomes(id, "offline")


@pytest.mark.parametrize(
    "frame", ["[]", "5", "null", '"x"', "{}", '{"type":5}', '{"type":"module_identify"}']
)
def test_what_is_no_identification_is_refused(board: OPEN, frame: str) -> None:
    line = board()
    line.say_raw(frame)
    assert line.closed_with() in (1003, 1008)
    assert line.log == []


@pytest.mark.parametrize("type", ["telemetry", "heartbeat", "command_response", "pong"])
def test_before_it_has_said_who_it_is_nothing_counts(world: World, board: OPEN, type: str) -> None:
    id, token = world.approved(world.serial(suffix="ST"), SWITCH)
    line = board()
    line.say(type, {"moduleId": id, "password": "x" * 43, "position": "left"})
    time.sleep(SILENCE_S)
    assert world.module(id)["telemetry"] == {}
    assert world.module(id)["status"] == "offline"
    assert token


def test_no_origin_is_checked_here(world: World, board: OPEN) -> None:
    online(world, board(headers={"Origin": "http://evil.example"}))


# Unknown firmware


@pytest.mark.parametrize(
    ("said", "suffix", "type"),
    [
        (100, "X", 100),
        ("2", "X", 2),
        ("Switch track", "X", 2),
        ("switch-track", "X", 2),
        ("station", "X", 1),
        ("audio", "X", 6),
        ("audio-player", "X", 6),
        ("STN", "X", 1),
        (None, "STN", 1),
        (None, "ST", 2),
        (None, "LFX", 3),
        (None, "SM", 5),
        ("no such thing", "LT", 4),
        (None, "X", 7),
    ],
)
def test_the_type_of_an_unknown_one(world: World, said: Any, suffix: str, type: int) -> None:
    id = world.serial("MC", suffix)
    module = enrolled(world, id, password(world), **({} if said is None else {"moduleType": said}))
    assert (module["status"], module["type"]) == ("pending", type)


@pytest.mark.parametrize("length", [0, 1, 15, 129, 5000])
def test_a_password_that_is_none_enrols_nobody(world: World, board: OPEN, length: int) -> None:
    id, line = world.serial(), board()
    identify(line, id, "x" * length, moduleType=100)
    assert line.closed_with() == 1008
    time.sleep(SILENCE_S)
    assert not world.knows(id)


def test_while_it_waits_nothing_is_said_and_then_it_is_let_in(world: World, board: OPEN) -> None:
    id, word = world.serial(), password(world)
    enrolled(world, id, word, moduleType=100)
    line = board()
    identify(line, id, word, moduleType=100)
    time.sleep(SILENCE_S)
    identify(line, id, word, moduleType=100)
    line.say("telemetry", {"moduleId": id, "password": word, "level": 1})
    time.sleep(SILENCE_S)
    assert line.log == [] and line.gone_because is None
    world.approve(id)
    assert line.hear("connected").data["status"] == "authenticated"
    line.hear("auth_success")
    world.becomes(id, "online")
    assert world.module(id)["telemetry"] == {}


def test_another_password_for_a_waiting_one_gets_nothing(world: World, board: OPEN) -> None:
    id, word = world.serial(), password(world)
    enrolled(world, id, word, moduleType=100)
    thief = board()
    identify(thief, id, password(world), moduleType=100)
    assert thief.closed_with() == 1008
    world.approve(id)
    line = board()
    identify(line, id, word)
    line.hear("auth_success")


def test_the_wrong_password_of_a_known_one_leaves_it_untouched(world: World, board: OPEN) -> None:
    mine = board()
    id, token = online(world, mine)
    before = world.module(id)
    thief = board()
    identify(thief, id, password(world), moduleType="switch-track")
    assert thief.closed_with() == 1008 and thief.log == []
    time.sleep(SILENCE_S)
    assert mine.gone_because is None
    after = world.module(id)
    assert (after["status"], after["type"], after["uuid"]) == ("online", SWITCH, before["uuid"])
    mine.say("telemetry", {"moduleId": id, "password": token, "position": "right"})
    world.reports(id, position="right")


def test_a_closed_house_takes_no_firmware(world: World, board: OPEN) -> None:
    world.call("PUT", "/join", json={"mode": "closed"})
    try:
        id, line = world.serial(), board()
        identify(line, id, password(world), moduleType=100)
        assert line.closed_with() == 1008
        time.sleep(SILENCE_S)
        assert not world.knows(id)
    finally:
        world.call("PUT", "/join", json={"mode": "open"})


# Up


def test_fields_that_the_type_does_not_declare_do_no_harm(world: World, board: OPEN) -> None:
    """The field's firmware sends its status, signal and memory with every frame."""
    line = board()
    id, token = online(world, line)
    me = {"moduleId": id, "password": token}
    line.say("telemetry", me | {"position": "right", "uptime": 11, "status": "operational"})
    world.reports(id, position="right", uptime=11)
    line.say("heartbeat", me | {"position": "left", "uptime": 12, "wifiRSSI": -61, "freeHeap": 200_000})
    wait_until(lambda: world.module(id)["last_seen"] > 0, "a sign of life")
    line.say("pong", me)
    shown = world.module(id)["telemetry"]
    assert not {"password", "moduleId", "type", "token"} & set(shown)
    assert token not in json.dumps(world.module(id))
    assert line.gone_because is None


def test_nobody_speaks_for_another(world: World, board: OPEN) -> None:
    line = board()
    other, other_token = world.approved(world.serial(suffix="ST"), SWITCH)
    id, token = online(world, line)
    line.say("telemetry", {"moduleId": other, "password": token, "position": "left"})
    line.say("telemetry", {"moduleId": other, "password": "x", "position": "left"})
    time.sleep(SILENCE_S)
    assert world.module(other)["telemetry"] == {}
    assert world.module(other)["status"] == "offline"
    assert other_token and id


# Down


def test_one_frame_suits_every_firmware(world: World, board: OPEN) -> None:
    line = board()
    id, token = online(world, line, AUDIO, "AP")
    params = {"filename": "001.mp3", "delay": 3}
    sent = world.command(id, "audio_play", **params)
    frame = line.hear("command").data
    stamp = frame.pop("timestamp")
    # Beside what firmware reads: a newer one may name the command it answers.
    frame.pop("id", None)
    assert abs(stamp / 1000 - time.time()) < 300
    assert frame == {
        "type": "command",
        "command": "audio_play",
        "params": params,
        "data": {**params, "command": "audio_play", "moduleId": id, "params": params},
        "payload": {"command": "audio_play", "params": params},
    }
    me = {"moduleId": id, "password": token}
    line.say("command_response", me | {"command": "audio_play", "status": "success", "volume": 30})
    assert world.command_is(id, sent, "done")["error"] is None
    assert max(line.sizes) < 15 * 1024


def test_the_answer_may_say_no(world: World, board: OPEN) -> None:
    line = board()
    id, token = online(world, line)
    sent = world.command(id, "left")
    line.hear("command")
    me = {"moduleId": id, "password": token, "position": "right"}
    line.say("command_response", me | {"command": "left", "status": "unknown_command"})
    assert world.command_is(id, sent, "failed", "rejected")
    again = world.command(id, "right")
    line.hear("command", where=lambda told: told["command"] == "right")
    line.say("command_response", me | {"command": "right", "status": "success"})
    world.command_is(id, again, "done")
    world.reports(id, position="right")


def test_what_does_not_fit_the_firmware_is_not_sent(world: World, board: OPEN) -> None:
    line = board()
    id, _ = online(world, line, 7, "GEN")
    world.api.post(
        f"/modules/{id}/commands", json={"command": "set", "params": {"values": {"a": "x" * 20_000}}}
    )
    time.sleep(SILENCE_S)
    world.command(id, "set", values={"b": 1})
    frame = line.hear("command", where=lambda told: "b" in told["params"]["values"]).data
    assert frame["payload"]["params"] == {"values": {"b": 1}}
    assert max(line.sizes) < 15 * 1024


# One at a time


def test_the_older_session_is_closed_as_replaced(world: World, board: OPEN) -> None:
    first = board()
    id, token = online(world, first)
    second = board()
    identify(second, id, token)
    second.hear("auth_success")
    assert first.closed_with() == 1000
    assert world.module(id)["status"] == "online"


def test_a_revoked_one_is_closed_by_policy(world: World, board: OPEN) -> None:
    line = board()
    id, _ = online(world, line)
    world.call("POST", f"/modules/{id}/revoke")
    assert line.closed_with(5) == 1008


def test_it_is_never_pinged_in_json(world: World, board: OPEN) -> None:
    line = board()
    online(world, line)
    time.sleep(SILENCE_S)
    assert line.names() <= {"connected", "auth_success", "command"}
