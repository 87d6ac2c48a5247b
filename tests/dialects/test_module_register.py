"""`module.register`, line by line, in python-socketio and in the JavaScript client on both transports."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.gateway_process import wait_until
from tests.story.mosquitto import Listener

from .pysocket import run
from .talker import Talker
from .transports import SILENCE_S, payload
from .world import CLIENTS, World, open_world

Connect = Callable[..., Talker]
LED, STATION, AUDIO, BELL = 0, 1, 6, 100


@pytest.fixture(scope="module")
def out(world: World) -> Iterator[Listener]:
    """What MQTT readers are told."""
    name, token = world.service("reader")
    with Listener(world.mqtt_port, "-u", name, "-P", token, "-t", "gw/1/+/out/#", "-q", "1") as listener:
        yield listener


def hello(line: Talker, token: Any, event: str = "module.register") -> None:
    line.say(event, {"token": token})


def online(world: World, line: Talker, type: int = BELL, suffix: str = "BELL") -> str:
    """An approved module of this type on the line; its id."""
    id, token = world.approved(world.serial(suffix=suffix), type)
    hello(line, token)
    assert line.hear("module.register").data["status"] == 2
    world.becomes(id, "online")
    return id


def refusal(line: Talker, event: str = "module.register") -> dict[str, Any]:
    answer = line.hear(event).data
    error = line.hear("module.error").data
    assert error["error"] == answer["error"]
    return answer


# The hello


def test_the_alias_is_answered_on_itself(world: World, connect: Connect) -> None:
    line = connect()
    id, token = world.approved()
    hello(line, token, "module.connect")
    assert line.hear("module.connect").data["status"] == 1
    world.becomes(id, "online")
    assert "module.register" not in line.names()
    assert "module.error" not in line.names()


def test_the_answer_says_who_one_is(world: World, connect: Connect) -> None:
    line = connect()
    id, token = world.approved()
    hello(line, token)
    answer = line.hear("module.register").data
    assert {"status": 2, "id": id}.items() <= answer.items()
    assert None not in answer.values()
    assert token not in str(answer)
    assert "module.connect" not in line.names()


@pytest.mark.parametrize(
    ("event", "error"),
    [("module.register", "MODULE_IS_PENDING"), ("module.connect", "MODULE_NOT_VALIDATED")],
)
def test_one_that_waits_hears_only_that_it_waits(
    world: World, connect: Connect, event: str, error: str
) -> None:
    line = connect()
    id, token = world.register()
    for _ in range(3):
        hello(line, token, event)
        assert line.hear("module.error").data["error"] == error
    time.sleep(SILENCE_S)
    assert line.names() == {"module.error"}
    world.approve(id)
    welcome = {"module.register": 2, "module.connect": 1}[event]
    assert line.hear(event).data["status"] == welcome
    world.becomes(id, "online")


@pytest.mark.parametrize("event", ["module.register", "module.connect"])
def test_no_token_that_is_none_matches(world: World, connect: Connect, event: str) -> None:
    line = connect()
    world.register()
    world.approved()
    worthless = ["", None, "x" * 43, 0, 1, True, [], {}, ["x"], {"$ne": ""}, "\0", "x" * 5000]
    for token in worthless:
        hello(line, token, event)
        answer = refusal(line, event)
        assert (answer["status"], answer["error"]) == (0, "MODULE_NOT_FOUND"), (token, answer)
    for args in ((), (None,), ({},), ([],), ("",), (5,), ({"Token": "x"},), ({"token": "x"}, {"token": "y"})):
        line.say(event, *args)
        answer = refusal(line, event)
        assert (answer["status"], answer["error"]) == (0, "MODULE_NOT_FOUND"), (args, answer)


def test_a_rejected_one_that_waits_is_told(world: World, connect: Connect) -> None:
    line = connect()
    id, token = world.register()
    hello(line, token)
    line.hear("module.error")
    world.call("POST", f"/modules/{id}/reject", json={"reason": "no"})
    assert line.hear("module.register").data["status"] == 0


def test_who_waited_too_long_starts_from_the_beginning(tmp_path: Any) -> None:
    with open_world(tmp_path, pending_ttl=2) as world, CLIENTS["python"](world.url) as line:
        id, token = world.register()
        hello(line, token)
        line.hear("module.error")
        answer = line.hear("module.register").data
        assert (answer["status"], answer["error"]) == (0, "MODULE_NOT_FOUND")
        world.call("GET", f"/modules/{id}", 404)
        hello(line, token)
        assert refusal(line)["status"] == 0


def test_a_hello_said_twice_on_one_line_does_no_harm(world: World, connect: Connect) -> None:
    line = connect()
    id, token = world.approved()
    for _ in range(2):
        hello(line, token)
        assert line.hear("module.register").data["status"] == 2
    line.say("module.100.telemetry", {"level": 4})
    world.reports(id, level=4)
    assert line.gone_because is None


def test_the_documented_client_registers_over_http_and_polls(world: World, connect: Connect) -> None:
    """As the field's Python client does: a form, a token kept in `TOKEN=<value>`, then asking by and by."""
    reply = httpx.post(world.url + "/modules", data={"type": "100"})
    assert reply.status_code == 200
    kept = f"TOKEN={reply.json()['token']}"
    token = kept.split("=")[1]
    world.secrets.add(token)
    line = connect()
    hello(line, token, "module.connect")
    assert line.hear("module.error").data["error"] == "MODULE_NOT_VALIDATED"
    world.approve(reply.json()["id"])
    assert line.hear("module.connect").data["status"]
    line.say("module.100.pressed", {"count": 1})
    world.becomes(reply.json()["id"], "online")


# Up


def not_allowed(line: Talker) -> None:
    error = line.hear("module.error").data
    assert error["error"] == "EVENT_NOT_ALLOWED", error


def test_before_its_hello_it_may_say_nothing(world: World, connect: Connect) -> None:
    line = connect()
    id, _ = world.approved()
    line.say("module.100.telemetry", {"level": 1})
    not_allowed(line)
    line.say("module.100.pressed", {"count": 1})
    not_allowed(line)
    waiting, pending = world.register()
    hello(line, pending)
    assert line.hear("module.error").data["error"] == "MODULE_IS_PENDING"
    line.say("module.100.telemetry", {"level": 1})
    not_allowed(line)
    assert world.module(id)["telemetry"] == world.module(waiting)["telemetry"] == {}
    assert world.module(id)["status"] == "offline"


def test_only_what_its_type_declares(world: World, connect: Connect, out: Listener) -> None:
    line = connect()
    id = online(world, line)
    for event, argument in [
        ("module.100.exploded", {"count": 1}),
        ("module.0.color", {"red": 1, "green": 2, "blue": 3}),
        ("module.7.telemetry", {"level": 1}),
        ("module.100.ring", {}),
        ("module.100.pressed", {"count": "many"}),
        ("module.100.pressed", {}),
        ("module.100.pressed", [1]),
        ("module.100.pressed", "x"),
        ("module.100.telemetry", 5),
        ("module.100", {}),
        ("module.", {}),
        ("module.100.", {}),
        ("module.x.pressed", {"count": 1}),
    ]:
        line.say(event, argument)
        not_allowed(line)
    # A reading that does not fit is set aside, as on MQTT.
    line.say("module.100.telemetry", {"level": "high"})
    line.say("module.100.pressed", {"count": 7})
    assert payload(out.wait_for(f"{id}/out/event/pressed ")) == {"count": 7}
    assert world.module(id)["telemetry"] == {}
    assert line.gone_because is None


def test_readings_come_alone_timed_and_in_batches(world: World, connect: Connect) -> None:
    line = connect()
    id = online(world, line)
    now = int(time.time() * 1000)
    line.say("module.100.telemetry", {"level": 1})
    world.reports(id, level=1)
    late = [{"ts": now - 60_000, "values": {"level": 2}}, {"ts": now - 50_000, "values": {"level": 3}}]
    line.say("module.100.telemetry", late)
    line.say("module.100.telemetry", {"ts": now + 1000, "values": {"level": 4}})
    world.reports(id, level=4)

    def levels() -> list[Any]:
        found = world.call("GET", f"/modules/{id}/telemetry", params={"key": "level"})
        return sorted(item["value"] for item in found["items"])

    wait_until(lambda: levels() == [1, 2, 3, 4], "four readings", 20)


def test_the_generic_type_takes_any_key_and_any_event(world: World, connect: Connect, out: Listener) -> None:
    line = connect()
    id = online(world, line, 7, "GEN")
    line.say("module.7.telemetry", {"whatever": True, "lamp": {"on": False}})
    world.reports(id, whatever=True, lamp={"on": False})
    line.say("module.7.bumped", {"hard": "yes"})
    assert payload(out.wait_for(f"{id}/out/event/bumped ")) == {"hard": "yes"}


def test_an_event_may_come_without_argument(world: World, connect: Connect, out: Listener) -> None:
    line = connect()
    id = online(world, line, 7, "GEN")
    line.say("module.7.woke")
    assert payload(out.wait_for(f"{id}/out/event/woke ")) == {}


def test_nobody_speaks_for_another(world: World, connect: Connect) -> None:
    line = connect()
    other, _ = world.approved()
    id = online(world, line)
    line.say("module.100.telemetry", {"level": 8, "id": other, "moduleId": other, "token": "x"})
    line.say("module.100.telemetry", {"level": 9})
    world.reports(id, level=9)
    assert world.module(other)["telemetry"] == {}


def test_acknowledgements_are_not_due_and_do_no_harm(world: World, keep: Any) -> None:
    """A client that asks for one gets none of the contract, and the line lives on."""
    line = keep(CLIENTS["python"](world.url))
    id = online(world, line)
    run(line._client.emit("module.100.telemetry", {"level": 1}, callback=lambda *_: None))
    line.say("module.100.telemetry", {"level": 2})
    world.reports(id, level=2)


# Down


def test_a_command_without_argument_is_emitted_without_one(world: World, connect: Connect) -> None:
    line = connect()
    id = online(world, line, STATION, "STN")
    sent = world.command(id, "dispatch")
    assert line.hear("module.1.dispatch").args == ()
    assert world.command_is(id, sent, "done")["error"] is None


def test_absent_optional_keys_are_absent(world: World, connect: Connect) -> None:
    line = connect()
    id = online(world, line, AUDIO, "AP")
    world.command(id, "audio_play", filename="001.mp3")
    assert line.hear("module.6.audio_play").data == {"filename": "001.mp3"}
    world.command(id, "audio_play", filename="001.mp3", delay=2)
    assert line.hear("module.6.audio_play").data == {"filename": "001.mp3", "delay": 2}


def test_a_loop_is_stopped_by_one_without_the_key(world: World, connect: Connect) -> None:
    line = connect()
    id = online(world, line, LED, "LED")
    world.command(id, "loop", loop="c(255,0,0)|w(500)|t(0,0,255,1000)")
    assert line.hear("module.0.loop").data == {"loop": "c(255,0,0)|w(500)|t(0,0,255,1000)"}
    world.command(id, "loop")
    stop = line.hear("module.0.loop").args
    assert stop in ((), ({},))


# The LED strip gets back what it last showed

COLOR = {"red": 1, "green": 200, "blue": 255}
LOOP = {"loop": "c(1,2,3)|w(100)"}


def back(line: Talker, token: str) -> list[tuple[str, tuple[Any, ...]]]:
    """What the strip hears on a hello, in order."""
    hello(line, token)
    time.sleep(SILENCE_S)
    return [(item.event, item.args) for item in line.log]


@pytest.mark.parametrize(
    ("before", "restored"),
    [
        ([], []),
        ([("color", COLOR)], [("module.0.color", (COLOR,))]),
        ([("loop", LOOP)], [("module.0.loop", (LOOP,))]),
        ([("color", COLOR), ("loop", LOOP)], [("module.0.loop", (LOOP,))]),
        ([("color", COLOR), ("loop", LOOP), ("loop", {})], [("module.0.color", (COLOR,))]),
    ],
    ids=["nothing", "colour", "loop", "loop over colour", "colour after the loop"],
)
def test_after_the_welcome_it_gets_its_last_state(
    world: World, keep: Any, before: list[Any], restored: list[Any]
) -> None:
    id, token = world.approved(world.serial(suffix="LED"), LED)
    with CLIENTS["python"](world.url) as line:
        hello(line, token)
        line.hear("module.register")
        for name, params in before:
            sent = world.command(id, name, **params)
            line.hear(f"module.0.{name}")
            world.command_is(id, sent, "done")
    heard = back(keep(CLIENTS["js-websocket"](world.url)), token)
    assert [event for event, _ in heard[:1]] == ["module.register"], heard
    assert heard[1:] == restored


def test_the_alias_too_is_welcomed_before_the_state_comes(world: World, keep: Any) -> None:
    id, token = world.approved(world.serial(suffix="LED"), LED)
    line = keep(CLIENTS["python"](world.url))
    hello(line, token, "module.connect")
    line.hear("module.connect")
    world.command(id, "color", **COLOR)
    line.hear("module.0.color")
    again = keep(CLIENTS["js-polling"](world.url))
    hello(again, token, "module.connect")
    assert again.hear("module.0.color").data == COLOR
    assert [item.event for item in again.log] == ["module.connect", "module.0.color"]


def test_the_strip_tells_its_colour(world: World, connect: Connect, out: Listener) -> None:
    line = connect()
    id = online(world, line, LED, "LED")
    line.say("module.0.color", COLOR)
    assert payload(out.wait_for(f"{id}/out/event/color ")) == COLOR
    line.say("module.0.telemetry", {"on": True, "brightness": 128})
    world.reports(id, on=True, brightness=128)
    line.say("module.0.color", COLOR | {"red": 256})
    not_allowed(line)
