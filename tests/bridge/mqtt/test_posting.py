"""`up/instance` and `down/instance`: modules on MQTT and programs, over the real embedded broker."""

import json

import pytest

from bridge.mqtt import posting
from gateway.core.envelope import Caller
from gateway.core.mailbox import Party
from tests.bridge.house import device, enrol, open_house, until
from tests.gateway.core.heart import approved

pytestmark = pytest.mark.anyio


class Program:
    """Asks as a program would; hears what the instance would tell it over its socket."""

    def __init__(self, house, id):
        self.house, self.id, self.told = house, id, []
        house.core.instance.carry(self)

    def listens(self, to):
        return to == Party("client", self.id)

    def deliver(self, to, reply):
        if self.listens(to):
            self.told.append((reply.action, reply.parameters))
        return self.listens(to)

    async def ask(self, action, **parameters):
        message = {"action": action, "parameters": parameters}
        caller = Caller(party=Party("client", self.id), address="10.0.0.9")
        return await self.house.core.instance.answer("client", message, caller)


async def program(house):
    registered, _ = await house.core.clients.register({}, "10.0.0.9")
    return Program(house, registered.id)


async def ask(module, action, **parameters):
    """What it is answered."""
    await module.say("MC-1/up/instance", {"action": action, "parameters": parameters})
    topic, answer = await module.hear()
    assert topic == "MC-1/down/instance"
    return answer["action"], answer["parameters"]


async def test_forward_and_queue_go_both_ways(tmp_path):
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core)
        panel = await program(house)
        async with device(house, "MC-1", token) as module:
            reply = await panel.ask("forward", recipient="MC-1", parameters={"a": 1})
            assert "not online" in reply.parameters["msg"], "it does not listen yet"
            await module.subscribe("MC-1/down/#")
            assert (await panel.ask("forward", recipient="MC-1", parameters={"a": 1})).fault is None
            assert await module.hear() == (
                "MC-1/down/instance",
                {"action": "forward", "parameters": {"sender": panel.id, "parameters": {"a": 1}}},
            )
            await panel.ask("queue", recipient="MC-1", parameters={"a": 2})
            _, told = await module.hear()
            (row,) = told["parameters"]["queue"]
            assert (told["action"], row["sender"], row["parameters"]) == ("updateQueue", panel.id, {"a": 2})
            for said in (row["queue_id"] + 1, "x", None):
                action, refused = await ask(module, "processQueue", queue_id=said)
                assert (action, refused["action"]) == ("error", "processQueue")
            assert await ask(module, "processQueue", queue_id=row["queue_id"]) == (
                "updateQueue",
                {"queue": []},
            )
            back = {"recipient": str(panel.id), "parameters": [1]}
            assert await ask(module, "forward", **back) == ("forwarded", {"recipient": panel.id})
            assert panel.told == [("forward", {"sender": "MC-1", "parameters": [1]})]
            action, queued = await ask(module, "queue", **back)
            assert (action, queued["recipient"]) == ("queued", panel.id)
            assert panel.told[-1][1]["queue"][0]["queue_id"] == queued["queue_id"]
            assert await ask(module, "update", information={"name": "mill"}) == ("updated", {})
            assert house.core.registry.get("MC-1").name == "mill"
            assert house.core.presence.of("MC-1").state == "online"


async def test_what_waits_comes_after_the_hello_and_survives_a_restart(tmp_path):
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core)
        panel = await program(house)
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/#")
            await module.say("MC-1/up/register")
            assert (await module.hear())[0] == "MC-1/down/registered"
            assert await module.heard_nothing(), "nothing waits, so nothing is said of it"
            assert await ask(module, "login") == ("logged", {"information": {}, "queue": []})
        for number in range(2):
            await panel.ask("queue", recipient="MC-1", parameters={"n": number})
    async with open_house(tmp_path) as house, device(house, "MC-1", token) as module:
        await module.subscribe("MC-1/down/#")
        await module.say("MC-1/up/register")
        assert (await module.hear())[0] == "MC-1/down/registered"
        topic, told = await module.hear()
        assert (topic, told["action"]) == ("MC-1/down/instance", "logged")
        queue = told["parameters"]["queue"]
        assert [row["parameters"]["n"] for row in queue] == [0, 1]
        assert "content" not in queue[0]
        action, told = await ask(module, "processQueue", queue_id=queue[0]["queue_id"])
        assert (action, told["queue"]) == ("updateQueue", queue[1:])


async def test_a_long_queue_comes_in_pieces_that_a_small_device_can_take(tmp_path, monkeypatch):
    monkeypatch.setattr(posting, "MOST_QUEUE_BYTES", 1000)
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core)
        panel = await program(house)
        for number in range(5):
            await panel.ask("queue", recipient="MC-1", parameters={"n": number, "x": "y" * 400})
        await panel.ask("queue", recipient="MC-1", parameters="z" * 5000)
        seen = []
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/#")
            _, told = await ask(module, "login")
            while told["queue"]:
                assert len(json.dumps(told["queue"])) < 2000 or len(told["queue"]) == 1
                seen.append(told["queue"][0]["parameters"])
                _, told = await ask(module, "processQueue", queue_id=told["queue"][0]["queue_id"])
        assert [value["n"] for value in seen[:5]] == [0, 1, 2, 3, 4] and seen[5] == "z" * 5000


@pytest.mark.parametrize("payload", [
    b"", b"{", b"\xff", b"[]", b"5", b"{}", b'{"action":5}', b'{"action":"fly"}', b'{"action":"forward"}',
    b'{"action":"register","parameters":{"information":{}}}', b"[" * 5000,
    b'{"action":"updateNodeList"}', b'{"action":"update","parameters":{"information":{},"token":"x"}}',
    b'{"action":"queue","parameters":{"recipient":99,"parameters":{}}}',
])  # fmt: skip
async def test_what_does_not_fit_is_answered_and_the_session_lives(tmp_path, payload):
    async with open_house(tmp_path) as house:
        _, token = await approved(house.core)
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/#")
            await module.say("MC-1/up/instance", payload)
            topic, told = await module.hear()
            assert (topic, told["action"]) == ("MC-1/down/instance", "error")
            assert told["parameters"]["msg"].endswith(".")
            await module.say("MC-1/up/telemetry", {"a": 1})
            await until(lambda: house.core.telemetry.latest("MC-1") == {"a": 1})
            assert len(list(house.core.registry.all())) == 1


async def test_a_pending_module_says_nothing_to_anybody(tmp_path):
    async with open_house(tmp_path) as house:
        granted = await enrol(house)
        panel = await program(house)
        async with device(house, "MC-1", granted["token"]) as module:
            await module.subscribe("MC-1/down/registered")
            message = {"action": "queue", "parameters": {"recipient": panel.id, "parameters": {}}}
            await module.say("MC-1/up/register")
            await module.say("MC-1/up/instance", message)
            assert await module.heard_nothing()
        assert house.core.mailbox.of(Party("client", panel.id)) == []
