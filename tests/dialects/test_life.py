"""The life of a module, the same on every transport: enrol, wait, be approved, work, be lost, return, go."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.story.mosquitto import Listener, publish

from .talker import Talker
from .transports import SILENCE_S, TRANSPORTS, Life, payload
from .world import World, barrier

REASONS = {"will", "goodbye", "silence", "takeover", "revoked", "broker_lost"}
# "Every live session of it ends <= 2 s"; the rest is for a busy machine.
REVOKED_WITHIN_S = 2.0 + 3.0


@dataclass
class Watchers:
    """The same for all: a technician's open page, a reader and a controller on MQTT, as Debian has them."""

    page: Talker
    reader: Listener
    asker: Listener
    controller: list[str]
    port: int

    def ask(self, id: str, command: str, **params: object) -> None:
        topic = f"gw/1/{id}/ask/{command}"
        publish(self.port, *self.controller, "-t", topic, "-m", json.dumps(params), "-q", "1")


@pytest.fixture(scope="module")
def watchers(world: World) -> Iterator[Watchers]:
    reader, key = world.service("reader")
    controller, other_key = world.service("controller")
    account = ["-u", controller, "-P", other_key]
    port, mine = world.mqtt_port, ["-t", "gw/1/+/ask/+/reply", "-q", "1"]
    with (
        world.tab(world.person("tina", "technician")) as page,
        Listener(port, "-u", reader, "-P", key, "-t", "gw/1/+/out/#", "-q", "1") as outs,
        Listener(port, *account, *mine) as asker,
    ):
        yield Watchers(page, outs, asker, account, port)


@pytest.fixture(params=TRANSPORTS)
def life(request: pytest.FixtureRequest, world: World) -> Iterator[Life]:
    one = TRANSPORTS[request.param](world, world.serial())
    yield one
    one.close()


def test_it_enrols_waits_in_silence_and_is_let_in(world: World, life: Life, watchers: Watchers) -> None:
    life.enrol()
    assert world.module(life.id)["status"] == "pending"
    life.open()
    life.ask()
    life.stays_out()
    assert world.module(life.id)["status"] == "pending"
    world.approve(life.id)
    life.welcomed_in_time()
    module = world.becomes(life.id, "online")
    assert (module["reason"], module["type"]) == ("hello", 100)
    watchers.reader.wait_for(f"{life.id}/out/availability", "online")
    change = watchers.page.hear("module:status:changed", where=lambda told: told["moduleId"] == life.id)
    assert (change.data["online"], change.data["status"], change.data["reason"]) == (True, "online", "hello")
    assert change.data["lastSeen"]


def test_what_it_reports_is_seen_everywhere_alike(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    life.report(level=21.5, label="a <b>")
    world.reports(life.id, level=21.5, label="a <b>")
    update = watchers.page.hear("module:telemetry:updated", where=lambda told: told["moduleId"] == life.id)
    assert {"level": 21.5, "label": "a <b>"}.items() <= update.data["telemetry"].items()
    assert update.data["lastSeen"] and update.data["timestamp"]
    shown = payload(watchers.reader.wait_for(f"{life.id}/out/state ", "21.5"))
    assert (shown["level"], shown["label"]) == (21.5, "a <b>")
    history = world.call("GET", f"/modules/{life.id}/telemetry", params={"key": "level"})
    assert [item["value"] for item in history["items"]] == [21.5]
    # A value that does not change is no news.
    told = watchers.page.count("module:telemetry:updated", where=lambda told: told["moduleId"] == life.id)
    life.report(level=21.5)
    life.report(level=22)
    world.reports(life.id, level=22)
    update = watchers.page.hear("module:telemetry:updated", where=lambda told: told["moduleId"] == life.id)
    assert update.data["telemetry"]["level"] == 22
    barrier(watchers.page)
    assert told + 1 == watchers.page.count(
        "module:telemetry:updated", where=lambda told: told["moduleId"] == life.id
    )


def test_its_events_reach_the_readers(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    if not life.has_events:
        return
    life.raise_event("pressed", {"count": 3})
    assert payload(watchers.reader.wait_for(f"{life.id}/out/event/pressed ")) == {"count": 3}
    life.raise_event("exploded", {"count": 4})
    life.raise_event("pressed", {"count": "many"})
    life.raise_event("pressed", {"count": 5})
    watchers.reader.wait_for(f"{life.id}/out/event/pressed ", "5")
    assert not [line for line in watchers.reader.lines if life.id in line and "exploded" in line]
    assert not [line for line in watchers.reader.lines if life.id in line and "many" in line]


def test_commands_reach_it_from_programs_pages_and_mqtt(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    by_rest = world.command(life.id, "volume", level=3)
    assert life.gets("volume") == {"level": 3}
    world.command_is(life.id, by_rest, "done")

    wish = {"moduleId": life.id, "command": "volume", "params": {"level": 4}}
    watchers.page.say("send_module_command", wish)
    sent = watchers.page.hear("command_sent", "command_error", where=lambda told: told["moduleId"] == life.id)
    assert sent.event == "command_sent", sent
    assert sent.data["command"] == "volume" and sent.data["timestamp"]
    assert life.gets("volume") == {"level": 4}
    assert world.command_is(life.id, sent.data["id"], "done")["by"] == "tina"

    watchers.ask(life.id, "volume", level=5)
    assert life.gets("volume") == {"level": 5}
    reply = payload(watchers.asker.wait_for(f"{life.id}/ask/volume/reply", '"done"'))
    assert world.command_is(life.id, reply["id"], "done")["params"] == {"level": 5}
    watchers.ask(life.id, "explode")
    assert payload(watchers.asker.wait_for(f"{life.id}/ask/explode/reply"))["status"] == "rejected"

    without = world.command(life.id, "ring")
    assert not life.gets("ring")
    world.command_is(life.id, without, "done")


def test_it_is_lost_and_returns(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    life.report(level=1)
    world.reports(life.id, level=1)
    life.line.break_off()
    module = world.becomes(life.id, "offline")
    assert module["reason"] in REASONS, module
    assert watchers.reader.wait_for(f"{life.id}/out/availability offline")
    change = watchers.page.hear(
        "module:status:changed", where=lambda told: told["moduleId"] == life.id and not told["online"]
    )
    assert (change.data["status"], change.data["reason"]) == ("offline", module["reason"])
    kept = world.command(life.id, "volume", level=9)
    assert world.command_is(life.id, kept, "queued")
    life.come()
    assert world.becomes(life.id, "online")["reason"] == "hello"
    assert life.gets("volume") == {"level": 9}
    world.command_is(life.id, kept, "done")
    assert world.module(life.id)["telemetry"]["level"] == 1


def test_of_two_sessions_the_newest_wins(world: World, life: Life, watchers: Watchers) -> None:
    first = life.grow_up().line
    life.come()
    # From its welcome on, whatever the old one still does.
    world.becomes(life.id, "online")
    first.is_cut_off()
    first.close()
    time.sleep(SILENCE_S)
    assert world.module(life.id)["status"] == "online"
    said = [line for line in watchers.reader.lines if f"{life.id}/out/availability" in line]
    assert said[-1].endswith(" online"), said
    sent = world.command(life.id, "volume", level=2)
    assert life.gets("volume") == {"level": 2}
    world.command_is(life.id, sent, "done")
    life.report(level=7)
    world.reports(life.id, level=7)


def test_revoked_it_is_thrown_out_and_stays_out(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    world.call("POST", f"/modules/{life.id}/revoke")
    life.line.is_cut_off(REVOKED_WITHIN_S)
    assert world.module(life.id)["status"] == "offline"
    assert world.module(life.id)["reason"] == "revoked"
    life.refused()
    assert world.module(life.id)["status"] == "offline"


def test_deleted_it_is_thrown_out_and_forgotten(world: World, life: Life, watchers: Watchers) -> None:
    life.grow_up()
    life.report(level=1)
    watchers.reader.wait_for(f"{life.id}/out/state ")
    world.call("DELETE", f"/modules/{life.id}", 204)
    life.line.is_cut_off(REVOKED_WITHIN_S)
    world.call("GET", f"/modules/{life.id}", 404)


def test_after_a_new_token_the_old_one_is_worth_nothing(world: World, life: Life) -> None:
    life.grow_up()
    life.line.leave()
    old, life.token = life.token, world.call("POST", f"/modules/{life.id}/rotate-token")["token"]
    world.secrets.add(life.token)
    life.come()
    world.becomes(life.id, "online")
    life.line.leave()
    life.token = old
    life.refused()
    assert world.becomes(life.id, "offline")
