"""Approve, reject, revoke, rotate: who decides, what dies, and what a restart or a race changes (nothing)."""

import anyio
import pytest

from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import CredentialsChanged, ModuleChanged, ModuleRemoved
from gateway.core.rights import ModuleIdentity
from tests.gateway.core.heart import (
    ADMIN,
    OWNER,
    STRANGER,
    TECHNICIAN,
    application,
    approved,
    heard,
    open_heart,
)

pytestmark = pytest.mark.anyio


async def waiting(core, *serials):
    return {
        serial: (await core.enrolment.register(application(serial), "10.0.0.1")).token for serial in serials
    }


async def test_many_are_decided_each_on_its_own(tmp_path):
    async with open_heart(tmp_path) as core:
        found = await waiting(core, "MC-1", "MC-2", "MC-3")
        outcomes = await core.decisions.approve(["MC-1", "nobody", "MC-2", "MC-1"], TECHNICIAN)
        assert [(outcome.id, type(outcome.error)) for outcome in outcomes] == [
            ("MC-1", type(None)), ("nobody", NotFound), ("MC-2", type(None)),
        ]  # fmt: skip
        (outcome,) = await core.decisions.reject(["MC-3"], TECHNICIAN, "unknown origin")
        assert outcome.error is None
    async with open_heart(tmp_path) as core:
        lives = {module.id: module.life for module in core.registry.all()}
        assert lives == {"MC-1": "approved", "MC-2": "approved", "MC-3": "rejected"}
        assert core.registry.get("MC-3").decision_reason == "unknown origin"
        assert core.registry.authenticate("MC-1", found["MC-1"]) == ModuleIdentity("MC-1", True)
        assert core.registry.authenticate("MC-3", found["MC-3"]) is None


async def test_of_two_who_decide_at_once_one_wins_and_the_other_reads_who_and_when(tmp_path):
    outcomes = {}

    async def decide(decision, person):
        outcomes[person.name] = (await decision(["MC-1"], person))[0].error

    async with open_heart(tmp_path) as core:
        await waiting(core, "MC-1")
        changes = heard(core, ModuleChanged)
        async with anyio.create_task_group() as group:
            group.start_soon(decide, core.decisions.approve, TECHNICIAN)
            group.start_soon(decide, core.decisions.reject, ADMIN)
        assert core.registry.get("MC-1").life == "approved" and len(changes) == 1
    assert outcomes["tom"] is None
    assert isinstance(outcomes["ann"], Conflict)
    assert "was approved by tom at " in outcomes["ann"].message and "UTC" in outcomes["ann"].message


async def test_only_those_who_manage_decide_and_others_see_nothing(tmp_path):
    async with open_heart(tmp_path) as core:
        await waiting(core, "MC-1")
        for decision in (core.decisions.approve, core.decisions.reject):
            with pytest.raises(Forbidden):
                await decision(["MC-1"], OWNER)
        for act in (
            core.registry.revoke,
            core.registry.rotate_token,
            core.registry.delete,
            core.decisions.unreject,
        ):
            with pytest.raises(Forbidden):
                await act("MC-1", OWNER)
        await core.registry.edit("MC-1", TECHNICIAN, owner_id=OWNER.id)
        assert (await core.registry.edit("MC-1", OWNER, name="Mine")).name == "Mine"
        with pytest.raises(Forbidden):
            await core.registry.edit("MC-1", OWNER, owner_id=STRANGER.id)
        with pytest.raises(NotFound):
            await core.registry.edit("MC-1", STRANGER, name="Mine")
        with pytest.raises(Invalid):
            await core.registry.edit("MC-1", OWNER, name="x" * 201)


async def test_pending_ends_by_absolute_time_right_after_a_restart_too(tmp_path, clock):
    async with open_heart(tmp_path, pending_ttl=60) as core:
        found = await waiting(core, "MC-1")
        module, _ = await approved(core, "MC-2")
        clock.pass_s(59)
        core.tick()
        assert core.registry.known("MC-1")
    clock.pass_s(1)
    async with open_heart(tmp_path, pending_ttl=60) as core:
        removed = heard(core, ModuleRemoved)
        core.tick()
        assert [(event.module.id, event.reason) for event in removed] == [("MC-1", "expired")]
        assert core.registry.authenticate("MC-1", found["MC-1"]) is None
        # Its place is free at once, also for the database.
        await waiting(core, "MC-1")
    async with open_heart(tmp_path, pending_ttl=60) as core:
        assert {m.id: m.life for m in core.registry.all()} == {"MC-1": "pending", "MC-2": "approved"}
        assert core.registry.get("MC-2").number == module.number


async def test_a_module_that_is_being_removed_cannot_be_decided_or_removed_again(tmp_path):
    outcomes = []

    async def approve(core):
        outcomes.extend(await core.decisions.approve(["MC-1"], TECHNICIAN))

    async def delete_again(core):
        with pytest.raises(NotFound):
            await core.registry.delete("MC-1", ADMIN)

    async with open_heart(tmp_path) as core:
        await waiting(core, "MC-1")
        events = heard(core, ModuleChanged, ModuleRemoved)
        async with anyio.create_task_group() as group:
            group.start_soon(core.registry.delete, "MC-1", ADMIN)
            group.start_soon(approve, core)
            group.start_soon(delete_again, core)
        assert [type(outcome.error) for outcome in outcomes] == [NotFound]
        assert [type(event) for event in events] == [ModuleRemoved]


@pytest.mark.parametrize("restarts", [set(), {1}, {2}, {3}, {1, 2, 3}])
async def test_rotation_locks_nobody_out_whenever_the_power_fails(tmp_path, restarts):
    """The old token works until the new one is used; from then on the new one alone."""
    new = ""

    def steps(core, old):
        yield [old], ["never"]
        yield [old], []
        yield [new], [old]
        yield [new], [old]

    async with open_heart(tmp_path) as core:
        _, old = await approved(core)
        new = await core.registry.rotate_token("MC-1", ADMIN)
        live = core.registry.authenticate("MC-1", old)
    done = 0
    while done < 4:
        async with open_heart(tmp_path) as core:
            for number, (work, fail) in list(enumerate(steps(core, old)))[done:]:
                for token in work:
                    assert core.registry.authenticate("MC-1", token) == ModuleIdentity("MC-1", True), number
                for token in fail:
                    assert core.registry.authenticate("MC-1", token) is None, number
                done = number + 1
                if done in restarts:
                    break
            assert (core.registry.identity_now(live) is None) == (done > 2)


async def test_revoking_kills_tokens_and_keeps_the_rest(tmp_path):
    async with open_heart(tmp_path) as core:
        module, token = await approved(core)
        new = await core.registry.rotate_token("MC-1", ADMIN)
        live = core.registry.authenticate("MC-1", token)
        told = heard(core, CredentialsChanged)
        await core.registry.revoke("MC-1", TECHNICIAN)
        assert told == [CredentialsChanged("MC-1", "revoked")]
        assert core.registry.identity_now(live) is None
    async with open_heart(tmp_path) as core:
        for dead in (token, new, ""):
            assert core.registry.authenticate("MC-1", dead) is None
        assert core.registry.get("MC-1").uuid == module.uuid


@pytest.mark.parametrize("rows, sentence", [
    ([{"serial": "MC-1", "type": "7"}, {"serial": "a/b", "type": "7"}], "Entry 2: 'a/b' is no serial"),
    ([{"serial": "MC-1", "type": "7"}, {"serial": "mc-1", "type": "7"}], "Entry 2: 'mc-1' stands in entry 1"),
    ([{"serial": "MC-1", "type": "7"}, {"serial": "There", "type": "7"}], "Entry 2: there is a"),
    ([{"serial": "MC-1", "type": "7"}, {"serial": None, "type": "7"}], "Entry 2: '' is no serial"),
    ([{"serial": "MC-1", "type": None}], "Entry 1: 'None' is no known type"),
    ([{"serial": "MC-1", "type": "4711"}], "Entry 1: '4711' is no known type"),
    ([{"serial": "MC-1"}], "Entry 1: 'None' is no known type"),
])  # fmt: skip
async def test_declaring_is_all_or_nothing_and_names_the_entry(tmp_path, rows, sentence):
    async with open_heart(tmp_path) as core:
        await approved(core, "There")
        with pytest.raises((Invalid, Conflict)) as refused:
            await core.decisions.declare(rows, "ann", with_token=True)
        assert refused.value.message.startswith(sentence)
        assert core.registry.known("MC-1") is None


async def test_five_thousand_are_declared_at_once(tmp_path):
    rows = [{"serial": f"MC-{number}", "type": "7", "name": f"No. {number}"} for number in range(5000)]
    async with open_heart(tmp_path) as core:
        with anyio.fail_after(60):
            declared = await core.decisions.declare(rows, "ann", with_token=True)
        module, token = declared[4999]
        assert core.registry.authenticate(module.id, token) == ModuleIdentity("MC-4999", True)
        assert len({token for _, token in declared}) == 5000
