"""What a page asks and is answered, in python-socketio and in the JavaScript client on both transports."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from .talker import Refused, Talker
from .transports import SILENCE_S
from .world import CLIENTS, Person, World, barrier

ANSWERS = ("client:auth:success", "client:auth:error")


@pytest.fixture
def olga(world: World) -> Person:
    return world.person("olga")


@pytest.fixture
def tab(world: World, keep: Any) -> Callable[..., Talker]:
    return lambda *about, **more: keep(world.tab(*about, **more))


def proofs(person: Person) -> list[dict[str, Any]]:
    """The three ways to show who one is."""
    bearer = f"Bearer {person.jwt}"
    return [
        {"headers": person.cookie},
        {"auth": {"token": person.jwt}},
        {"headers": {"Authorization": bearer}},
    ]


def claims(line: Talker, **claim: Any) -> Any:
    line.say("client:authenticate", claim)
    return line.hear(*ANSWERS)


# Who one is


@pytest.mark.parametrize("way", range(3))
def test_each_proof_lets_in(connect: Callable[..., Talker], olga: Person, way: int) -> None:
    line = connect(**proofs(olga)[way])
    heard = claims(line, userId=olga.id, userType="user", page="modules", sessionId="abc")
    assert heard.event == "client:auth:success"
    assert heard.data["message"] and isinstance(heard.data["timestamp"], int)


def test_the_initial_state_follows(world: World, connect: Callable[..., Talker], olga: Person) -> None:
    id, _ = world.approved(owner=olga)
    line = connect(headers=olga.cookie)
    claims(line, page="modules")
    states = line.hear("module_states_sync", "modules:snapshot", within_s=5).data
    assert id in str(states)


def test_a_number_and_its_text_are_the_same_id(connect: Callable[..., Talker], olga: Person) -> None:
    line = connect(headers=olga.cookie)
    for claim in ({"userId": olga.id}, {"userId": str(olga.id)}, {}, {"userType": "user"}):
        assert claims(line, **claim, page="modules").event == "client:auth:success", claim


def test_whoever_claims_to_be_more_is_told_no(
    world: World, connect: Callable[..., Talker], olga: Person
) -> None:
    line = connect(headers=olga.cookie)
    for claim in (
        {"userId": world.admin.id}, {"userId": str(world.admin.id)}, {"userId": 0}, {"userId": [olga.id]},
        {"userType": "admin"}, {"userType": "technician"}, {"userId": olga.id, "userType": "admin"},
        {"userType": ["admin"]}, {"userId": True},
    ):  # fmt: skip
        heard = claims(line, **claim, page="admin")
        assert heard.event == "client:auth:error", claim
        assert heard.data["message"]
    house, _ = world.approved()
    line.say("request_module_states")
    assert house not in str(line.hear("module_states_sync").data)
    line.say("send_module_command", {"moduleId": house, "command": "ring", "params": {}})
    assert line.hear("command_sent", "command_error").event == "command_error"


def test_less_than_one_is_may_be_claimed(world: World, connect: Callable[..., Talker]) -> None:
    line = connect(headers=world.admin.cookie)
    assert claims(line, userId=world.admin.id, userType="user", page="modules").event == "client:auth:success"


@pytest.mark.parametrize("claim", [None, [], "x", 5, {"page": 5}, {"page": None}, {"page": "x" * 5000}, {}])
def test_a_claim_in_any_shape_makes_nobody_somebody(
    world: World, keep: Any, olga: Person, claim: Any
) -> None:
    stranger = keep(CLIENTS["python"](world.url))
    stranger.say("client:authenticate", claim)
    assert stranger.hear(*ANSWERS).event == "client:auth:error"
    line = keep(CLIENTS["python"](world.url, headers=olga.cookie))
    line.say("client:authenticate", claim)
    assert line.hear(*ANSWERS)


@pytest.mark.parametrize("kind", CLIENTS)
def test_bad_proofs_do_not_connect(world: World, kind: str, olga: Person) -> None:
    broken = olga.jwt[:-3] + ("aaa" if not olga.jwt.endswith("aaa") else "bbb")
    for proof in ({"auth": {"token": broken}}, {"headers": {"Authorization": f"Bearer {broken}"}}):
        with pytest.raises(Refused):
            CLIENTS[kind](world.url, **proof).close()


def test_a_module_is_no_browser_and_a_browser_no_module(world: World, keep: Any, olga: Person) -> None:
    id, token = world.approved()
    line = keep(CLIENTS["python"](world.url))
    line.say("module.register", {"token": token})
    line.hear("module.register")
    for event in ("request_module_states", "client:sync:request", "modules:watch"):
        line.say(event, {})
    line.say("send_module_command", {"moduleId": id, "command": "ring", "params": {}})
    time.sleep(SILENCE_S)
    assert not line.names() & {
        "module_states_sync",
        "modules:snapshot",
        "client:sync:success",
        "command_sent",
    }
    page = keep(CLIENTS["python"](world.url, headers=olga.cookie))
    page.say("module.100.telemetry", {"level": 1})
    assert page.hear("module.error").data["error"] == "EVENT_NOT_ALLOWED"
    assert world.module(id)["telemetry"] == {}


# Pages


def test_the_page_narrows_and_may_be_changed(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    _, token = world.approved(owner=olga)
    with CLIENTS["python"](world.url) as module:
        module.say("module.register", {"token": token})
        module.hear("module.register")
        page = tab(olga, "modules")
        other = tab(olga, "dashboard")
        for event, name, heard in (
            ("client:page:changed", "account", False),
            ("client:page:changed", "modules", True),
            ("register_page", "account", False),
            ("register_page", "dashboard", True),
        ):
            page.say(event, {"page": name})
            barrier(page)
            page.forget()
            other.forget()
            module.say("module.100.telemetry", {"level": time.time()})
            other.hear("module:telemetry:updated")
            time.sleep(SILENCE_S)
            assert bool(page.count("module:telemetry:updated")) is heard, (event, name)


def test_a_page_makes_nobody_an_admin(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    page, technician = tab(olga, "modules"), tab(world.person("tina", "technician"), "modules")
    for line in (page, technician):
        for event in ("register_page", "client:page:changed"):
            line.say(event, {"page": "admin"})
            for shape in (None, [], "admin", {"page": 5}, {"page": ["admin"]}, {}):
                line.say(event, shape)
        barrier(line)
        line.forget()
    with world_admin(world) as admin:
        new = {"username": f"n{time.time_ns()}", "password": "correct horse battery"}
        world.call("POST", "/users", 201, json=new)
        admin.hear("admin:user:registered")
    time.sleep(SILENCE_S)
    for line in (page, technician):
        barrier(line)
        assert not [name for name in line.names() if name.startswith("admin:")]


def world_admin(world: World) -> Talker:
    return world.tab(world.person("ada", "admin"), "admin")


# Requests


def test_sync_brings_the_whole_picture(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    hers, _ = world.approved(owner=olga)
    house, _ = world.approved()
    for kind in CLIENTS:
        line = tab(olga, "modules", kind=kind)
        line.forget()
        line.say("client:sync:request")
        line.hear("client:sync:success")
        shown = [item for item in line.log if item.event in ("modules:snapshot", "module_states_sync")]
        assert shown and hers in str(shown) and house not in str(shown)


def test_module_states_are_ones_own(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    hers, _ = world.approved(owner=olga)
    house, _ = world.approved()
    line, staff = tab(olga, kind="js-websocket"), tab(world.person("tina", "technician"))
    line.say("request_module_states")
    told = line.hear("module_states_sync").data
    assert isinstance(told["states"], list) and isinstance(told["timestamp"], int)
    assert hers in str(told["states"]) and house not in str(told["states"])
    staff.say("request_module_states")

    def both(told: Any) -> bool:
        return {hers, house} <= {state["moduleId"] for state in told["states"]}

    staff.hear("module_states_sync", where=both)


@pytest.mark.parametrize("event", ["send_module_command", "module_command"])
def test_commands_are_sent_and_followed(
    world: World, tab: Callable[..., Talker], olga: Person, event: str
) -> None:
    hers, token = world.approved(owner=olga)
    for kind in CLIENTS:
        line, second = tab(olga, kind=kind), tab(olga, "account")
        with CLIENTS["python"](world.url) as module:
            module.say("module.register", {"token": token})
            module.hear("module.register")
            line.say(event, {"moduleId": hers, "command": "volume", "params": {"level": 4}})
            told = line.hear("command_sent", "command_error").data
            assert (told["moduleId"], told["command"]) == (hers, "volume") and told["timestamp"]
            assert module.hear("module.100.volume").data == {"level": 4}
            ended = line.hear(
                "module:command:updated",
                where=lambda change, id=told["id"]: id in str(change) and "done" in str(change),
            )
            assert hers in str(ended.data)
            assert hers in str(second.hear("user:command:sent").data)
            line.say(event, {"moduleId": hers, "command": "ring"})
            assert line.hear("command_sent", "command_error").event == "command_sent"
            assert module.hear("module.100.ring").args == ()


def test_bad_commands_are_answered_and_do_nothing(
    world: World, tab: Callable[..., Talker], olga: Person
) -> None:
    hers, _ = world.approved(owner=olga)
    house, _ = world.approved()
    line = tab(olga)
    for wish in (
        None, [], "x", 5, {}, {"moduleId": hers}, {"moduleId": None, "command": "ring"},
        {"moduleId": hers, "command": "explode", "params": {}},
        {"moduleId": hers, "command": ["ring"], "params": {}},
        {"moduleId": hers, "command": "volume", "params": {}},
        {"moduleId": hers, "command": "volume", "params": {"level": "loud"}},
        {"moduleId": hers, "command": "volume", "params": [4]},
        {"moduleId": hers, "command": "x" * 5000, "params": {}},
        {"moduleId": [hers], "command": "ring", "params": {}},
        {"moduleId": house, "command": "ring", "params": {}},
        {"moduleId": house, "command": "ring", "params": {}, "userId": world.admin.id, "userType": "admin"},
        {"moduleId": "nobody", "command": "ring", "params": {}},
    ):  # fmt: skip
        line.say("send_module_command", wish)
        heard = line.hear("command_sent", "command_error")
        assert heard.event == "command_error", wish
        assert heard.data["error"] and heard.data["message"]
        assert {"moduleId", "command", "error", "message"} <= set(heard.data)
    for id in (hers, house):
        assert world.call("GET", f"/modules/{id}/commands")["items"] == []


def test_anothers_module_is_one_that_does_not_exist(
    world: World, tab: Callable[..., Talker], olga: Person
) -> None:
    house, _ = world.approved()
    line = tab(olga)
    told = []
    for id in (house, "no-such-module"):
        line.say("send_module_command", {"moduleId": id, "command": "ring", "params": {}})
        told.append({k: str(v).replace(id, "X") for k, v in line.hear("command_error").data.items()})
    for answer in told:
        answer.pop("timestamp", None)
    assert told[0] == told[1]


def test_statistics_are_for_those_who_ask_and_may(
    world: World, tab: Callable[..., Talker], olga: Person
) -> None:
    admin = world_admin(world)
    try:
        admin.forget()
        admin.say("request_stats")
        assert isinstance(admin.hear("admin:stats:updated").data["stats"], dict)
    finally:
        admin.close()
    line = tab(olga)
    house = len(world.call("GET", "/modules", params={"limit": 200})["items"])
    line.say("request_stats")
    barrier(line)
    assert not line.count("admin:stats:updated") and house


# Many tabs, many pages


def test_watching_resumes_without_gap_or_repeat(
    world: World, tab: Callable[..., Talker], olga: Person
) -> None:
    hers, token = world.approved(owner=olga)
    with CLIENTS["python"](world.url) as module:
        module.say("module.register", {"token": token})
        module.hear("module.register")
        line = tab(olga, kind="js-websocket")
        line.say("modules:watch", {})
        snapshot = line.hear("modules:snapshot").data
        assert hers in snapshot["modules"]
        module.say("module.100.telemetry", {"level": 1})
        change = line.hear("modules:changes", where=lambda told: hers in told["modules"]).data
        assert change["seq"] > snapshot["seq"]
        line.close()
        module.say("module.100.telemetry", {"level": 2})
        world.reports(hers, level=2)
        again = tab(olga, kind="js-polling")
        again.say("modules:watch", {"since": change["seq"]})
        missed = again.hear("modules:changes", "modules:snapshot").data
        assert missed["seq"] > change["seq"]
        assert missed["modules"][hers]["telemetry"]["level"] == 2


def test_only_the_asked_for_are_watched(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    one, token = world.approved(owner=olga)
    two, other_token = world.approved(owner=olga)
    house, _ = world.approved()
    line = tab(olga)
    line.say("modules:watch", {"ids": [one, house]})
    assert set(line.hear("modules:snapshot").data["modules"]) == {one}
    with CLIENTS["python"](world.url) as module, CLIENTS["python"](world.url) as other:
        other.say("module.register", {"token": other_token})
        other.hear("module.register")
        module.say("module.register", {"token": token})
        module.hear("module.register")
        line.hear("modules:changes", where=lambda told: one in told["modules"])
    assert not line.count(
        "modules:changes", where=lambda told: two in told["modules"] or house in told["modules"]
    )


def test_a_flood_is_gathered(world: World, tab: Callable[..., Talker], olga: Person) -> None:
    """At most four times a second, and the newest is always shown."""
    _, token = world.approved(owner=olga)
    line = tab(olga)
    with CLIENTS["python"](world.url) as module:
        module.say("module.register", {"token": token})
        module.hear("module.register")
        barrier(line)
        line.forget()
        began = time.monotonic()
        for level in range(300):
            module.say("module.100.telemetry", {"level": level})
        line.hear("module:telemetry:updated", where=lambda told: told["telemetry"]["level"] == 299)
        took = time.monotonic() - began
    assert line.count("module:telemetry:updated") <= 4 * took + 2


def test_a_session_that_ends_takes_its_tabs_along(world: World, tab: Callable[..., Talker]) -> None:
    nell = world.person("nell")
    staying = tab(world.person("olga"))
    line = tab(nell, kind="js-websocket")
    world.call("PATCH", f"/users/{nell.id}", json={"active": False})
    line.is_cut_off()
    assert staying.gone_because is None


# Maintenance


def test_maintenance_keeps_ordinary_people_out_and_tells_every_page(
    world: World, tab: Callable[..., Talker], olga: Person
) -> None:
    line = tab(olga)
    world.call("PUT", "/maintenance", json={"on": True, "reason": "Painting the cellar"})
    try:
        told = line.hear("system:maintenance").data
        assert (told["inMaintenance"], told["reason"]) == (True, "Painting the cellar")
        assert told["adminUserId"] == world.admin.id
        with pytest.raises(AssertionError, match="503"):
            world.log_in(olga.name, olga.password)
        assert world.log_in("admin", world.gateway.password)
        assert line.gone_because is None
    finally:
        world.call("PUT", "/maintenance", json={"on": False, "reason": ""})
    assert line.hear("system:maintenance").data["inMaintenance"] is False
    assert world.log_in(olga.name, olga.password)
