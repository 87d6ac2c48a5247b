"""Devices, programs and the gateway, over the real embedded broker."""

import asyncio
import json

import anyio
import pytest

from gateway.core.events import PresenceChanged
from gateway.core.rights import Person, Role, ServiceRole
from tests.bridge.house import device, enrol, open_house, until
from tests.gateway.core.heart import heard

pytestmark = pytest.mark.anyio
ADMIN = Person(1, "ann", Role.ADMIN)


async def approved(house, serial="MC-1", **more):
    granted = await enrol(house, serial, **more)
    await house.core.decisions.approve([granted["id"]], ADMIN)
    return granted["token"]


async def test_pending_is_silence_and_approval_is_told_at_once_and_widens_rights(tmp_path):
    async with open_house(tmp_path) as house:
        granted = await enrol(house)
        assert (granted["status"], granted["id"], granted["retry_after"]) == ("pending", "MC-1", 10)
        async with device(house, "MC-1", granted["token"]) as module:
            assert await module.subscribe(
                "MC-1/down/registered", "MC-1/down/#", "MC-2/down/registered", "#"
            ) == [
                1, 128, 128, 128,
            ]  # fmt: skip
            await module.say("MC-1/up/register")
            await module.say("MC-1/up/telemetry", {"a": 1})
            assert await module.heard_nothing()
            assert house.core.telemetry.latest("MC-1") == {}
            await house.core.decisions.approve(["MC-1"], ADMIN)
            topic, greeting = await module.hear()
            assert (topic, greeting["status"], greeting["type"]) == ("MC-1/down/registered", "online", 7)
            assert greeting["commands"] == ["set"] and greeting["events"] == []
            assert house.core.presence.of("MC-1").state == "online"
            assert await module.subscribe("MC-1/down/#") == [1]
            await module.say("MC-1/up/telemetry", {"a": 1})
            assert house.core.telemetry.latest("MC-1") == {"a": 1}


@pytest.mark.parametrize("way, status", [
    ("reject", "rejected"), ("expire", "expired"), ("revoke", "revoked"), ("delete", "revoked"),
])  # fmt: skip
async def test_the_last_word_is_said_and_then_the_session_ends(tmp_path, way, status):
    async with open_house(tmp_path) as house:
        core = house.core
        token = await approved(house) if way in ("revoke", "delete") else (await enrol(house))["token"]
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/registered")
            if way == "reject":
                await core.decisions.reject(["MC-1"], ADMIN)
            elif way == "expire":
                core.registry.expire(core.registry.get("MC-1"))
            else:
                await getattr(core.registry, way)("MC-1", ADMIN)
            assert await module.hear() == ("MC-1/down/registered", {"status": status})
            with anyio.fail_after(2):
                await module.cut_off()
        async with device(house, "MC-1", token, code=4):
            pass


async def test_a_claim_has_a_session_of_its_own_and_ends_the_old_one_when_it_wins(tmp_path):
    async with open_house(tmp_path) as house:
        old = await approved(house)
        async with device(house, "MC-1", old) as module:
            await module.subscribe("MC-1/down/#")
            await module.say("MC-1/up/register")
            assert (await module.hear())[1]["status"] == "online"
            claim = await enrol(house, nonce="nonce-9999")
            assert claim["status"] == "pending"
            async with device(house, "MC-1", claim["token"]) as claimant:
                assert await claimant.subscribe("MC-1/down/registered") == [1]
                await claimant.say("MC-1/up/register")
                await claimant.say("MC-1/up/availability", b"offline")
                assert await claimant.heard_nothing()
                await module.say("MC-1/up/register")
                assert (await module.hear())[1]["status"] == "online"
                assert await claimant.heard_nothing(), "what the module is told is not for the claimant"
                assert house.core.presence.of("MC-1").state == "online"
                (waiting,) = house.core.registry.claims()
                await house.core.decisions.approve_claim(waiting.number, ADMIN)
                assert await claimant.hear() == ("MC-1/down/registered", {"status": "online"})
                assert await claimant.cut_off()
            assert await module.cut_off()
        async with device(house, "MC-1", old, code=4):
            pass
        async with device(house, "MC-1", claim["token"]) as module:
            await module.subscribe("MC-1/down/#")
            await module.say("MC-1/up/register")
            assert (await module.hear())[1]["status"] == "online"


@pytest.mark.parametrize("payload, status", [
    (b"", "refused"), (b"{", "refused"), (b"[]", "refused"), (b"\xff\xfe", "refused"),
    (b'{"type":"7"}', "refused"),
    (b'{"type":4711}', "refused"), (b"[" * 5000, "refused"), (b'{"type":7,"serial":5}', "refused"),
    (b'{"type":7,"information":' + b'{"a":' * 3000, "refused"),
    (json.dumps({"type": 7, "shared_key": "wrong"}).encode(), "refused"),
    (b'{"type":7}' + b" " * 9000, "refused"),
    (b'{"type":7,"serial":"MC-9"}', "pending"), (b'{"type":7,"unknown":1}', "pending"),
])  # fmt: skip
async def test_every_application_gets_an_answer(tmp_path, payload, status):
    async with open_house(tmp_path) as house, device(house, "nonce-1234") as stranger:
        await stranger.subscribe("register/nonce-1234/reply")
        await stranger.say("register/nonce-1234", payload)
        _, answer = await stranger.hear()
        assert answer["status"] == status
        if status == "refused":
            assert answer["message"].endswith(".") and answer["retry_after"] >= 1
            assert not list(house.core.registry.all())


async def test_what_cannot_be_understood_is_set_aside_and_the_session_lives(tmp_path):
    wrong = [
        ("telemetry", payload) for payload in (
            b"", b"{", b"\xff", b"1", b"NaN", b'{"a":NaN}', b'{"a":1e400}', b'"x"', b"[" * 3000,
            b'{"a":' * 6 + b"1" + b"}" * 6, b'{"a":1' + b"0" * 400 + b"}",
            json.dumps([{"a": 1}] * 1001).encode(),
            b'{"ts":"now","values":{"a":1}}', b'{"a":"\\ud800"}',
        )
    ] + [
        ("availability", b"gone"), ("availability", b"\xff"), ("availability", b'{"state":5}'),
        ("availability", b"{"), ("reply", b"{}"), ("reply", b'{"id":["x"],"status":{}}'), ("reply", b"[]"),
        ("reported", b'{"values":5}'), ("reported", b'{"version":1e3,"values":{}}'),
        ("reported", b'{"version":' + b"9" * 40 + b',"values":{}}'),
        ("reported", b'{"version":-1,"values":{}}'),
        ("event/x", b"5"), ("event/" + "x" * 65, b"{}"), ("register", b"5"), ("unheard/of", b"x"),
    ]  # fmt: skip
    async with open_house(tmp_path) as house:
        token = await approved(house)
        async with device(house, "MC-1", token) as module:
            for topic, payload in wrong:
                await module.say(f"MC-1/up/{topic}", payload)
            assert house.core.telemetry.latest("MC-1") == {}
            assert house.core.desired.of("MC-1").reported_version == 0
            assert house.link.stats()["errors"] == 0
            await module.say("MC-1/up/telemetry", [{"ts": 5, "values": {"a": 1}}, {"b": 2}, 7])
            assert house.core.telemetry.latest("MC-1") == {"a": 1, "b": 2}


async def test_availability_in_every_word_and_by_will(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        presence = house.core.presence

        def now():
            return presence.of("MC-1").state, presence.of("MC-1").reason

        will = ("gw/1/MC-1/up/availability", b"offline", 1, True)
        async with device(house, "MC-1", token, will=will) as module:
            words = [
                (b"online", ("online", "hello")), (b"sleeping", ("sleeping", "goodbye")),
                (b"online", ("online", "hello")), (b"offline", ("offline", "goodbye")),
                (b'{"state":"online"}', ("online", "hello")),
                (b'{"state":"sleeping","wake_in":600}', ("sleeping", "goodbye")),
                (b"online", ("online", "hello")),
            ]  # fmt: skip
            for word, expected in words:
                await module.say("MC-1/up/availability", word, retain=True)
                assert now() == expected
            module.wire.cut()
            await until(lambda: now() == ("offline", "will"))
        async with device(house, "MC-1", token) as module:
            await module.say("MC-1/up/telemetry", {"a": 1}, retain=True)
            assert now() == ("online", "hello")
            async with device(house, "MC-1", token) as newer:
                assert await module.cut_off()
                assert await newer.heard_nothing() and now() == ("online", "hello")
        await until(lambda: now()[0] == "offline")


async def test_commands_go_down_in_order_and_come_back_answered(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house, "MC-1-STN", type=1)
        commands = house.core.commands
        for name in ("gates_open", "gates_close"):
            await commands.send("MC-1-STN", name, {}, "olga")
        async with device(house, "MC-1-STN", token) as module:
            await module.subscribe("MC-1-STN/down/#")
            topic, first = await module.hear()
            assert (topic, first["command"], first["params"]) == ("MC-1-STN/down/command", "gates_open", {})
            assert await module.heard_nothing(), "one at a time"
            await module.say("MC-1-STN/up/reply", {"id": first["id"], "status": "done", "result": {"n": 1}})
            second = (await module.hear())[1]
            assert second["command"] == "gates_close" and second["expires_at"] > 0
            await module.say(
                "MC-1-STN/up/reply", {"id": second["id"], "status": "failed", "error": {"why": 1}}
            )
            assert commands.get(second["id"], "MC-1-STN").error == '{"why":1}'
            assert commands.get(first["id"], "MC-1-STN").result == {"n": 1}


async def test_a_controller_asks_and_is_answered_alone(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house, "MC-1-STN", type=1)
        tokens = {}
        for name, role in (
            ("one", ServiceRole.CONTROLLER),
            ("two", ServiceRole.CONTROLLER),
            ("r", ServiceRole.READER),
        ):
            _, tokens[name] = await house.core.services.add(name, role, ADMIN)
        async with (
            device(house, "c-one", tokens["one"], "one") as one,
            device(house, "c-two", tokens["two"], "two") as two,
            device(house, "c-r", tokens["r"], "r") as reader, device(house, "MC-1-STN", token) as module,
        ):  # fmt: skip
            for program in (one, two, reader):
                assert await program.subscribe("+/ask/+/reply", "+/down/#", "+/up/#", "register/#") == [
                    1,
                    128,
                    128,
                    128,
                ]
            await module.subscribe("MC-1-STN/down/#")
            await one.say("MC-1-STN/ask/dispatch", {})
            assert (await one.hear())[1]["status"] == "sent"
            command = (await module.hear())[1]
            await module.say("MC-1-STN/up/reply", {"id": command["id"], "status": "done"})
            assert await one.hear() == (
                "MC-1-STN/ask/dispatch/reply", {"id": command["id"], "status": "done"},
            )  # fmt: skip
            for topic, payload, options in (
                ("MC-1-STN/ask/explode", b"", {}), ("nobody/ask/dispatch", b"", {}),
                ("MC-1-STN/ask/dispatch", b"{", {}), ("MC-1-STN/ask/dispatch", b"[]", {}),
                ("MC-1-STN/ask/dispatch", b"{}", {"retain": True}),
            ):  # fmt: skip
                await one.say(topic, payload, **options)
                answer = (await one.hear())[1]
                assert answer["status"] == "rejected" and answer["error"].endswith(".")
            await reader.say("MC-1-STN/ask/dispatch", {})
            for other in (two, reader, module):
                assert await other.heard_nothing()
            assert len(house.core.commands.of("MC-1-STN")) == 1
            await house.core.services.remove("one", ADMIN)
            assert await one.cut_off()
            assert await two.heard_nothing()


async def test_out_topics_are_retained_for_readers_and_cleared_with_the_module(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        _, proof = await house.core.services.add("ha", ServiceRole.READER, ADMIN)
        async with device(house, "ha-1", proof, "ha") as reader, device(house, "MC-1", token) as module:
            await module.say("MC-1/up/telemetry", {"a": 1})
            await reader.subscribe("+/out/#")
            seen = {}
            while seen.get("MC-1/out/state") != {"a": 1} or seen.get("MC-1/out/availability") != "online":
                topic, payload = await reader.hear()
                seen[topic] = payload
            await module.say("MC-1/up/event/bell", {"rings": 2})
            assert await reader.hear() == ("MC-1/out/event/bell", {"rings": 2})
        async with device(house, "ha-2", proof, "ha") as reader:
            await reader.subscribe("+/out/#")
            assert dict([await reader.hear(), await reader.hear()]).keys() == {
                "MC-1/out/state", "MC-1/out/availability",
            }  # fmt: skip
        await house.core.registry.delete("MC-1", ADMIN)
        await asyncio.sleep(0.6)
        async with device(house, "ha-3", proof, "ha") as reader:
            await reader.subscribe("+/out/#")
            assert await reader.heard_nothing()


async def test_what_it_should_have_is_said_on_hello_and_on_change(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        await house.core.desired.set("MC-1", {"speed": 1}, 0, ADMIN)
        async with device(house, "MC-1", token) as module:
            await module.subscribe("MC-1/down/desired")
            await module.say("MC-1/up/register")
            assert await module.hear() == ("MC-1/down/desired", {"version": 1, "values": {"speed": 1}})
            await module.say("MC-1/up/reported", {"version": 1, "values": {"speed": 1}})
            assert await module.heard_nothing()
            await house.core.desired.set("MC-1", {"speed": 2}, 1, ADMIN)
            assert (await module.hear())[1]["version"] == 2


async def test_a_module_that_takes_its_session_over_stays_online(tmp_path):
    async with open_house(tmp_path) as house:
        token = await approved(house)
        changes = heard(house.core, PresenceChanged)
        will = ("gw/1/MC-1/up/availability", b"offline", 1, True)
        async with device(house, "MC-1", token, will=will) as old:
            await old.say("MC-1/up/register")
            async with device(house, "MC-1", token, will=will) as new:
                await old.cut_off()
                await new.say("MC-1/up/register")
                assert [change.after for change in changes] == ["online"]
            await until(lambda: house.core.presence.of("MC-1").state == "offline")
        assert [(c.after, c.reason) for c in changes] == [("online", "hello"), ("offline", "will")]
