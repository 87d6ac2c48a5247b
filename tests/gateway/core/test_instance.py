"""The instance dialect's acts, whoever carries them: who one is, who one may reach, what is answered."""

import pytest

from gateway.core import instance
from gateway.core.envelope import Caller, Envelope, Reply
from gateway.core.mailbox import Party
from gateway.core.rights import Role
from tests.gateway.core.heart import ADMIN, PASSWORD, TECHNICIAN, Clock, approved, open_heart

pytestmark = pytest.mark.anyio
HERE = Caller(address="10.0.0.9", socket="s1")


class Ear:
    """A transport on which these parties listen."""

    def __init__(self, core, *parties):
        self.parties, self.heard = set(parties), []
        core.instance.carry(self)

    def listens(self, to):
        return to in self.parties

    def deliver(self, to, reply):
        if to in self.parties:
            self.heard.append((to, reply.action, reply.parameters))
        return to in self.parties


class World:
    def __init__(self, core):
        self.core = core

    async def people(self):
        """A program of nobody's and one of Olga's; modules of nobody, Olga and Sam, all online."""
        people = self.core.accounts.people
        self.olga, self.sam = [await people.add(name, PASSWORD, Role.USER, "ann") for name in ("olga", "sam")]
        self.free, self.free_token = await self.core.clients.register({"name": "free"}, "10.0.0.9")
        self.hers, self.hers_token = await self.core.clients.register({"name": "hers"}, "10.0.0.9")
        await self.core.clients.give(self.hers.id, self.olga.id, ADMIN)
        self.tokens = {}
        for id, owner in (("FREE-1", None), ("OLGA-1", self.olga.id), ("SAM-1", self.sam.id)):
            module, self.tokens[id] = await approved(self.core, id, owner_id=owner)
            self.core.presence.heard(module)
        return self

    async def ask(self, kind, action, token=None, caller=HERE, **parameters):
        given = {"token": token} if token is not None else {}
        message = {"action": action, "parameters": parameters | given}
        return await self.core.instance.answer(kind, message, caller)

    def party(self, id):
        return Party("module", self.core.registry.get(id).number)


def open_world(folder, **settings):
    return open_heart(folder, **({"rate_limits": False} | settings))


# Shapes


@pytest.mark.parametrize("data", [
    None, "text", 5, [], {}, {"action": None}, {"action": ""}, {"action": 5, "parameters": {}},
    {"action": "login", "parameters": []}, {"action": "login", "parameters": "x"},
    {"action": "nonsense", "parameters": {}}, {"action": "x" * 1000},
    {"action": "register", "parameters": {}}, {"action": "register", "parameters": {"information": 5}},
    {"action": "forward", "parameters": {"recipient": "FREE-1", "parameters": {}}},
    {"action": "queue"}, {"action": "processQueue", "parameters": {"queue_id": 1}},
    {"action": "updateNodeList", "parameters": {}}, {"action": "update", "parameters": {"information": {}}},
    {"action": "update", "parameters": {"token": "x", "Token": "y", "information": {}}},
])  # fmt: skip
@pytest.mark.parametrize("kind", ["client", "module"])
async def test_what_does_not_fit_is_a_refusal_with_a_sentence(tmp_path, kind, data):
    async with open_world(tmp_path) as core:
        reply = await core.instance.answer(kind, data, HERE)
        said = data.get("action") if isinstance(data, dict) else None
        assert reply.fault is not None and reply.parameters["msg"].endswith(".")
        if said == "login":
            assert (reply.action, list(reply.parameters)) == ("loginFailed", ["msg"])
        else:
            expected = said[:64] if isinstance(said, str) else ""
            assert (reply.action, reply.parameters["action"]) == ("error", expected)


def envelope(**message):
    return Envelope.of({"action": "a"} | message)


@pytest.mark.parametrize("message", [
    {"parameters": {"token": "t"}}, {"parameters": {"Token": "t"}}, {"authentication": {"token": "t"}},
    {"authentication": {"Token": "t"}}, {"token": "t"}, {"Token": "t", "parameters": None},
    {"parameters": {"authentication": {"token": "t"}}},
    {"parameters": {"token": "t", "Token": None}, "authentication": {"token": "t"}, "token": "t"},
])  # fmt: skip
def test_a_token_is_found_wherever_it_may_stand(message):
    assert envelope(**message).token == "t"


@pytest.mark.parametrize("message", [
    {"token": "a", "parameters": {"token": "b"}}, {"token": "a", "authentication": {"token": ""}},
    {"token": "1", "parameters": {"token": 1}}, {"token": 1, "parameters": {"token": True}},
    {"token": "a", "Token": "b"},
])  # fmt: skip
def test_tokens_that_disagree_are_refused(message):
    with pytest.raises(instance.GatewayError):
        envelope(**message)


def test_recipient_and_content_stand_within_or_beside_the_parameters():
    for message in (
        {"parameters": {"recipient": 5, "parameters": {"a": 1}, "token": "t"}},
        {"recipient": 5, "parameters": {"a": 1, "token": "t"}},
    ):
        found = envelope(**message)
        assert (found.recipient, found.message(), found.token) == (5, {"a": 1}, "t")
    assert "t" not in repr(found).replace("Envelope", "")


# Who one is


async def test_registering_logging_in_and_updating_as_a_program(tmp_path):
    async with open_world(tmp_path) as core:
        world = World(core)
        reply = await world.ask("client", "register", information={"name": "wall"})
        assert reply.action == "registered" and set(reply.parameters) == {"token", "id"}
        token, id = reply.parameters["token"], reply.parameters["id"]
        reply = await world.ask("client", "login", token)
        assert reply.envelope == {
            "action": "logged", "parameters": {"information": {"name": "wall"}, "queue": []},
        }  # fmt: skip
        assert reply.party == Party("client", id)
        assert core.clients.get(id).last_login_ms is not None
        reply = await world.ask("client", "update", token, information={"name": "door"})
        assert reply.envelope == {"action": "updated", "parameters": {}}
        assert (await world.ask("client", "login", token)).parameters["information"] == {"name": "door"}


async def test_a_node_is_a_module_of_the_registry(tmp_path):
    async with open_world(tmp_path) as core:
        world = World(core)
        reply = await world.ask(
            "module", "register", serial="MC-9", type="0", hash="abc",
            information={"name": "lamp", "location": "hall", "x": 1},
        )  # fmt: skip
        told = reply.parameters
        assert (reply.action, told["id"], told["status"], told["retry_after"]) == (
            "registered", "MC-9", "pending", 10,
        )  # fmt: skip
        module = core.registry.get("MC-9")
        assert (module.type, module.name, module.location, module.life) == (0, "lamp", "hall", "pending")
        reply = await world.ask("module", "login", told["token"])
        assert reply.action == "loginFailed" and "approval" in reply.parameters["msg"]
        assert not core.presence.of("MC-9").state == "online"
        await core.decisions.approve(["MC-9"], TECHNICIAN)
        reply = await world.ask("module", "login", told["token"])
        information = {"name": "lamp", "location": "hall", "x": 1}
        assert reply.parameters == {"information": information, "hash": "abc", "queue": []}
        assert core.presence.of("MC-9").state == "online"
        assert (await world.ask("module", "update", told["token"], hash="def", information={
            "name": "new lamp", "location": "attic",
        })).parameters == {}  # fmt: skip
        module = core.registry.get("MC-9")
        assert (module.name, module.location, module.information["hash"]) == ("new lamp", "attic", "def")
        await core.registry.edit("MC-9", ADMIN, name="Ann's lamp")
        await world.ask("module", "update", told["token"], information={"name": "x", "location": "y"})
        module = core.registry.get("MC-9")
        assert (module.name, module.location) == ("Ann's lamp", "y"), "what a person said stays"
        rows = await core.audit.rows(subject="MC-9")
        assert rows[0]["action"] == "module.update" and rows[0]["who"] == "MC-9"


@pytest.mark.parametrize("parameters", [
    {}, {"information": []}, {"information": {}, "type": "x"}, {"information": {}, "type": 5000},
    {"information": {}, "type": True}, {"information": {}, "serial": 5}, {"information": {}, "hash": {}},
    {"information": {}, "hash": "x" * 300}, {"information": {}, "shared_key": 5},
    {"information": {}, "hardware": 1}, {"information": {}, "shared_key": "wrong", "serial": "MC-1"},
])  # fmt: skip
async def test_a_node_that_registers_wrongly_is_refused(tmp_path, parameters):
    async with open_world(tmp_path) as core:
        reply = await World(core).ask("module", "register", **parameters)
        assert reply.action == "error" and not list(core.registry.all())


async def test_nobody_is_somebody_else(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        for kind, token in (
            ("client", ""), ("client", None), ("client", 5), ("client", world.tokens["FREE-1"]),
            ("module", world.free_token), ("module", ""), ("module", True), ("module", []),
        ):  # fmt: skip
            assert (await world.ask(kind, "login", token)).action == "loginFailed", (kind, token)
            assert (await world.ask(kind, "update", token, information={})).action == "error"
        me = Caller(party=Party("client", world.free.id), address="10.0.0.9", socket="s1")
        reply = await world.ask("client", "update", world.hers_token, me, information={"name": "me"})
        assert reply.action == "error" and core.clients.get(world.hers.id).name == "hers"
        reply = await world.ask("client", "update", None, me, information={"name": "me"})
        assert reply.action == "updated" and core.clients.get(world.free.id).name == "me"
        await core.clients.remove(world.free.id, ADMIN)
        reply = await world.ask("client", "update", None, me, information={"name": "ghost"})
        assert reply.action == "error"
        await core.registry.revoke("FREE-1", ADMIN)
        assert (await world.ask("module", "login", world.tokens["FREE-1"])).action == "loginFailed"


async def test_wrong_tokens_are_counted_by_socket_and_by_address_and_not_looked_at_then(tmp_path):
    async with open_world(tmp_path, rate_limits=True) as core:
        world = await World(core).people()
        for throttle in (core.instance._tries, core.instance._tries_of_address):
            throttle._clock = lambda: 1000.0
        for _ in range(instance.TRIES):
            reply = await world.ask("client", "login", "wrong")
            assert "not valid" in reply.parameters["msg"]
        for token in ("wrong", world.free_token):
            reply = await world.ask("client", "login", token)
            assert reply.action == "loginFailed" and "Too many" in reply.parameters["msg"]
        other = Caller(address="10.0.0.9", socket="s2")
        assert (await world.ask("client", "login", world.free_token, other)).action == "logged"
        # A module that waits for its approval asks again and again, and is no thief.
        for count in range(instance.TRIES_OF_ADDRESS - instance.TRIES):
            socket = Caller(address="10.0.0.9", socket=f"n{count}")
            assert "not valid" in (await world.ask("client", "login", "wrong", socket)).parameters["msg"]
        assert "Too many" in (await world.ask("client", "login", world.free_token, other)).parameters["msg"]
        elsewhere = Caller(address="10.0.0.8", socket="s3")
        assert (await world.ask("client", "login", world.free_token, elsewhere)).action == "logged"


async def test_a_pending_modules_logins_are_no_wrong_tries(tmp_path):
    async with open_world(tmp_path, rate_limits=True) as core:
        world = World(core)
        told = (await world.ask("module", "register", information={}, serial="MC-9")).parameters
        for _ in range(instance.TRIES * 10):
            assert "approval" in (await world.ask("module", "login", told["token"])).parameters["msg"]


async def test_one_party_cannot_flood(tmp_path):
    async with open_world(tmp_path, rate_limits=True) as core:
        world = await World(core).people()
        core.instance._pace._clock = lambda: 1000.0
        me = Caller(party=Party("client", world.free.id), address="10.0.0.9", socket="s1")
        for _ in range(instance.BURST):
            assert (await world.ask("client", "updateNodeList", None, me)).fault is None
        assert "Too many" in (await world.ask("client", "updateNodeList", None, me)).parameters["msg"]


# Whom one may reach


async def test_a_program_sees_online_modules_of_its_owner_and_of_nobody(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        await approved(core, "OFF-1")

        async def nodes(token):
            reply = await world.ask("client", "updateNodeList", token)
            assert reply.action == "updateOnlineNodes"
            return {node["node_id"]: node["information"] for node in reply.parameters["onlineNodes"]}

        assert await nodes(world.free_token) == {"FREE-1": {}}
        assert set(await nodes(world.hers_token)) == {"FREE-1", "OLGA-1"}
        await core.registry.edit("OLGA-1", ADMIN, name="mill")
        assert (await nodes(world.hers_token))["OLGA-1"] == {"name": "mill"}
        await core.clients.give(world.hers.id, world.sam.id, ADMIN)
        assert set(await nodes(world.hers_token)) == {"FREE-1", "SAM-1"}
        reply = await world.ask("module", "updateNodeList", world.tokens["FREE-1"])
        assert reply.action == "error"


async def test_what_one_may_not_see_does_not_exist(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        Ear(core, *map(world.party, world.tokens), *(Party("client", n) for n in (1, 2)))
        reach = {
            ("client", world.free_token): {"FREE-1"},
            ("client", world.hers_token): {"FREE-1", "OLGA-1"},
            ("module", world.tokens["FREE-1"]): {1, 2},
            ("module", world.tokens["OLGA-1"]): {2},
            ("module", world.tokens["SAM-1"]): set(),
        }
        for (kind, token), seen in reach.items():
            everybody = list(world.tokens) if kind == "client" else [1, 2]
            for action in ("forward", "queue"):
                for recipient in [*everybody, "NO-1", 99]:
                    reply = await world.ask(kind, action, token, recipient=recipient, parameters={"a": 1})
                    if recipient in seen:
                        assert reply.parameters["recipient"] == recipient, (kind, seen, recipient)
                    else:
                        word = "module" if kind == "client" else "client"
                        assert reply.parameters["msg"] == f"There is no {word} {str(recipient)!r}."


async def test_recipients_have_several_names_and_pending_ones_none(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        module = core.registry.get("FREE-1")
        for name in ("FREE-1", "free-1", module.uuid, module.number, str(module.number)):
            reply = await world.ask("client", "queue", world.free_token, recipient=name, parameters=None)
            assert reply.parameters["recipient"] == "FREE-1"
        for name in (world.hers.id, str(world.hers.id)):
            reply = await world.ask("module", "queue", world.tokens["FREE-1"], recipient=name, parameters=5)
            assert reply.parameters["recipient"] == world.hers.id
        await world.ask("module", "register", serial="NEW-1", information={})
        for kind, token, names in (
            ("client", world.free_token, ["NEW-1", "", None, True, [], {}, 1.5, -1, "x" * 9999]),
            ("module", world.tokens["FREE-1"], ["", "0", "-1", "1.0", " 1", "\u0661", "9" * 99, True, 1.0]),
        ):
            for name in names:
                reply = await world.ask(kind, "queue", token, recipient=name, parameters={})
                assert reply.action == "error", name


async def test_forward_reaches_whoever_listens_and_is_refused_otherwise(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        module, program = world.party("FREE-1"), Party("client", world.free.id)
        ear = Ear(core, module)
        message = {"recipient": "FREE-1", "parameters": {"do": ["this", 1.5]}}
        reply = await world.ask("client", "forward", world.free_token, **message)
        assert reply.envelope == {"action": "forwarded", "parameters": {"recipient": "FREE-1"}}
        assert ear.heard == [
            (module, "forward", {"sender": world.free.id, "parameters": {"do": ["this", 1.5]}})
        ]
        message = {"recipient": world.free.id, "parameters": {"did": True}, "sender": "SAM-1"}
        reply = await world.ask("module", "forward", world.tokens["FREE-1"], **message)
        assert reply.parameters == {"action": "forward", "msg": f"The client {world.free.id} is not online."}
        ear.parties.add(program)
        reply = await world.ask("module", "forward", world.tokens["FREE-1"], **message)
        assert reply.action == "forwarded"
        assert ear.heard[1:] == [(program, "forward", {"sender": "FREE-1", "parameters": {"did": True}})]
        for parameters in ({"recipient": world.free.id}, message | {"parameters": "x" * 70_000}):
            reply = await world.ask("module", "forward", world.tokens["FREE-1"], **parameters)
            assert reply.action == "error"
        assert len(ear.heard) == 2 and core.mailbox.of(program) == []


# The queue


async def test_queued_responses_wait_are_told_and_leave_by_processing(tmp_path, monkeypatch):
    async with open_world(tmp_path) as core:
        clock = Clock(monkeypatch)
        monkeypatch.setattr(instance, "monotonic", clock.monotonic)
        world = await World(core).people()
        token, program = world.free_token, Party("client", world.free.id)
        ids = []
        for number in range(2):
            reply = await world.ask(
                "module", "queue", world.tokens["FREE-1"], recipient=program.number, parameters={"n": number}
            )
            assert reply.action == "queued" and reply.parameters["recipient"] == program.number
            ids.append(reply.parameters["queue_id"])
        rows = [
            {"queue_id": id, "sender": "FREE-1", "parameters": {"n": number}, "created_at": clock.ms}
            for number, id in enumerate(ids)
        ]
        assert (await world.ask("client", "login", token)).parameters["queue"] == rows
        ear = Ear(core, program)
        for number in (2, 3):
            message = {"recipient": program.number, "parameters": {"n": number}}
            await world.ask("module", "queue", world.tokens["FREE-1"], **message)
        numbers = [[row["parameters"]["n"] for row in told["queue"]] for _, _, told in ear.heard]
        assert numbers == [[0, 1, 2]], "told at once, and then no more often than it can bear"
        clock.pass_s(2)
        core.tick()
        assert [row["parameters"]["n"] for row in ear.heard[-1][2]["queue"]] == [0, 1, 2, 3]
        core.tick()
        assert len(ear.heard) == 2 and ear.heard[-1][1] == "updateQueue"
        for said in (ids[0], str(ids[1])):
            reply = await world.ask("client", "processQueue", token, queue_id=said)
            assert reply.action == "updateQueue"
        assert [row["parameters"]["n"] for row in reply.parameters["queue"]] == [2, 3]
        for said in (ids[0], 10**9, None, True, "x", "", -1, 1.5, [], "9" * 99):
            reply = await world.ask("client", "processQueue", token, queue_id=said)
            assert (reply.action, reply.parameters["action"]) == ("error", "processQueue")
        theirs = core.mailbox.of(program)[0].id
        for kind, foreign in (("client", world.hers_token), ("module", world.tokens["FREE-1"])):
            assert (await world.ask(kind, "processQueue", foreign, queue_id=theirs)).action == "error"
        assert len(core.mailbox.of(program)) == 2


async def test_the_sender_of_a_row_may_be_gone(tmp_path):
    async with open_world(tmp_path) as core:
        world = await World(core).people()
        number = core.registry.get("FREE-1").number
        message = {"recipient": world.free.id, "parameters": 1}
        await world.ask("module", "queue", world.tokens["FREE-1"], **message)
        await core.registry.delete("FREE-1", ADMIN)
        (row,) = (await world.ask("client", "login", world.free_token)).parameters["queue"]
        assert row["sender"] == number


def test_no_secret_is_printed():
    reply = Reply(action="registered", parameters={"token": "s3cret"})
    assert "s3cret" not in repr([reply, envelope(token="s3cret", parameters={"token": "s3cret"})])
