"""One day in a house, every page open: who hears which event, and that nobody hears of another's modules.

The story is told once; each row of the table is then held against what every tab has heard.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import pytest

from .talker import Talker
from .world import CLIENTS, Person, World, barrier, form_token

TABS = {
    "olga modules": ("olga", "user", "modules", "js-websocket"),
    "olga dashboard": ("olga", "user", "dashboard", "python"),
    "olga account": ("olga", "user", "account", "python"),
    "sam modules": ("sam", "user", "modules", "python"),
    "tina modules": ("tina", "technician", "modules", "python"),
    "tina admin": ("tina", "technician", "admin", "python"),
    "ada admin": ("ada", "admin", "admin", "js-polling"),
    "ada modules": ("ada", "admin", "modules", "python"),
    "admin admin": ("admin", "admin", "admin", "python"),
}
NOBODY = "nobody"
OLGA = {"olga modules", "olga dashboard", "olga account"}
STAFF = {"tina modules", "tina admin", "ada admin", "ada modules", "admin admin"}
WATCHERS = STAFF | {"olga modules", "olga dashboard"}
ADMINS = {"ada admin", "admin admin"}
EVERYBODY = set(TABS)
# How long the story waits for an event before it goes on; the row then says who lacked it.
WAIT_S = 4.0


@dataclass
class Story:
    world: World
    tabs: dict[str, Talker]
    names: dict[str, str] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def name(self, word: str) -> str:
        return self.names.get(word, "?")

    def step(self, act: Callable[[], None], *events: str) -> None:
        """Do something, and give what it should cause the time to arrive."""
        marks = {name: len(tab.log) for name, tab in self.tabs.items()}
        try:
            act()
        except AssertionError as error:
            self.troubles.append(str(error))
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            heard = {item.event for name, tab in self.tabs.items() for item in tab.log[marks[name] :]}
            if set(events) <= heard:
                break
            time.sleep(0.05)
        # What is gathered and sent a little later belongs to this step too.
        time.sleep(0.3)

    def hearers(self, event: str, about: Callable[[Any], bool]) -> set[str]:
        return {name for name, tab in self.tabs.items() if tab.count(event, where=about)}


def tell(world: World, tabs: dict[str, Talker]) -> Story:
    """The day itself."""
    story = Story(world, tabs)
    olga, sam = world.person("olga"), world.person("sam")
    hers, hers_token = world.approved()
    house, house_token = world.approved()
    story.names |= {"HERS": hers, "HOUSE": house}

    def patch(id: str, **changes: Any) -> None:
        world.call("PATCH", f"/modules/{id}", json=changes)

    story.step(lambda: patch(hers, owner_id=olga.id), "user:module:added")
    story.step(lambda: patch(hers, name="Front door"), "user:module:updated", "admin:module:updated")
    with CLIENTS["python"](world.url) as line, CLIENTS["python"](world.url) as other:
        hello = {line: hers_token, other: house_token}
        story.step(lambda: line.say("module.register", {"token": hello[line]}), "module:status:changed")
        story.step(lambda: line.say("module.100.telemetry", {"level": 5}), "module:telemetry:updated")
        story.step(lambda: line.say("module.100.telemetry", {"level": 5}))
        story.step(lambda: other.say("module.register", {"token": hello[other]}), "module:status:changed")
        story.step(lambda: other.say("module.100.telemetry", {"level": 6}), "module:telemetry:updated")
        wish = {"moduleId": hers, "command": "ring", "params": {}}
        asking = tabs["olga dashboard"]
        story.step(lambda: asking.say("send_module_command", wish), "command_sent", "user:command:sent")
        story.step(lambda: world.command(house, "ring"), "module:command:updated")
    story.step(lambda: world.becomes(hers, "offline"), "module:status:changed", "user:module:offline")
    story.names["NEW"] = world.serial()
    story.step(lambda: world.register(story.name("NEW")), "admin:module:added")
    story.step(lambda: world.call("DELETE", f"/modules/{story.name('NEW')}", 204), "admin:module:removed")
    people(story, olga, sam)
    story.step(lambda: patch(hers, owner_id=None), "user:module:removed")
    story.step(lambda: change_password(olga), "user:security:password_changed")
    time.sleep(1)
    for tab in tabs.values():
        if tab.gone_because is None and tab is not tabs[NOBODY]:
            with suppress(AssertionError):
                barrier(tab)
    return story


def people(story: Story, olga: Person, sam: Person) -> None:
    world = story.world
    new = {"username": "nora", "password": "correct horse battery", "role": "user"}
    story.step(lambda: world.call("POST", "/users", 201, json=new), "admin:user:registered")
    change = {"name": "Samuel"}
    story.step(lambda: world.call("PATCH", f"/users/{sam.id}", json=change), "admin:user:profile_updated")
    tokens: list[str] = []
    story.step(
        lambda: tokens.append(world.log_in(olga.name, olga.password)),
        "admin:user:logged_in",
        "user:session:new",
    )
    leave = {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}
    story.step(
        lambda: ok(httpx.post(world.url + "/api/v1/auth/logout", headers=leave)), "admin:user:logged_out"
    )
    for on in (True, False):
        state = {"on": on, "reason": "New cellar"}
        story.step(lambda state=state: world.call("PUT", "/maintenance", json=state), "system:maintenance")


def change_password(person: Person) -> None:
    form = {"current": person.password, "new": "another horse battery", "again": "another horse battery"}
    reply = person.http.post("/account/password", data=form | {"csrf": form_token(person.http, "/account")})
    assert reply.status_code == 303, reply.text


def ok(reply: httpx.Response) -> None:
    assert reply.is_success, reply.text


@pytest.fixture(scope="module")
def story(world: World) -> Iterator[Story]:
    with ExitStack() as stack:
        tabs = {
            name: stack.enter_context(world.tab(world.person(who, role), page, kind))
            for name, (who, role, page, kind) in TABS.items()
        }
        tabs[NOBODY] = stack.enter_context(CLIENTS["python"](world.url))
        yield tell(world, tabs)


@dataclass(frozen=True)
class Row:
    """`must` hear it, `may` hear it, nobody else does; `keys` are in every payload."""

    event: str
    about: str
    must: set[str]
    keys: str
    may: set[str] = field(default_factory=set)
    fits: Callable[[Any], bool] = lambda _: True


CHANGE = "action module moduleId timestamp"
STATUS = "moduleId online status lastSeen reason"
READING = "moduleId telemetry lastSeen timestamp"
MAINTENANCE = "inMaintenance reason adminUserId timestamp"
ACTION = "action subject adminUserId adminName details timestamp"
ROWS = [
    Row("module:status:changed", "HERS", WATCHERS, STATUS, fits=lambda told: told["online"]),
    Row("module:status:changed", "HERS", WATCHERS, STATUS, fits=lambda told: not told["online"]),
    Row("module:status:changed", "HOUSE", STAFF, STATUS),
    Row("module:telemetry:updated", "HERS", WATCHERS, READING),
    Row("module:telemetry:updated", "HOUSE", STAFF, READING),
    Row("user:module:added", "HERS", {"olga modules"}, CHANGE, OLGA),
    Row("user:module:updated", "HERS", {"olga modules"}, CHANGE, OLGA),
    Row("user:module:removed", "HERS", {"olga modules"}, CHANGE, OLGA),
    Row("user:module:online", "HERS", OLGA, "moduleId"),
    Row("user:module:offline", "HERS", OLGA, "moduleId"),
    Row("user:module:online", "HOUSE", set(), ""),
    Row("user:command:sent", "HERS", OLGA, "moduleId command"),
    Row("user:session:new", "", OLGA, ""),
    Row("user:security:password_changed", "", OLGA - {"olga modules"}, "", OLGA),
    Row("admin:module:added", "NEW", ADMINS, CHANGE),
    Row("admin:module:removed", "NEW", ADMINS, CHANGE),
    Row("admin:module:updated", "HERS", ADMINS, CHANGE),
    Row("admin:user:registered", "nora", ADMINS, "user"),
    Row("admin:user:logged_in", "olga", ADMINS, ""),
    Row("admin:user:logged_out", "olga", ADMINS, ""),
    Row("admin:user:profile_updated", "sam", ADMINS, ""),
    Row("admin:stats:updated", "", ADMINS, "stats"),
    Row("admin:action:performed", "NEW", {"ada admin"}, ACTION, {"ada modules"}),
    Row("admin:action:performed", "nora", {"ada admin"}, ACTION, {"ada modules"}),
    Row("system:maintenance", "New cellar", EVERYBODY, MAINTENANCE, fits=lambda told: told["inMaintenance"]),
    Row("system:maintenance", "", EVERYBODY, MAINTENANCE, fits=lambda told: not told["inMaintenance"]),
    Row("module:command:updated", "HERS", WATCHERS, "", {"olga account"}),
    Row("module:command:updated", "HOUSE", STAFF, ""),
    Row("command_sent", "HERS", {"olga dashboard"}, "moduleId command id timestamp"),
    Row("rt_module_online", "HERS", WATCHERS, "moduleId", OLGA),
    Row("rt_module_offline", "HERS", WATCHERS, "moduleId", OLGA),
    Row("rt_module_online", "HOUSE", STAFF, "moduleId"),
    Row("rt_module_added", "HERS", {"olga modules"}, "moduleId", OLGA | ADMINS),
    Row("rt_module_added", "NEW", ADMINS, "moduleId"),
    Row("rt_module_removed", "NEW", ADMINS, "moduleId"),
    Row("rt_module_updated", "HERS", ADMINS | {"olga modules"}, "moduleId", OLGA),
    Row("rt_telemetry_updated", "HERS", WATCHERS, "moduleId lastSeenFormatted"),
    Row("rt_telemetry_updated", "HOUSE", STAFF, "moduleId"),
    Row("module_telemetry", "HERS", WATCHERS, "moduleId level"),
    Row("module_telemetry", "HOUSE", STAFF, "moduleId level"),
    Row("rt_global_stats_updated", "", ADMINS, ""),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.event} {row.about}")
def test_it_is_heard_by_its_audience_and_nobody_else(story: Story, row: Row) -> None:
    word = story.names.get(row.about, row.about)

    def about(told: Any) -> bool:
        return word in json.dumps(told) and row.fits(told)

    heard = story.hearers(row.event, about)
    assert row.must <= heard, f"{row.event} ({word}) was not heard by {row.must - heard}"
    assert heard <= row.must | row.may, f"{row.event} ({word}) was heard by {heard - row.must - row.may}"
    for name in heard:
        for item in story.tabs[name].log:
            if item.event == row.event:
                assert set(row.keys.split()) <= set(item.data), (name, item)


def test_the_story_went_as_it_should(story: Story) -> None:
    assert story.troubles == []


def test_nobody_hears_of_modules_that_are_not_his(story: Story) -> None:
    """Whatever the event is called and wherever in it the module would stand."""

    def speaks_of(tab: str, word: str) -> list[Any]:
        return [item for item in story.tabs[tab].log if word in json.dumps(item.args)]

    for tab in OLGA:
        assert not speaks_of(tab, story.name("HOUSE")) and not speaks_of(tab, story.name("NEW"))
        assert not speaks_of(tab, "nora") and not speaks_of(tab, "Samuel")
    for word in (*map(story.name, ("HERS", "HOUSE", "NEW")), "olga", "nora"):
        assert not speaks_of("sam modules", word)
    assert story.tabs[NOBODY].log == []


def test_an_unchanged_value_is_no_news(story: Story) -> None:
    for tab in WATCHERS:
        told = [item for item in story.tabs[tab].log if item.event == "module:telemetry:updated"]
        hers = [item for item in told if item.data["moduleId"] == story.name("HERS")]
        assert len(hers) == 1, (tab, hers)


def test_an_unchanged_status_is_no_news(story: Story) -> None:
    for tab in WATCHERS:
        told = [item.data for item in story.tabs[tab].log if item.event == "module:status:changed"]
        for id in {change["moduleId"] for change in told}:
            states = [(change["online"], change["status"]) for change in told if change["moduleId"] == id]
            assert all(before != after for before, after in pairwise(states)), (tab, id, states)


def test_tabs_of_one_person_are_equal(story: Story) -> None:
    """The events that are a person's own come to each tab as often."""
    for event in ("user:module:online", "user:module:offline", "user:command:sent", "user:session:new"):
        assert len({story.tabs[tab].count(event) for tab in OLGA}) == 1, event


def test_no_event_carries_a_secret(story: Story) -> None:
    text = json.dumps([item.args for tab in story.tabs.values() for item in tab.log])
    assert not [secret for secret in story.world.secrets if secret in text]


def test_times_are_milliseconds(story: Story) -> None:
    for tab in story.tabs.values():
        for item in tab.log:
            for key in ("timestamp", "lastSeen"):
                if item.args and isinstance(item.args[0], dict) and item.args[0].get(key) is not None:
                    assert isinstance(item.data[key], int), item
                    assert abs(item.data[key] / 1000 - time.time()) < 300, item
