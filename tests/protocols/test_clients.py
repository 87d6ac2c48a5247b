"""Programs and nodes as docs/protocols/clients.md shows them."""

from collections.abc import Callable
from typing import Any

import httpx

from tests.dialects.pysocket import PySocket
from tests.dialects.world import World

from .script import Keys, Script

Keep = Callable[[Any], Any]
NODE = "PORCH-1"


class Pair:
    """A program and a node, and what each says and hears; a program hears everything under two names."""

    def __init__(self, world: World, keep: Keep) -> None:
        self.world, self._keep = world, keep
        self.script = Script("clients")
        self.program_id = 0
        self.program = self.node = self.line()

    def line(self) -> PySocket:
        return self._keep(PySocket(self.world.url))

    def program_says(self, name: str, /, **values: Any) -> None:
        self.script.say(self.program, "clientToInstance", name, **values)

    def program_hears(self, name: str, free: Keys = (), /, **values: Any) -> Any:
        told = self.script.hear(self.program, "instanceToClient", name, "", free, **values)
        again = self.script.hear(self.program, "instaceToClient", name, "", free, **values)
        assert told == again
        return told["parameters"]

    def node_says(self, name: str, /, **values: Any) -> None:
        self.script.say(self.node, "nodeToInstance", name, **values)

    def node_hears(self, name: str, /, **values: Any) -> Any:
        return self.script.hear(self.node, "instanceToNode", name, **values)["parameters"]

    def program_logs_in(self, answer: str) -> Any:
        self.program = self.line()
        self.program_says("login")
        return self.program_hears(answer)

    def node_logs_in(self, answer: str, **values: Any) -> Any:
        self.node = self.line()
        self.node_says("login", token=self.script.known["<node-token>"])
        return self.node_hears(answer, **values)


def test_everything_on_the_page(world: World, keep: Keep) -> None:
    pair = Pair(world, keep)
    arriving(pair)
    nodes_online(pair)
    forwards(pair)
    queue_of_the_program(pair)
    queue_of_the_node(pair)
    readings_and_commands(pair)
    updates(pair)
    over_http(pair)
    pair.script.complete()


def arriving(pair: Pair) -> None:
    pair.program_says("clientRegister")
    pair.program_id = pair.program_hears("clientRegistered", ("id",))["id"]
    pair.node = pair.line()
    pair.node_says("nodeRegister")
    pair.node_hears("nodeRegistered")
    pair.world.secrets |= {pair.script.known["<token>"], pair.script.known["<node-token>"]}
    pair.program_says("login", token="x" * 43)
    pair.program_hears("loginFailed")
    pair.node_says("login", token=pair.script.known["<node-token>"])
    pair.node_hears("loginFailed")
    pair.program_logs_in("logged empty")


def nodes_online(pair: Pair) -> None:
    pair.world.approve(NODE)
    pair.node_logs_in("nodeLogged empty")
    pair.program_hears("updateOnlineNodes")
    pair.program_says("updateNodeList")
    pair.program_hears("updateOnlineNodes")


def forwards(pair: Pair) -> None:
    pair.program_says("forward")
    pair.program_hears("forwarded")
    pair.node_hears("deliveredToNode", sender=pair.program_id)
    pair.script.hear(pair.node, "clientToNode", "contentToNode", sender=pair.program_id)
    pair.node_says("nodeForward", recipient=str(pair.program_id))
    pair.node_hears("forwarded", recipient=pair.program_id)
    pair.program_hears("deliveredToClient")
    pair.script.hear(pair.program, "nodeToClient", "contentToClient")


def queue_of_the_program(pair: Pair) -> None:
    pair.program.leave()
    pair.node_says("nodeQueue", recipient=pair.program_id)
    pair.node_hears("queued", recipient=pair.program_id)
    (row,) = pair.program_logs_in("logged waiting")["queue"]
    pair.program_says("processQueue", queue_id=row["queue_id"])
    pair.program_hears("updateQueue rest")
    pair.program_says("processQueue", queue_id=row["queue_id"])
    pair.program_hears("failed")
    pair.node_says("nodeQueue", recipient=pair.program_id)
    pair.program_hears("updateQueue more")


def queue_of_the_node(pair: Pair) -> None:
    pair.program_says("queue")
    pair.program_hears("queued")
    pair.node_hears("updateQueue more", sender=pair.program_id)
    pair.node.leave()
    (row,) = pair.node_logs_in("nodeLogged waiting", sender=pair.program_id)["queue"]
    pair.node_says("processQueue", queue_id=row["queue_id"])
    pair.node_hears("updateQueue rest")
    pair.node_says("processQueue", queue_id=row["queue_id"])
    pair.node_hears("failed")


def readings_and_commands(pair: Pair) -> None:
    world = pair.world
    page = world.tab(world.admin)
    pair.node_says("nodeTelemetry")
    world.reports(NODE, level=7)
    pair.node_says("nodeEvent")
    command = world.command(NODE, "set", values={"level": 5})
    assert pair.node_hears("nodeCommand")["id"] == command
    pair.node_says("nodeReply")
    assert world.command_is(NODE, command, "done")["result"] == {"took_ms": 40}
    page.close()


def updates(pair: Pair) -> None:
    pair.program_says("update")
    pair.program_hears("updated")
    pair.node_says("update", token=pair.script.known["<node-token>"])
    pair.node_hears("updated")
    assert pair.world.module(NODE)["location"] == "Kitchen"


def over_http(pair: Pair) -> None:
    """The same words, the answer being the reply's parameters."""
    url = pair.world.url + "/client/to/instance"
    answer = httpx.put(url, json=pair.script.example("clientRegister"))
    shown = pair.script.example("clientRegistered")["parameters"]
    assert (answer.status_code, answer.json().keys()) == (200, shown.keys())
    changed = httpx.post(url, json=pair.script.example("update", token=answer.json()["token"]))
    assert (changed.status_code, changed.json()) == (200, {})
    refused = httpx.post(url, json=pair.script.example("update", token="x"))
    assert (refused.status_code, refused.json().keys()) == (401, {"action", "msg"})
    node = httpx.put(pair.world.url + "/node/to/instance", json=pair.script.example("nodeRegister"))
    assert (node.status_code, node.json()["id"]) == (200, NODE)
