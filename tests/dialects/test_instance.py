"""`client.to.instance` and `node.to.instance`: programs, modules, and what they leave for each other."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .mqttsocket import MqttSocket
from .talker import Talker
from .transports import SILENCE_S
from .world import CLIENTS, TOKEN, World, open_world

NAMES = ("instance.to.client", "instace.to.client")
_numbers = itertools.count(1)


class Side:
    """One who speaks the instance dialect, as a `client` or as a `node`."""

    def __init__(self, world: World, line: Talker, role: str = "client") -> None:
        self.world, self.line, self.role = world, line, role
        self.id: Any = None
        self.token = ""
        self.information = {"name": f"{role} {next(_numbers)}", "location": "Hall"}

    def tell(self, action: Any, **parameters: Any) -> None:
        self.line.say(f"{self.role}.to.instance", {"action": action, "parameters": parameters})

    def told(self, *actions: str, where: Callable[[Any], bool] = lambda _: True) -> Any:
        """The parameters of the next of these actions."""

        def fits(told: Any) -> bool:
            return told["action"] in actions and where(told["parameters"])

        return self.line.hear(f"instance.to.{self.role}", where=fits).data["parameters"]

    def error(self, action: str) -> str:
        """The sentence of the error that this action has brought."""
        return self.told("error", where=lambda told: told["action"] == action)["msg"]

    def register(self, **more: Any) -> Any:
        self.tell("register", information=self.information, **more)
        granted = self.told("registered", "error")
        assert "token" in granted, granted
        self.id, self.token = granted["id"], granted["token"]
        self.world.secrets.add(self.token)
        return granted

    def log_in(self) -> Any:
        self.tell("login", token=self.token)
        return self.told("logged", "loginFailed", "error")

    def ready(self) -> "Side":
        self.register()
        if self.role == "node":
            self.world.approve(str(self.id))
        logged = self.log_in()
        assert logged["queue"] == [], logged
        return self

    def on(self, line: Talker) -> "Side":
        """The same one on a new connection."""
        again = Side(self.world, line, self.role)
        again.id, again.token, again.information = self.id, self.token, self.information
        return again


@pytest.fixture(params=["client", "node"])
def role(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def side(world: World, keep: Any) -> Callable[..., Side]:
    def make(role: str = "client", kind: str = "python") -> Side:
        return Side(world, keep(CLIENTS[kind](world.url)), role)

    return make


# Registration


def test_a_client_is_registered_at_once(world: World, connect: Callable[..., Talker]) -> None:
    one = Side(world, connect())
    granted = one.register()
    assert TOKEN.fullmatch(granted["token"])
    assert isinstance(granted["id"], int)
    assert one.log_in() == {"information": one.information, "queue": []}


def test_the_documented_misspelling_says_the_same(connect: Callable[..., Talker], world: World) -> None:
    one = Side(world, connect())
    one.register()
    one.log_in()
    one.tell("update", token=one.token, information={"name": "New"})
    one.told("updated")
    one.tell("explode")
    one.error("explode")
    said = {name: [item.data for item in one.line.log if item.event == name] for name in NAMES}
    one.line.hear(NAMES[1], where=lambda told: told["action"] == "error")
    assert [told["action"] for told in said[NAMES[0]]] == ["registered", "logged", "updated", "error"]
    assert [item.data for item in one.line.log if item.event == NAMES[1]] == said[NAMES[0]]


def test_a_node_is_a_module_and_waits_like_one(world: World, side: Callable[..., Side]) -> None:
    node = side("node")
    granted = node.register(hash="abc")
    assert TOKEN.fullmatch(granted["token"])
    module = world.module(str(granted["id"]))
    assert (module["status"], module["type"]) == ("pending", 7)
    assert (module["name"], module["location"]) == (node.information["name"], "Hall")
    assert node.log_in()["msg"]
    world.approve(module["id"])
    logged = node.log_in()
    assert logged["queue"] == []
    assert logged["information"]["name"] == node.information["name"]
    world.becomes(module["id"], "online")


def test_a_node_may_bring_its_serial_and_type(world: World, side: Callable[..., Side]) -> None:
    for where in ("parameters", "information"):
        node, serial = side("node"), world.serial()
        if where == "information":
            node.information["serial"] = serial
            node.register(type=100)
        else:
            node.register(type=100, serial=serial)
        assert world.module(serial)["type"] == 100


# Who one is


def test_worthless_tokens_open_nothing(world: World, side: Callable[..., Side], role: str) -> None:
    one = side(role)
    side("client").register()
    world.approved()
    for token in ("", None, "x" * 43, 0, 1, True, [], {}, "\0", "x" * 5000):
        one.tell("login", token=token)
        assert one.told("loginFailed", "logged")["msg"], token
        one.tell("update", token=token, information={"name": "x"})
        assert one.error("update"), token
    one.tell("login")
    assert one.told("loginFailed", "logged")["msg"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda token: {"action": "login", "parameters": {"token": token}},
        lambda token: {"action": "login", "parameters": {"Token": token}},
        lambda token: {"action": "login", "parameters": {}, "authentication": {"token": token}},
        lambda token: {"action": "login", "authentication": {"token": token}},
        lambda token: {"action": "login", "token": token},
        lambda token: {"action": "login", "parameters": {"token": token}, "token": token},
    ],
    ids=["parameters", "capital", "authentication", "authentication alone", "top level", "twice the same"],
)
def test_the_token_may_stand_in_three_places(
    side: Callable[..., Side], role: str, shape: Callable[[str], Any]
) -> None:
    one = side(role)
    one.register()
    if role == "node":
        one.world.approve(str(one.id))
    one.line.say(f"{role}.to.instance", shape(one.token))
    assert one.told("logged", "loginFailed", "error")["queue"] == []


def test_tokens_that_disagree_are_none(side: Callable[..., Side], role: str) -> None:
    one, other = side(role), side(role)
    one.register()
    other.register()
    for more in ({"token": other.token}, {"authentication": {"token": other.token}}, {"token": ""}):
        message = {"action": "login", "parameters": {"token": one.token}, **more}
        one.line.say(f"{role}.to.instance", message)
        assert one.told("loginFailed", "error", "logged")["msg"]
        message["action"], message["parameters"] = "update", {"token": one.token, "information": {}}
        one.line.say(f"{role}.to.instance", message)
        assert one.error("update")


def test_a_clients_token_opens_no_node_and_the_other_way_round(
    world: World, side: Callable[..., Side]
) -> None:
    client, node = side(), side("node").ready()
    client.register()
    for role, token in (("node", client.token), ("client", node.token)):
        one = side(role)
        one.tell("login", token=token)
        assert one.told("loginFailed", "logged")["msg"]


def test_information_is_updated(side: Callable[..., Side], role: str, keep: Any) -> None:
    one = side(role).ready()
    new = {"name": "Elsewhere", "location": "Roof"}
    one.tell("update", token=one.token, information=new)
    assert one.told("updated") == {}
    again = one.on(keep(CLIENTS["python"](one.world.url)))
    assert new.items() <= again.log_in()["information"].items()
    if role == "node":
        assert one.world.module(str(one.id))["name"] == "Elsewhere"


def test_bad_asks_bring_an_error_and_no_more(side: Callable[..., Side], role: str) -> None:
    one = side(role).ready()
    for message in (
        {"action": "explode", "parameters": {}},
        {"action": "register"},
        {"action": "register", "parameters": {}},
        {"action": "register", "parameters": {"information": None}},
        {"action": "register", "parameters": {"information": "x"}},
        {"action": "register", "parameters": {"information": {"name": "x" * 5000}}},
        {"action": "update", "parameters": {"token": one.token}},
        {"action": "forward", "parameters": {}},
        {"action": "queue", "parameters": {"parameters": {}}},
        {"action": "processQueue", "parameters": {}},
        {"action": "processQueue", "parameters": {"queue_id": 999_999}},
        {"action": "processQueue", "parameters": {"queue_id": "x"}},
        {"action": "forward", "parameters": {"recipient": [1], "parameters": {}}},
        {"action": "forward", "parameters": {"recipient": "nobody", "parameters": {}}},
        {"action": "forward", "parameters": []},
        {"action": 5},
        {"action": None, "parameters": {}},
        {"parameters": {}},
        {},
    ):
        one.line.say(f"{role}.to.instance", message)
        told = one.told("error")
        assert told["msg"], message
        if isinstance(message.get("action"), str):
            assert told["action"] == message["action"]
    for args in ((), (None,), ([],), ("x",), (5,)):
        one.line.say(f"{role}.to.instance", *args)
        assert one.told("error")["msg"], args
    assert one.line.gone_because is None


def test_before_the_login_nothing_is_shown(world: World, side: Callable[..., Side], role: str) -> None:
    other = side("node" if role == "client" else "client").ready()
    one = side(role)
    one.register()
    for action, parameters in (
        ("updateNodeList", {}),
        ("forward", {"recipient": other.id, "parameters": {"a": 1}}),
        ("queue", {"recipient": other.id, "parameters": {"a": 1}}),
        ("processQueue", {"queue_id": 1}),
    ):
        if role == "node" and action == "updateNodeList":
            continue
        one.tell(action, **parameters)
        assert one.error(action)
    time.sleep(SILENCE_S)
    assert not other.line.count(f"instance.to.{other.role}", where=lambda told: told["action"] == "forward")


# What clients see


def online_ids(client: Side) -> set[str]:
    """Asked for; what was told unasked before is not the answer."""
    time.sleep(SILENCE_S)
    client.line.forget()
    client.tell("updateNodeList")
    told = client.told("updateOnlineNodes")
    assert set(told) == {"onlineNodes"}
    return {str(node["node_id"]) for node in told["onlineNodes"]}


def test_a_client_sees_who_is_online(world: World, side: Callable[..., Side]) -> None:
    client, node = side().ready(), side("node").ready()
    client.tell("updateNodeList")
    rows = client.told("updateOnlineNodes", where=lambda told: len(told["onlineNodes"]) > 0)["onlineNodes"]
    (row,) = [row for row in rows if str(row["node_id"]) == str(node.id)]
    assert row["information"]["name"] == node.information["name"]
    node.line.leave()
    world.becomes(str(node.id), "offline")
    # Told without being asked.
    client.told("updateOnlineNodes", where=lambda told: str(node.id) not in str(told["onlineNodes"]))
    assert str(node.id) not in online_ids(client)


def test_modules_of_every_transport_are_in_the_list(
    world: World, side: Callable[..., Side], keep: Any
) -> None:
    client = side().ready()
    id, token = world.approved()
    mqtt = keep(MqttSocket(world.mqtt_port, id, token))
    mqtt.say(f"{id}/up/register")
    other, other_token = world.approved()
    line = keep(CLIENTS["python"](world.url))
    line.say("module.register", {"token": other_token})
    line.hear("module.register")
    world.becomes(id, "online")
    assert {id, other} <= online_ids(client)


def test_what_has_an_owner_is_not_for_a_client_without_one(world: World, side: Callable[..., Side]) -> None:
    client, hers = side().ready(), side("node").ready()
    olga = world.person("olga")
    world.call("PATCH", f"/modules/{hers.id}", json={"owner_id": olga.id})
    assert str(hers.id) not in online_ids(client)
    client.tell("forward", recipient=hers.id, parameters={"a": 1})
    refused = client.error("forward")
    client.tell("queue", recipient=hers.id, parameters={"a": 1})
    client.error("queue")
    client.tell("forward", recipient="nobody-there", parameters={"a": 1})
    unknown = client.error("forward")
    assert refused.replace(str(hers.id), "X") == unknown.replace("nobody-there", "X")
    time.sleep(SILENCE_S)
    assert not hers.line.count(
        "instance.to.node", where=lambda told: told["action"] in ("forward", "updateQueue")
    )


# Forwarding, both ways


@pytest.mark.parametrize("form", [str, lambda id: id])
@pytest.mark.parametrize("shape", ["parameters", "top level"])
def test_a_client_speaks_to_a_node_and_back(side: Callable[..., Side], shape: str, form: Any) -> None:
    client, node = side(), side("node")
    client.ready()
    node.ready()
    for sender, receiver in ((client, node), (node, client)):
        content = {"say": "hello", "deep": {"n": [1, None]}}
        recipient = form(receiver.id)
        if shape == "parameters":
            sender.tell("forward", recipient=recipient, parameters=content)
        else:
            message = {"action": "forward", "recipient": recipient, "parameters": content}
            sender.line.say(f"{sender.role}.to.instance", message)
        told = receiver.told("forward")
        assert told == {"sender": sender.id, "parameters": content}
        assert str(sender.told("forwarded", "error")["recipient"]) == str(receiver.id)
        # The field's own form besides.
        name = f"{sender.role}.to.{receiver.role}"
        assert receiver.line.hear(name).data == {"sender": sender.id, "content": content}


def test_nobody_chooses_his_sender_and_no_token_travels(side: Callable[..., Side]) -> None:
    client, node, other = side().ready(), side("node").ready(), side().ready()
    lie = {"sender": other.id, "content": {"sender": other.id}}
    client.line.say(
        "client.to.instance",
        {
            "action": "forward",
            "token": client.token,
            "sender": other.id,
            "parameters": {"recipient": node.id, "sender": other.id, "parameters": lie},
        },
    )
    told = node.told("forward")
    assert (told["sender"], told["parameters"]) == (client.id, lie)
    client.line.say(
        "client.to.instance",
        {"action": "forward", "recipient": node.id, "parameters": {"a": 1, "token": client.token}},
    )
    assert node.told("forward")["parameters"] == {"a": 1}
    assert client.token not in str(node.line.log)


def test_only_who_is_there_can_be_forwarded_to(world: World, side: Callable[..., Side]) -> None:
    client, node = side().ready(), side("node").ready()
    node.line.leave()
    world.becomes(str(node.id), "offline")
    client.tell("forward", recipient=node.id, parameters={"a": 1})
    assert client.error("forward")
    node = side("node").ready()
    client.line.leave()
    time.sleep(SILENCE_S)
    node.tell("forward", recipient=client.id, parameters={"a": 1})
    assert node.error("forward")


def test_modules_on_mqtt_take_part(world: World, side: Callable[..., Side], keep: Any) -> None:
    client = side().ready()
    id, token = world.approved()
    module = keep(MqttSocket(world.mqtt_port, id, token))
    module.subscribe(f"{id}/down/#")
    module.say(f"{id}/up/register")
    world.becomes(id, "online")
    client.tell("forward", recipient=id, parameters={"a": 1})
    client.told("forwarded")
    told = module.hear(f"{id}/down/instance", where=lambda told: told["action"] == "forward").data
    assert told["parameters"] == {"sender": client.id, "parameters": {"a": 1}}
    back = {"action": "forward", "parameters": {"recipient": client.id, "parameters": {"b": 2}}}
    module.say(f"{id}/up/instance", back)
    assert client.told("forward") == {"sender": id, "parameters": {"b": 2}}
    module.hear(f"{id}/down/instance", where=lambda told: told["action"] == "forwarded")
    module.say(f"{id}/up/instance", back | {"action": "queue"})
    (row,) = client.told("updateQueue")["queue"]
    assert (row["sender"], row["parameters"]) == (id, {"b": 2})
    module.say(f"{id}/up/instance", {"action": "explode"})
    error = module.hear(f"{id}/down/instance", where=lambda told: told["action"] == "error").data
    assert error["parameters"]["action"] == "explode" and error["parameters"]["msg"]


def test_what_waits_for_an_mqtt_module_comes_with_its_hello(
    world: World, side: Callable[..., Side], keep: Any
) -> None:
    client = side().ready()
    id, token = world.approved()
    client.tell("queue", recipient=id, parameters={"a": 1})
    queued = client.told("queued", "error")
    module = keep(MqttSocket(world.mqtt_port, id, token))
    module.subscribe(f"{id}/down/#")
    module.say(f"{id}/up/register")
    told = module.hear(f"{id}/down/instance").data
    assert told["action"] == "logged"
    (row,) = told["parameters"]["queue"]
    assert (row["queue_id"], row["sender"], row["parameters"]) == (queued["queue_id"], client.id, {"a": 1})
    done = {"action": "processQueue", "parameters": {"queue_id": row["queue_id"]}}
    module.say(f"{id}/up/instance", done)
    rest = module.hear(f"{id}/down/instance", where=lambda told: told["action"] == "updateQueue").data
    assert rest["parameters"]["queue"] == []


# The queue


def test_what_is_queued_waits_for_its_recipient_alone(
    world: World, side: Callable[..., Side], keep: Any, role: str
) -> None:
    sender, receiver = side("node" if role == "client" else "client").ready(), side(role).ready()
    bystander = side(role).ready()
    receiver.line.leave()
    for n in (1, 2):
        sender.tell("queue", recipient=receiver.id, parameters={"n": n})
        assert str(sender.told("queued", "error")["recipient"]) == str(receiver.id)
    again = receiver.on(keep(CLIENTS["js-websocket"](world.url)))
    queue = again.log_in()["queue"]
    assert [row["parameters"] for row in queue] == [{"n": 1}, {"n": 2}]
    assert [row["sender"] for row in queue] == [sender.id] * 2
    assert all(row["created_at"] > 1_700_000_000_000 and row["content"] == row["parameters"] for row in queue)
    # Reading takes nothing away; another one's rows cannot be taken at all.
    bystander.tell("processQueue", queue_id=queue[0]["queue_id"])
    assert bystander.error("processQueue")
    assert again.log_in()["queue"] == queue
    again.tell("processQueue", queue_id=queue[0]["queue_id"])
    assert again.told("updateQueue")["queue"] == queue[1:]
    again.tell("processQueue", queue_id=queue[0]["queue_id"])
    assert again.error("processQueue")
    # Online, one is told at once.
    sender.tell("queue", recipient=receiver.id, parameters={"n": 3})
    assert [row["parameters"]["n"] for row in again.told("updateQueue")["queue"]] == [2, 3]
    assert not bystander.line.count(f"instance.to.{role}", where=lambda told: told["action"] == "updateQueue")


def test_the_queue_of_a_client_is_not_that_of_a_module_of_the_same_number(
    world: World, side: Callable[..., Side]
) -> None:
    """Ids of clients and numbers of modules run side by side."""
    sender, nodes = side().ready(), [side("node").ready() for _ in range(2)]
    numbers = {world.module(str(node.id))["number"] for node in nodes}
    clients = [sender]
    while clients[-1].id < max(numbers):
        clients.append(side().ready())
    twins = [one for one in clients if one.id in numbers and one is not sender]
    for one in nodes:
        sender.tell("queue", recipient=one.id, parameters={"for": "node"})
        sender.told("queued")
        one.told("updateQueue")
    for twin in twins:
        assert twin.log_in()["queue"] == []


def test_the_queue_survives_restarts(tmp_path: Path) -> None:
    with open_world(tmp_path) as world:
        with CLIENTS["python"](world.url) as line, CLIENTS["python"](world.url) as other:
            client, node = Side(world, line).ready(), Side(world, other, "node").ready()
            node.line.leave()
            client.tell("queue", recipient=node.id, parameters={"n": 1})
            queued = client.told("queued")
            client.line.leave()
        world.gateway.kill9()
        world.gateway.start()
        with CLIENTS["python"](world.url) as line:
            node = node.on(line)
            (row,) = node.log_in()["queue"]
            assert (row["queue_id"], row["sender"], row["parameters"]) == (
                queued["queue_id"],
                client.id,
                {"n": 1},
            )
            node.tell("processQueue", queue_id=row["queue_id"])
            assert node.told("updateQueue")["queue"] == []
        world.gateway.restart()
        with CLIENTS["python"](world.url) as line:
            assert node.on(line).log_in()["queue"] == []


def test_a_queue_is_bounded(world: World, side: Callable[..., Side]) -> None:
    client, node = side().ready(), side("node").ready()
    for _ in range(20):
        client.tell("queue", recipient=node.id, parameters={"blob": "x" * 60_000})
    answers = [client.told("queued", "error") for _ in range(20)]
    refused = [answer for answer in answers if "msg" in answer]
    assert refused and len(refused) < 20
    assert node.line.gone_because is None
