"""Programs over `client.to.instance`, by python-socketio's client against a real server."""

import asyncio
import logging

import anyio
import pytest

from bridge.sockets import voice
from gateway.core import instance
from tests.bridge.house import device, until
from tests.bridge.sockets.instances import node, open_world, program, speaking
from tests.bridge.sockets.tabs import tab
from tests.gateway.core.heart import ADMIN, approved

pytestmark = pytest.mark.anyio
UP, DOWN, MISSPELT = "client.to.instance", "instance.to.client", "instace.to.client"


@pytest.mark.parametrize("transports", [("websocket",), ("polling",)])
async def test_the_documented_conversation_word_for_word(tmp_path, transports):
    async with open_world(tmp_path) as (_, address), tab(address, transports=transports) as one:

        async def ask(message):
            """Answered under the right name, and under the one that is in the document."""
            await one.say(UP, message)
            (first, told), (second, again) = await one.hear(DOWN), await one.hear(MISSPELT)
            assert (first, second) == (DOWN, MISSPELT) and told == again
            return told

        information = {"name": "wall panel", "location": "hall"}
        told = await ask({"action": "register", "parameters": {"information": information}})
        assert told["action"] == "registered" and set(told["parameters"]) == {"token", "id"}
        token, id = told["parameters"]["token"], told["parameters"]["id"]
        assert type(id) is int and token.isalnum() and len(token) == 43
        told = await ask({"action": "login", "parameters": {"token": token}})
        assert told == {"action": "logged", "parameters": {"information": information, "queue": []}}
        update = {"token": token, "information": {"name": "new"}}
        told = await ask({"action": "update", "parameters": update})
        assert told == {"action": "updated", "parameters": {}}
        told = await ask({"action": "login", "parameters": {"Token": token}})
        assert told["parameters"]["information"] == {"name": "new"}
        told = await ask({"action": "login", "parameters": {"token": "x" * 43}})
        assert told["action"] == "loginFailed" and set(told["parameters"]) == {"msg"}
        told = await ask({"action": "fly", "parameters": {}})
        assert told["action"] == "error" and set(told["parameters"]) == {"action", "msg"}
        assert told["parameters"]["action"] == "fly"


async def test_without_compat_there_is_one_spelling(tmp_path):
    async with open_world(tmp_path, compat="off") as (house, address):
        id, token = await program(house)
        module, _ = await approved(house.core)
        await house.core.instance.answer(
            "module", {"action": "queue", "recipient": id, "parameters": {"a": 1}}, _caller(module)
        )
        async with speaking(address, "client") as one:
            (row,) = (await one.log_in(token))["queue"]
            assert set(row) == {"queue_id", "sender", "parameters", "created_at"}
            await one.say("fly")
            await one.tab.hear(DOWN)
            await one.say("fly")
            await one.tab.hear(DOWN)
            assert one.tab.passed() == []


def _caller(module):
    return instance.Caller(party=instance.Party("module", module.number), address="10.0.0.1")


BAD = (
    None, "login", 5, [], {}, {"action": None}, {"action": "login"}, {"action": "login", "parameters": 5},
    {"action": "login", "parameters": {"token": None}}, {"action": "login", "parameters": {"token": ""}},
    {"action": "login", "parameters": {"token": 5}}, {"action": "register", "parameters": {}},
    {"action": "update", "parameters": {"information": {}}}, {"action": "forward", "parameters": {}},
    {"action": "queue", "parameters": {"recipient": 1, "parameters": {}}}, {"action": "processQueue"},
    {"action": "updateNodeList"}, {"action": ["login"]}, {"action": "login", "token": "a", "Token": "b"},
)  # fmt: skip


async def test_bad_or_missing_parameters_are_answered_and_nothing_breaks(tmp_path, caplog):
    async with open_world(tmp_path) as (_, address), speaking(address, "client") as one:
        for data in BAD:
            await one.tab.say(UP, data)
            _, told = await one.tab.hear(DOWN)
            is_login = isinstance(data, dict) and data.get("action") == "login"
            assert told["action"] == ("loginFailed" if is_login else "error"), data
            assert told["parameters"]["msg"].endswith(".")
        assert "Traceback" not in caplog.text
        assert await one.ask("register", "registered", information={})


async def test_wrong_tokens_are_throttled_by_socket_and_address(tmp_path):
    async with open_world(tmp_path, rate_limits=True) as (house, address):
        _, token = await program(house)
        for throttle in (house.core.instance._tries, house.core.instance._tries_of_address):
            throttle._clock = lambda: 1000.0
        async with speaking(address, "client") as thief:
            for _ in range(instance.TRIES):
                assert "not valid" in (await thief.ask("login", "loginFailed", token="x"))["msg"]
            assert "Too many" in (await thief.ask("login", "loginFailed", token=token))["msg"]
            async with speaking(address, "client", token) as honest:
                await honest.ask("updateNodeList", "updateOnlineNodes")
        for _ in range(instance.TRIES_OF_ADDRESS // instance.TRIES - 1):
            async with speaking(address, "client") as thief:
                for _ in range(instance.TRIES):
                    assert "not valid" in (await thief.ask("login", "loginFailed", token="x"))["msg"]
        async with speaking(address, "client") as anybody:
            assert "Too many" in (await anybody.ask("login", "loginFailed", token=token))["msg"]


async def test_the_newest_session_wins_and_a_late_disconnect_does_no_harm(tmp_path):
    async with open_world(tmp_path) as (house, address):
        id, token = await program(house)
        module, _ = await approved(house.core)
        async with speaking(address, "client", token) as old, speaking(address, "client", token) as new:
            assert "Another" in (await old.hear("loginFailed"))["msg"]
            assert await old.cut_off()
            reply = await house.core.instance.answer(
                "module", {"action": "forward", "recipient": id, "parameters": {"a": 1}}, _caller(module)
            )
            assert reply.action == "forwarded"
            assert await new.hear("forward") == {"sender": "MC-1", "parameters": {"a": 1}}
            # The same socket may log in again, also as somebody else.
            await new.log_in(token)
            other, others_token = await program(house)
            await new.log_in(others_token)
            for recipient, action in ((id, "error"), (other, "forwarded")):
                message = {"action": "forward", "recipient": recipient, "parameters": {}}
                assert (await house.core.instance.answer("module", message, _caller(module))).action == action


async def test_removal_ends_the_socket_within_two_seconds(tmp_path):
    async with open_world(tmp_path) as (house, address):
        id, token = await program(house)
        async with speaking(address, "client", token) as one:
            await house.core.clients.remove(id, ADMIN)
            with anyio.fail_after(2):
                assert "removed" in (await one.hear("loginFailed"))["msg"]
                await one.cut_off()
        async with speaking(address, "client") as one:
            assert "not valid" in (await one.ask("login", "loginFailed", token=token))["msg"]


async def test_the_online_list_is_pushed_when_it_changes_to_whoever_may_see_it(tmp_path):
    async with open_world(tmp_path) as (house, address):
        core = house.core
        olga = core.accounts.people.named("olga").id
        ours, _ = await approved(core, "HOUSE-1")
        hers, _ = await approved(core, "OLGA-1", owner_id=olga)
        _, nobodys = await program(house)
        olgas_id, olgas = await program(house, owner="olga")
        async with speaking(address, "client", nobodys) as free, speaking(address, "client", olgas) as mine:

            async def pushed(one):
                told = await one.hear("updateOnlineNodes")
                return {row["node_id"]: row["information"] for row in told["onlineNodes"]}

            assert (await mine.ask("updateNodeList", "updateOnlineNodes")) == {"onlineNodes": []}
            core.presence.heard(hers)
            assert await pushed(mine) == {"OLGA-1": {}}
            core.presence.heard(ours)
            assert await pushed(free) == {"HOUSE-1": {}}, "of what is not its own it never heard"
            assert await pushed(mine) == {"OLGA-1": {}, "HOUSE-1": {}}
            await core.registry.edit("OLGA-1", ADMIN, name="mill")
            assert (await pushed(mine))["OLGA-1"] == {"name": "mill"}
            core.presence.gone(ours, "goodbye")
            assert await pushed(free) == {}
            assert set(await pushed(mine)) == {"OLGA-1"}
            await core.clients.give(olgas_id, None, core.accounts.people.named("ann").person)
            assert await pushed(mine) == {}
            assert DOWN not in free.tab.passed()


async def test_what_was_answered_is_known_and_what_changes_after_it_is_told(tmp_path):
    async with open_world(tmp_path) as (house, address):
        module, _ = await approved(house.core)
        _, token = await program(house)
        async with speaking(address, "client", token) as one:
            for _ in range(3):
                # Faster than lists are pushed: without a look at the answer, nothing would have changed.
                house.core.presence.heard(module)
                rows = (await one.ask("updateNodeList", "updateOnlineNodes"))["onlineNodes"]
                house.core.presence.gone(module, "goodbye")
                while rows:
                    rows = (await one.hear("updateOnlineNodes"))["onlineNodes"]


async def test_forwards_and_queues_to_modules_of_both_transports_and_back(tmp_path):
    async with open_world(tmp_path) as (house, address):
        id, token = await program(house)
        on_socket = await node(address, house)
        _, on_mqtt = await approved(house.core, "MC-1")
        async with (
            speaking(address, "client", token) as panel, speaking(address, "node", on_socket) as lamp,
            device(house, "MC-1", on_mqtt) as mill,
        ):  # fmt: skip
            assert await mill.subscribe("MC-1/down/#") == [1]

            async def both(action):
                """What the two modules hear when the program does this, under the topic and event."""
                told = []
                for recipient in ("NODE-1", "MC-1"):
                    done = {"forward": "forwarded", "queue": "queued"}[action]
                    message = {"recipient": recipient, "parameters": {"do": action}}
                    assert (await panel.ask(action, done, **message))["recipient"] == recipient
                _, message = await lamp.tab.hear("instance.to.node")
                told = [message]
                topic, message = await mill.hear()
                assert topic == "MC-1/down/instance"
                return told, [message]

            expected = {"sender": id, "parameters": {"do": "forward"}}
            assert await both("forward") == ([{"action": "forward", "parameters": expected}],) * 2
            assert (await lamp.tab.hear("client.to.node"))[1] == {"sender": id, "content": {"do": "forward"}}
            rows = [message[0]["parameters"]["queue"][0] for message in await both("queue")]
            assert [(row["sender"], row["parameters"]) for row in rows] == [(id, {"do": "queue"})] * 2
            # And back.
            for parameters in ({"recipient": id, "parameters": {"did": 1}},):
                assert await lamp.ask("forward", "forwarded", **parameters) == {"recipient": id}
                assert await panel.hear("forward") == {"sender": "NODE-1", "parameters": {"did": 1}}
                field = (await panel.tab.hear("node.to.client"))[1]
                assert field == {"sender": "NODE-1", "content": {"did": 1}}
                await mill.say("MC-1/up/instance", {"action": "forward", "parameters": parameters})
                assert await mill.hear() == (
                    "MC-1/down/instance", {"action": "forwarded", "parameters": {"recipient": id}},
                )  # fmt: skip
                assert await panel.hear("forward") == {"sender": "MC-1", "parameters": {"did": 1}}
                await lamp.ask("queue", "queued", **parameters)
                await mill.say("MC-1/up/instance", {"action": "queue", "parameters": parameters})
                assert (await mill.hear())[1]["action"] == "queued"
            queue = (await panel.hear("updateQueue"))["queue"]
            if len(queue) == 1:
                queue = (await panel.hear("updateQueue"))["queue"]
            assert [(row["sender"], row["parameters"], row["content"]) for row in queue] == [
                ("NODE-1", {"did": 1}, {"did": 1}), ("MC-1", {"did": 1}, {"did": 1}),
            ]  # fmt: skip


async def test_pending_responses_outlive_the_gateway_and_leave_by_processing_alone(tmp_path):
    async with open_world(tmp_path) as (house, address):
        id, token = await program(house)
        _, strangers = await program(house)
        module, _ = await approved(house.core)
        for number in range(3):
            message = {"action": "queue", "recipient": id, "parameters": {"n": number}}
            assert (await house.core.instance.answer("module", message, _caller(module))).action == "queued"
        async with speaking(address, "client") as one:
            assert len((await one.log_in(token))["queue"]) == 3
    async with open_world(tmp_path) as (house, address):
        async with speaking(address, "client") as one, speaking(address, "client", strangers) as other:
            queue = (await one.log_in(token))["queue"]
            assert [row["parameters"]["n"] for row in queue] == [0, 1, 2]
            assert all(row["sender"] == "MC-1" for row in queue)
            assert "no pending response" in await other.refused("processQueue", queue_id=queue[0]["queue_id"])
            rest = (await one.ask("processQueue", "updateQueue", queue_id=queue[1]["queue_id"]))["queue"]
            assert rest == [queue[0], queue[2]]
            assert "no pending response" in await one.refused("processQueue", queue_id=queue[1]["queue_id"])
        async with speaking(address, "client") as one:
            assert (await one.log_in(token))["queue"] == rest
    async with open_world(tmp_path) as (house, address), speaking(address, "client") as one:
        assert (await one.log_in(token))["queue"] == rest


async def test_a_token_in_every_message_serves_a_socket_that_never_logged_in(tmp_path):
    async with open_world(tmp_path) as (house, address):
        _, token = await program(house)
        await approved(house.core)
        message = {"recipient": "MC-1", "parameters": {"a": 1}, "token": token}
        async with speaking(address, "client") as one:
            assert (await one.ask("queue", "queued", **message))["recipient"] == "MC-1"
            assert "log in" in await one.refused("queue", recipient="MC-1", parameters={})
            await one.tab.say(UP, {"action": "updateNodeList", "authentication": {"token": token}})
            assert (await one.hear("updateOnlineNodes"))["onlineNodes"] == []
            assert len(house.core.mailbox.of(instance.Party("module", 1))) == 1


async def test_a_program_that_does_not_read_gets_no_forwards_and_its_queue_later(tmp_path, monkeypatch):
    async with open_world(tmp_path) as (house, address):
        id, token = await program(house)
        module, _ = await approved(house.core)
        async with speaking(address, "client", token) as one:
            with monkeypatch.context() as slow:
                slow.setattr(voice, "MOST_UNREAD", -1)
                ask = house.core.instance.answer
                message = {"recipient": id, "parameters": {"a": 1}}
                assert (await ask("module", {"action": "forward"} | message, _caller(module))).fault
                assert not (await ask("module", {"action": "queue"} | message, _caller(module))).fault
                await asyncio.sleep(0)
            assert len((await one.hear("updateQueue"))["queue"]) == 1


async def test_no_token_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.DEBUG):
        async with open_world(tmp_path) as (house, address):
            async with speaking(address, "client") as one:
                token = (await one.ask("register", "registered", information={}))["token"]
                await one.log_in(token)
                await one.ask("update", "updated", token=token, information={})
                await one.refused("queue", token=token, recipient="X", parameters={"token": token})
                told = await one.ask("login", "loginFailed", token=token + "x")
                assert token not in str(told)
                await until(lambda: house.core.clients.by_token(token).last_login_ms)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("socketio.client")]
    assert not any(token in line for line in ours)
