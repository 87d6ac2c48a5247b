"""Modules over `node.to.instance`, by python-socketio's client against a real server."""

import anyio
import pytest

from gateway.core.events import ModuleEventRaised
from tests.bridge.house import device, until
from tests.bridge.sockets.instances import node, open_world, program, speaking
from tests.gateway.core.heart import ADMIN, TECHNICIAN, approved

pytestmark = pytest.mark.anyio
UP, DOWN = "node.to.instance", "instance.to.node"


def presence(house, id="NODE-1"):
    return house.core.presence.of(id)


@pytest.mark.parametrize("transports", [("websocket",), ("polling",)])
async def test_a_node_enrols_waits_is_approved_and_comes_online(tmp_path, transports):
    async with open_world(tmp_path) as (house, address):
        async with speaking(address, "node", transports=transports) as one:
            information = {"name": "lamp", "location": "hall", "serial": "NODE-1"}
            told = await one.ask("register", "registered", information=information, hash="h1", type="7")
            assert set(told) == {"token", "id", "status", "expires_at", "retry_after"}
            assert (told["id"], told["status"]) == ("NODE-1", "pending")
            waits = await one.ask("login", "loginFailed", token=told["token"])
            assert set(waits) == {"msg"} and "approval" in waits["msg"]
            assert presence(house).state == "offline"
            await house.core.decisions.approve(["NODE-1"], TECHNICIAN)
            logged = await one.log_in(told["token"])
            assert logged == {"information": information, "hash": "h1", "queue": []}
            assert (presence(house).state, presence(house).session) == ("online", True)
            await one.ask("update", "updated", information={"name": "new lamp"}, hash="h2")
            assert house.core.registry.get("NODE-1").name == "new lamp"
        await until(lambda: presence(house).state == "offline")
        # Its client may close the connection before its goodbye is out.
        assert presence(house).reason in ("goodbye", "will")
        async with speaking(address, "node") as one:
            assert (await one.log_in(told["token"]))["hash"] == "h2"


async def test_it_says_readings_and_events_and_answers_commands(tmp_path):
    async with open_world(tmp_path) as (house, address):
        core, token = house.core, await node(address, house, type=0)
        command = await core.commands.send("NODE-1", "color", {"red": 1, "green": 2, "blue": 3}, "ann")
        async with speaking(address, "node") as one:
            await one.say("telemetry", on=True)
            assert (await one.hear("error")) == {"action": "telemetry", "msg": "Log in first."}
            await one.log_in(token)
            told = await one.hear("command")
            assert told == {
                "id": command.id, "command": "color", "params": {"red": 1, "green": 2, "blue": 3},
            }  # fmt: skip
            await one.say("reply", id=command.id, status="done", result={"a": 1})
            await until(lambda: core.commands.get(command.id, "NODE-1").status == "done")
            assert core.commands.get(command.id, "NODE-1").result == {"a": 1}
            assert "no such command" in await one.refused("reply", id=command.id, status="done")
            await one.say("telemetry", on=True, brightness=5)
            await until(lambda: core.telemetry.latest("NODE-1").get("brightness") == 5)
            await one.tab.say(UP, {"action": "telemetry", "parameters": [{"ts": 1, "values": {"on": False}}]})
            raised = []
            core.hub.subscribe(ModuleEventRaised, raised.append)
            await one.say("event", name="color", data={"red": 9, "green": 9, "blue": 9})
            await until(lambda: raised)
            assert (raised[0].module_id, raised[0].name) == ("NODE-1", "color")
            for bad in (
                {"action": "event", "parameters": {"name": "nonsense"}}, {"action": "event"},
                {"action": "event", "parameters": {"name": "color", "data": {"red": 900}}},
                {"action": "event", "parameters": {"name": "color", "data": 5}},
                {"action": "telemetry", "parameters": "x"}, {"action": "telemetry"},
                {"action": "telemetry", "parameters": {"x": "y" * 200_000}},
                {"action": "reply", "parameters": [1]}, {"action": "reply"},
                {"action": "register", "parameters": {}}, {"action": "updateNodeList"},
            ):  # fmt: skip
                await one.tab.say(UP, bad)
                assert (await one.hear("error"))["action"] == bad["action"], bad
            assert len(raised) == 1


async def test_a_command_that_was_not_answered_comes_again_under_its_id(tmp_path):
    async with open_world(tmp_path) as (house, address):
        core, token = house.core, await node(address, house)
        async with speaking(address, "node", token) as one:
            command = await core.commands.send("NODE-1", "set", {"values": {"a": 1}}, "ann", expires_in_s=900)
            told = await one.hear("command")
            assert told["id"] == command.id and told["expires_at"] == command.expires_at_ms
        await until(lambda: presence(house).state == "offline")
        async with speaking(address, "node") as one:
            await one.log_in(token)
            assert (await one.hear("command")) == told
            await one.say("reply", id=command.id, status="failed", error="no lamp")
            await until(lambda: core.commands.get(command.id, "NODE-1").error == "no lamp")


async def test_the_newest_session_wins_and_a_late_disconnect_does_no_harm(tmp_path):
    async with open_world(tmp_path) as (house, address):
        token = await node(address, house)
        id, _ = await program(house)
        async with speaking(address, "node", token) as old:
            since_ms = presence(house).since_ms
            async with speaking(address, "node", token) as new:
                assert "Another" in (await old.hear("loginFailed"))["msg"]
                assert await old.cut_off()
                await until(lambda: len(house.core.presence._entries["NODE-1"].sessions) == 1)
                assert (presence(house).state, presence(house).since_ms) == ("online", since_ms)
                await new.log_in(token)
                await new.ask("queue", "queued", recipient=id, parameters={})
                assert presence(house).state == "online"
            await until(lambda: presence(house).state == "offline")


@pytest.mark.parametrize("way", ["revoke", "delete", "replace"])
async def test_its_session_ends_within_two_seconds_of_its_rights(tmp_path, way):
    async with open_world(tmp_path) as (house, address):
        core, token = house.core, await node(address, house)
        async with speaking(address, "node", token) as one:
            if way == "replace":
                async with speaking(address, "node") as thief:
                    await thief.ask("register", "registered", information={}, serial="NODE-1")
                (claim,) = core.registry.claims()
                await core.decisions.approve_claim(claim.number, TECHNICIAN)
            else:
                await getattr(core.registry, way)("NODE-1", ADMIN)
            with anyio.fail_after(2):
                assert "not valid" in (await one.hear("loginFailed"))["msg"]
                await one.cut_off()
        if way != "delete":
            assert presence(house).state == "offline"
        async with speaking(address, "node") as one:
            assert "not valid" in (await one.ask("login", "loginFailed", token=token))["msg"]


async def test_a_socket_may_log_in_as_another_module(tmp_path):
    async with open_world(tmp_path) as (house, address):
        first, second = await node(address, house), await node(address, house, serial="NODE-2")
        async with speaking(address, "node", first) as one:
            await one.log_in(second)
            assert presence(house).state == "offline" and presence(house, "NODE-2").state == "online"
            assert "session" in await one.refused("update", token=first, information={})
            await one.say("telemetry", a=1)
            await until(lambda: house.core.telemetry.latest("NODE-2") == {"a": 1})
            assert house.core.telemetry.latest("NODE-1") == {}


async def test_one_module_on_two_transports_stays_online_while_one_is_left(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await approved(house.core)
        async with device(house, "MC-1", token) as other:
            await other.subscribe("MC-1/down/#")
            async with speaking(address, "node", token):
                assert presence(house, "MC-1").state == "online"
            await until(lambda: len(house.core.presence._entries["MC-1"].sessions) == 1)
            assert presence(house, "MC-1").state == "online"


async def test_a_nodes_queue_waits_for_it_and_others_cannot_process_it(tmp_path):
    async with open_world(tmp_path) as (house, address):
        token, foreign = await node(address, house), await node(address, house, serial="NODE-2")
        id, clients_token = await program(house)
        async with speaking(address, "client", clients_token) as panel:
            for number in range(2):
                await panel.ask("queue", "queued", recipient="NODE-1", parameters={"n": number})
            assert "not online" in await panel.refused("forward", recipient="NODE-1", parameters={})
            async with speaking(address, "node") as one, speaking(address, "node", foreign) as other:
                queue = (await one.log_in(token))["queue"]
                assert [(row["sender"], row["parameters"]["n"]) for row in queue] == [(id, 0), (id, 1)]
                said = queue[0]["queue_id"]
                assert "no pending response" in await other.refused("processQueue", queue_id=said)
                assert "no pending response" in await panel.refused("processQueue", queue_id=said)
                told = await one.ask("processQueue", "updateQueue", queue_id=said)
                assert told["queue"] == queue[1:]
                told = await one.ask("processQueue", "updateQueue", queue_id=queue[1]["queue_id"])
                assert told == {"queue": []}
