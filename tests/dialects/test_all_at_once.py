"""Everybody at once on one gateway: each transport, each role, programs; each hears what it may."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway_process import wait_until
from tests.story.mosquitto import Listener, publish

from .talker import Talker
from .test_instance import Side
from .transports import TRANSPORTS, Life, payload
from .world import CLIENTS, World, barrier

READINGS = 25


@dataclass
class Crowd:
    """`lives` by transport; those named in `hers` are olga's."""

    world: World
    lives: dict[str, Life]
    hers: set[str]
    tabs: dict[str, Talker]
    client: Side
    reader: Listener
    asker: Listener
    controller: list[str]

    def ids(self, *, hers: bool) -> set[str]:
        return {life.id for name, life in self.lives.items() if (name in self.hers) is hers}


@pytest.fixture(scope="module")
def crowd(world: World) -> Iterator[Crowd]:
    hers = {"mqtt", "module.register-js-websocket", "esp32"}
    reader, key = world.service("reader")
    controller, other_key = world.service("controller")
    account = ["-u", controller, "-P", other_key]
    with ExitStack() as stack:
        enter = stack.enter_context
        outs = enter(Listener(world.mqtt_port, "-u", reader, "-P", key, "-t", "gw/1/+/out/#", "-q", "1"))
        asker = enter(Listener(world.mqtt_port, *account, "-t", "gw/1/+/ask/+/reply", "-q", "1"))
        lives = {}
        for name, make in TRANSPORTS.items():
            lives[name] = make(world, world.serial())
            stack.callback(lives[name].close)
            lives[name].grow_up()
            if name in hers:
                id, owner = lives[name].id, world.person("olga").id
                world.call("PATCH", f"/modules/{id}", json={"owner_id": owner})
        tabs = {
            "olga": enter(world.tab(world.person("olga"), kind="js-polling")),
            "olga again": enter(world.tab(world.person("olga"))),
            "sam": enter(world.tab(world.person("sam"))),
            "tina": enter(world.tab(world.person("tina", "technician"))),
            "admin": enter(world.tab(world.admin, "admin", "js-websocket")),
        }
        client = Side(world, enter(CLIENTS["js-websocket"](world.url))).ready()
        yield Crowd(world, lives, hers, tabs, client, outs, asker, account)


def chatter(life: Life) -> None:
    for level in range(1, READINGS + 1):
        life.report(level=level)


def test_readings_of_all_at_once(crowd: Crowd) -> None:
    talking = [threading.Thread(target=chatter, args=(life,)) for life in crowd.lives.values()]
    for one in talking:
        one.start()
    for one in talking:
        one.join(60)
    for life in crowd.lives.values():
        crowd.world.reports(life.id, level=READINGS)
        crowd.reader.wait_for(f"{life.id}/out/state ", f"{READINGS}")
        found = crowd.world.call(
            "GET", f"/modules/{life.id}/telemetry", params={"key": "level", "limit": 100}
        )
        assert [item["value"] for item in found["items"]] == list(range(1, READINGS + 1)), life.id
    for name, may in visible(crowd).items():
        tab = crowd.tabs[name]
        for id in may:
            tab.hear(
                "module:telemetry:updated",
                where=lambda told, id=id: told["moduleId"] == id and told["telemetry"]["level"] == READINGS,
            )
    nothing_leaked(crowd)


def visible(crowd: Crowd) -> dict[str, set[str]]:
    hers = crowd.ids(hers=True)
    everything = hers | crowd.ids(hers=False)
    return {"olga": hers, "olga again": hers, "sam": set(), "tina": everything, "admin": everything}


def nothing_leaked(crowd: Crowd) -> None:
    """Nobody has ever heard the id of a module he may not see."""
    everything = crowd.ids(hers=True) | crowd.ids(hers=False)
    for name, may in visible(crowd).items():
        if name in ("olga", "olga again", "sam"):
            barrier(crowd.tabs[name])
        text = json.dumps([item.args for item in crowd.tabs[name].log])
        for id in everything - may:
            assert id not in text, (name, id)
    for life in crowd.lives.values():
        text = json.dumps([item.args for line in life.lines for item in line.log])
        for id in everything - {life.id}:
            assert id not in text, (life.id, id)


def test_commands_to_all_from_everywhere(crowd: Crowd) -> None:
    """REST, a page and MQTT each set the volume of each; every module hears its own three, in some order."""
    world, sent = crowd.world, {}
    for number, life in enumerate(crowd.lives.values(), 10):
        sent[life.id] = world.command(life.id, "volume", level=number)
    for life in crowd.lives.values():
        assert life.gets("volume") == {"level": 10 + list(crowd.lives.values()).index(life)}
        world.command_is(life.id, sent[life.id], "done")
    for life in crowd.lives.values():
        topic = f"gw/1/{life.id}/ask/ring"
        publish(world.mqtt_port, *crowd.controller, "-t", topic, "-m", "{}", "-q", "1")
    for life in crowd.lives.values():
        assert not life.gets("ring")
        assert payload(crowd.asker.wait_for(f"{life.id}/ask/ring/reply", '"done"'))["id"]
    for name in ("olga", "tina"):
        tab = crowd.tabs[name]
        for id in visible(crowd)[name]:
            tab.say("send_module_command", {"moduleId": id, "command": "ring", "params": {}})
            (life,) = [life for life in crowd.lives.values() if life.id == id]
            told = tab.hear("command_sent", "command_error", where=lambda told, id=id: told["moduleId"] == id)
            assert told.event == "command_sent", told
            assert not life.gets("ring")
            world.command_is(id, told.data["id"], "done")
    for id in crowd.ids(hers=False):
        crowd.tabs["olga"].say("send_module_command", {"moduleId": id, "command": "ring", "params": {}})
        refused = crowd.tabs["olga"].hear("command_sent", "command_error").data
        assert refused["error"] == "not_found"
    forget_refusals(crowd, "olga")
    nothing_leaked(crowd)


def forget_refusals(crowd: Crowd, name: str) -> None:
    """A refusal repeats the id that was asked for; that is no news to who asked."""
    tab = crowd.tabs[name]
    tab.log[:] = [item for item in tab.log if item.event != "command_error"]


def test_events_reach_readers_from_every_dialect_that_has_them(crowd: Crowd) -> None:
    able = [life for life in crowd.lives.values() if life.has_events]
    for number, life in enumerate(able):
        life.raise_event("pressed", {"count": number})
    for number, life in enumerate(able):
        assert payload(crowd.reader.wait_for(f"{life.id}/out/event/pressed ")) == {"count": number}


def test_a_program_sees_and_reaches_what_is_nobodys(crowd: Crowd) -> None:
    client = crowd.client
    free = crowd.ids(hers=False)

    def listed() -> set[str]:
        client.line.forget()
        client.tell("updateNodeList")
        return {str(row["node_id"]) for row in client.told("updateOnlineNodes")["onlineNodes"]}

    wait_until(lambda: listed() == free, f"{free} listed: {listed()}", 20)
    node: Any = crowd.lives["node.to.instance"]
    client.tell("forward", recipient=node.id, parameters={"n": 1})
    told = node.told("forward")
    assert told == {"sender": client.id, "parameters": {"n": 1}}
    client.told("forwarded")
    node.tell("forward", recipient=client.id, parameters={"n": 2})
    assert client.told("forward")["parameters"] == {"n": 2}
    for id in crowd.ids(hers=True):
        client.tell("forward", recipient=id, parameters={"n": 3})
        assert client.error("forward")
    mqtt = crowd.lives["mqtt"].line
    assert not [item for item in mqtt.log if item.event.endswith("down/instance")]


def test_one_after_the_other_is_revoked_and_the_rest_go_on(crowd: Crowd) -> None:
    """The last of this file: it takes the crowd apart, so it brings its own."""
    world = crowd.world
    with ExitStack() as stack:
        lives = []
        for make in TRANSPORTS.values():
            lives.append(make(world, world.serial()))
            stack.callback(lives[-1].close)
            lives[-1].grow_up()
        for life in list(lives):
            world.call("POST", f"/modules/{life.id}/revoke")
            life.line.is_cut_off(5)
            lives.remove(life)
            for other in lives:
                assert other.line.gone_because is None, other.id
                assert world.module(other.id)["status"] == "online"
