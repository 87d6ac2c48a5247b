"""The older spellings, turned off as a whole and per dialect: the documented names go on working."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from .talker import Talker
from .test_instance import Side
from .transports import SILENCE_S
from .world import CLIENTS, World, open_world

SETTINGS = {"off": set(), "clients": {"clients"}, "modules,browsers": {"modules", "browsers"}}


@pytest.fixture(scope="module", params=SETTINGS)
def spoken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, set[str]]]:
    """A gateway, and the dialects of which it knows the older spellings."""
    with open_world(tmp_path_factory.mktemp("compat"), compat=request.param) as world:
        yield world, SETTINGS[request.param]


def online(world: World, line: Talker) -> str:
    olga = world.person("olga")
    id, token = world.approved(owner=olga)
    line.say("module.register", {"token": token})
    assert line.hear("module.register").data["status"] == 2
    return id


def test_the_older_hello(spoken: tuple[World, set[str]]) -> None:
    world, dialects = spoken
    id, token = world.approved()
    with CLIENTS["python"](world.url) as line:
        line.say("module.connect", {"token": token})
        if "modules" in dialects:
            assert line.hear("module.connect").data["status"] == 1
            world.becomes(id, "online")
            return
        time.sleep(SILENCE_S)
        assert "module.connect" not in line.names()
        assert world.module(id)["status"] == "offline"
        line.say("module.register", {"token": token})
        assert line.hear("module.register").data["status"] == 2


def test_the_misspelt_answers(spoken: tuple[World, set[str]]) -> None:
    world, dialects = spoken
    with ExitStack() as stack:
        client = Side(world, stack.enter_context(CLIENTS["python"](world.url))).ready()
        node = Side(world, stack.enter_context(CLIENTS["js-websocket"](world.url)), "node").ready()
        client.tell("forward", recipient=node.id, parameters={"a": 1})
        assert node.told("forward") == {"sender": client.id, "parameters": {"a": 1}}
        client.told("forwarded")
        client.tell("queue", recipient=node.id, parameters={"b": 2})
        (row,) = node.told("updateQueue")["queue"]
        time.sleep(SILENCE_S)
        older = "clients" in dialects
        assert ("instace.to.client" in client.line.names()) is older
        assert ("client.to.node" in node.line.names()) is older
        assert ("content" in row) is older
        assert row["parameters"] == {"b": 2}


def test_the_older_events_of_pages(spoken: tuple[World, set[str]]) -> None:
    world, dialects = spoken
    with ExitStack() as stack:
        page = stack.enter_context(world.tab(world.person("olga")))
        line = stack.enter_context(CLIENTS["python"](world.url))
        id = online(world, line)
        page.hear("module:status:changed", where=lambda told: told["moduleId"] == id and told["online"])
        line.say("module.100.telemetry", {"level": 3})
        page.hear("module:telemetry:updated", where=lambda told: told["moduleId"] == id)
        line.leave()
        page.hear("user:module:offline")
        time.sleep(SILENCE_S)
        older = {name for name in page.names() if name.startswith("rt_") or name == "module_telemetry"}
        expected = {"rt_module_online", "rt_module_offline", "rt_telemetry_updated", "module_telemetry"}
        assert (expected <= older) if "browsers" in dialects else not older, older


def test_an_unknown_word_is_refused_at_the_start(tmp_path: object) -> None:
    with pytest.raises(AssertionError, match="Compat"), open_world(tmp_path, compat="modules,pages"):
        pass
