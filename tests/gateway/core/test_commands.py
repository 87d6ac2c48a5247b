"""Commands: in order, one on its way, ended in exactly one way, and never after their time."""

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import Conflict, Full, Invalid, NotFound, Unavailable
from gateway.core.values import FINAL_STATUSES
from tests.gateway.core.heart import GENERIC, LED, STATION, TECHNICIAN, application, approved, open_heart

pytestmark = pytest.mark.anyio
RED, BLUE = {"red": 255, "green": 0, "blue": 0}, {"red": 0, "green": 0, "blue": 255}


class Wire:
    """Stands for a transport: what it carried, while the module listens."""

    def __init__(self, core, listens=True):
        self.core, self.listens, self.carried = core, listens, []
        core.commands.carry(self)

    def deliver(self, command):
        if self.listens:
            self.carried.append((command.id, command.name))
        return "sent" if self.listens else None

    def names(self):
        return [name for _, name in self.carried]

    def answer(self, status="done", **more):
        return self.core.commands.answered("MC-1", self.carried[-1][0], status, **more)


async def send(core, name="dispatch", params=None, **more):
    return await core.commands.send("MC-1", name, params or {}, "olga", **more)


def status(core, command):
    return core.commands.get(command.id, "MC-1").status


async def test_in_order_and_one_at_a_time(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        wire = Wire(core)
        sent = [await send(core, name) for name in ("gates_open", "gates_close", "dispatch")]
        assert [command.status for command in sent] == ["sent", "queued", "queued"]
        assert wire.names() == ["gates_open"]
        assert wire.answer("accepted") and wire.names() == ["gates_open"]
        assert wire.answer("done", result={"ok": 1}) and wire.names() == ["gates_open", "gates_close"]
        assert wire.answer("failed", error="stuck") and wire.answer("rejected")
        final = [core.commands.get(command.id, "MC-1") for command in sent]
        assert [command.status for command in final] == ["done", "failed", "rejected"]
        assert (final[0].result, final[1].error) == ({"ok": 1}, "stuck")
        assert [step for step, _ in final[0].history] == ["queued", "sent", "accepted", "done"]


async def test_only_the_module_asked_answers_and_only_once(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        await approved(core, "MC-2", STATION)
        wire = Wire(core)
        first, second = await send(core), await send(core)
        answered = core.commands.answered
        assert not answered("MC-2", first.id, "done")
        assert not answered("MC-1", "unknown", "done")
        assert not answered("MC-1", second.id, "done"), "it has not been sent"
        for word in ("queued", "sent", "expired", "canceled", "", "DONE"):
            assert not answered("MC-1", first.id, word)
        assert wire.answer("done") and not answered("MC-1", first.id, "failed")
        assert status(core, first) == "done"


async def test_what_is_past_its_time_is_never_delivered(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        wire = Wire(core, listens=False)
        short, usual = await send(core, expires_in_s=5), await send(core)
        clock.pass_s(5)
        wire.listens = True
        # Even when nobody has looked at the clock since.
        core.commands.resume("MC-1")
        assert wire.carried == [(usual.id, "dispatch")]
        assert status(core, short) == "expired"
        clock.pass_s(55)
        core.tick()
        assert status(core, usual) == "expired"
        assert not core.commands.answered("MC-1", usual.id, "done")


async def test_one_taken_up_has_its_own_time(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        wire = Wire(core)
        command = await send(core)
        wire.answer("accepted")
        clock.pass_s(300)
        core.tick()
        assert status(core, command) == "accepted"
        clock.pass_s(1)
        core.tick()
        assert status(core, command) == "failed"


async def test_of_settings_the_newest_waits_and_does_not_expire(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        await approved(core, type=LED)
        wire = Wire(core, listens=False)
        red = await send(core, "color", RED)
        loop = await send(core, "loop", {"loop": "w(5)"})
        blue = await send(core, "color", BLUE)
        assert status(core, red) == "canceled"
        clock.pass_s(10 * 86400)
        core.tick()
        wire.listens = True
        core.commands.wake("MC-1")
        assert wire.carried == [(loop.id, "loop")]
        wire.answer()
        assert wire.carried[-1] == (blue.id, "color")
        # One that is on its way is not taken back.
        later = await send(core, "color", RED)
        assert (status(core, blue), status(core, later)) == ("sent", "queued")


async def test_a_setting_that_cannot_be_stored_replaces_none(tmp_path, monkeypatch):
    async def unavailable(work):
        raise Unavailable("Storage is full.")

    async with open_heart(tmp_path) as core:
        await approved(core, type=LED)
        old = await send(core, "color", RED)
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(core.store, "run", unavailable)
            await send(core, "color", BLUE)
        assert status(core, old) == "queued" and len(core.commands.of("MC-1")) == 1


async def test_a_full_queue_refuses_and_a_setting_still_replaces_its_elder(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        await approved(core, "LED-1", LED)
        for _ in range(100):
            await send(core)
        with pytest.raises(Full):
            await send(core)
        for _ in range(150):
            await core.commands.send("LED-1", "color", RED, "olga")
        waiting = [command for command in core.commands.of("LED-1") if not command.ended]
        assert len(waiting) == 1


@pytest.mark.parametrize("type, name, params", [
    (STATION, "explode", {}), (STATION, "dispatch", {"extra": 1}), (LED, "color", {"red": 1, "green": 2}),
    (LED, "color", {"red": 256, "green": 0, "blue": 0}), (LED, "color", {"red": True, "green": 0, "blue": 0}),
    (LED, "color", {"red": "1", "green": 0, "blue": 0}),
    (LED, "color", {"red": 10**400, "green": 0, "blue": 0}),
    (LED, "loop", {"loop": "rm -rf"}),
])  # fmt: skip
async def test_what_the_type_does_not_declare_is_refused(tmp_path, type, name, params):
    async with open_heart(tmp_path) as core:
        await approved(core, type=type)
        with pytest.raises(Invalid, match=r"\.$"):
            await send(core, name, params)
        assert core.commands.of("MC-1") == []


async def test_who_takes_no_commands(tmp_path):
    async with open_heart(tmp_path) as core:
        await core.enrolment.register(application(type=STATION), "10.0.0.1")
        with pytest.raises(Conflict):
            await send(core)
        with pytest.raises(NotFound):
            await core.commands.send("nobody", "dispatch", {}, "olga")
        await core.decisions.approve(["MC-1"], TECHNICIAN)
        for seconds in (0, -1, float("nan"), float("inf"), 10**9):
            with pytest.raises(Invalid):
                await send(core, expires_in_s=seconds)


async def test_cancel_takes_back_and_lets_the_next_go(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        wire = Wire(core)
        first, second = await send(core), await send(core)
        await core.commands.cancel("MC-1", first.id, "olga")
        assert wire.carried[-1][0] == second.id
        with pytest.raises(Conflict, match="canceled already"):
            await core.commands.cancel("MC-1", first.id, "olga")
        with pytest.raises(NotFound):
            await core.commands.cancel("MC-1", "unknown", "olga")
        assert not core.commands.answered("MC-1", first.id, "done")


async def test_who_loses_the_credential_loses_the_queue_and_a_successor_does_not(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=LED)
        setting = await send(core, "color", RED)
        await core.enrolment.register(application(type=LED), "10.0.0.2")
        (claim,) = core.registry.claims()
        await core.decisions.approve_claim(claim.number, TECHNICIAN)
        assert status(core, setting) == "queued"
        await core.registry.revoke("MC-1", TECHNICIAN)
        assert status(core, setting) == "canceled"
    async with open_heart(tmp_path) as core:
        assert status(core, setting) == "canceled"


async def test_nothing_is_queued_for_a_module_that_goes_meanwhile(tmp_path):
    errors = []

    async def ask(core):
        try:
            await send(core)
        except NotFound as error:
            errors.append(error)

    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        async with anyio.create_task_group() as group:
            group.start_soon(core.registry.delete, "MC-1", TECHNICIAN)
            group.start_soon(ask, core)
        assert len(errors) == 1 and core.commands.of("MC-1") == []


@pytest.mark.parametrize("before, after, carried_again", [
    ("queued", "sent", True), ("sent", "sent", True), ("accepted", "accepted", True),
    ("done", None, False), ("canceled", None, False),
])  # fmt: skip
async def test_a_restart_in_every_state(tmp_path, before, after, carried_again):
    async with open_heart(tmp_path) as core:
        await approved(core, type=STATION)
        wire = Wire(core, listens=before != "queued")
        command = await send(core)
        if before == "canceled":
            await core.commands.cancel("MC-1", command.id, "olga")
        elif before in ("accepted", "done"):
            wire.answer(before)
        assert status(core, command) == before
    async with open_heart(tmp_path) as core:
        wire = Wire(core)
        core.commands.resume("MC-1")
        assert ([id for id, _ in wire.carried] == [command.id]) is carried_again
        assert [c.status for c in core.commands.of("MC-1")] == [after or before]
        (kept,) = await core.commands.page("MC-1")
        assert kept.id == command.id and kept.status == (after or before)


STEPS = st.sampled_from(["send", "short", "wake", "accept", "done", "cancel", "time", "deaf", "ears"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=40))
async def test_whatever_happens_each_ends_once_and_none_overtakes(tmp_path_factory, monkeypatch, steps):
    from tests.gateway.core.heart import Clock

    clock = Clock(monkeypatch)
    async with open_heart(tmp_path_factory.mktemp("steps")) as core:
        await approved(core, type=STATION)
        wire, sent, ended = Wire(core), [], []
        for step in steps:
            head = next((c for c in reversed(core.commands.of("MC-1")) if not c.ended), None)
            match step:
                case "send" | "short":
                    sent.append((await send(core, expires_in_s=1 if step == "short" else None)).id)
                case "wake":
                    core.commands.wake("MC-1")
                case "accept" | "done" if head:
                    core.commands.answered("MC-1", head.id, "accepted" if step == "accept" else "done")
                case "cancel" if head:
                    await core.commands.cancel("MC-1", head.id, "olga")
                case "time":
                    clock.pass_s(2)
                    core.tick()
                case "deaf" | "ears":
                    wire.listens = step == "ears"
            on_the_way = [c for c in core.commands.of("MC-1") if c.status in ("sent", "accepted")]
            assert len(on_the_way) <= 1
        ids = [id for id, _ in wire.carried]
        assert len(set(ids)) == len(ids) and ids == sorted(ids, key=sent.index)
        for command in core.commands.of("MC-1"):
            ended = [step for step, _ in command.history if step in FINAL_STATUSES]
            assert len(ended) == int(command.ended)
            if command.status == "expired":
                assert command.history[-1][1] >= command.expires_at_ms


async def test_a_setting_of_some_values_replaces_only_what_it_says_again(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, type=GENERIC)
        first = await send(core, "set", {"values": {"a": 1}})
        other = await send(core, "set", {"values": {"b": 2}})
        await send(core, "set", {"values": {"a": 3, "c": 4}})
        assert status(core, first) == "canceled" and status(core, other) == "queued"
