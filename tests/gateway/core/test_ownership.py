"""Claim codes: who gets a module with one, when it dies, how often one may guess, and that nothing leaks."""

import asyncio
import re

import pytest

from gateway.core.errors import Conflict, Forbidden, NotFound, TooMany, Unavailable
from gateway.core.events import ActionPerformed, ModuleChanged
from gateway.core.ownership import ALPHABET, LENGTH, plain, spaced
from gateway.core.values import Module
from gateway.storage.models_dialects import ClaimCodeRow
from tests.gateway.core.heart import (
    ADMIN,
    OWNER,
    STRANGER,
    TECHNICIAN,
    application,
    approved,
    heard,
    open_heart,
    raises,
)

pytestmark = pytest.mark.anyio
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


def wrong_codes(right):
    """As many as one likes, none of them right."""
    number = 0
    while True:
        number += 1
        code = "".join(ALPHABET[(number // 31**place) % 31] for place in range(LENGTH))
        if code != right:
            yield code


async def test_a_code_gives_the_module_once(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        code = core.ownership.code_of("MC-1", TECHNICIAN)
        assert re.fullmatch(f"[{ALPHABET}]{{8}}", code)
        changes, acts = heard(core, ModuleChanged), heard(core, ActionPerformed)
        module = await core.ownership.claim(code, OWNER, HERE)
        assert (module.id, module.owner_id) == ("MC-1", OWNER.id)
        assert core.registry.get("MC-1").owner_id == OWNER.id
        assert [(e.before.owner_id, e.after.owner_id, e.by) for e in changes] == [(None, OWNER.id, "olga")]
        assert [(e.action, e.subject, e.by) for e in acts] == [("module.claim", "MC-1", OWNER)]
        row, *_ = await core.audit.rows(subject="MC-1")
        assert (row["action"], row["who"], row["address"]) == ("module.claim", "olga", HERE)
        assert code not in str(await core.audit.rows())
        async with raises(NotFound):
            await core.ownership.claim(code, STRANGER, ELSEWHERE)
        assert core.registry.get("MC-1").owner_id == OWNER.id


@pytest.mark.parametrize(
    "written",
    ["{}", " {} ", "{}\n", "{:.4}-{}", "{:.4} {}", "{:.4}\u2013{}", "{:.2}.{}", "http://x.test/claim?code={}"],
)  # fmt: skip
@pytest.mark.parametrize("case", [str.lower, str.upper])
async def test_a_code_is_understood_however_it_is_written(tmp_path, written, case):
    async with open_heart(tmp_path) as core:
        await approved(core)
        code = core.ownership.code_of("MC-1", ADMIN)
        mark = written.count("{")
        length = {"{:.4}": 4, "{:.2}": 2}.get(written[:5], 8)
        parts = [code] if mark == 1 else [code[:length], code[length:]]
        typed = written.format(*parts)
        typed = typed if "code=" in typed else case(typed)
        assert plain(typed) == code
        assert plain(spaced(code)) == code
        assert (await core.ownership.claim(typed, OWNER, HERE)).owner_id == OWNER.id


async def test_wrong_used_foreign_and_strange_codes_get_one_sentence(tmp_path):
    async with open_heart(tmp_path, rate_limits=False) as core:
        await approved(core, "MC-1")
        used = core.ownership.code_of("MC-1", TECHNICIAN)
        await core.ownership.claim(used, OWNER, HERE)
        await core.enrolment.register(application("PENDING"), "10.0.0.2")
        pending = core.ownership._code(core.registry.get("PENDING"))
        await core.enrolment.register(application("REJECTED"), "10.0.0.3")
        await core.decisions.reject(["REJECTED"], TECHNICIAN)
        rejected = core.ownership._code(core.registry.get("REJECTED"))
        said = set()
        for code in (
            used,
            pending,
            rejected,
            "",
            "22222222",
            "2222-222",
            "O0I1L000",
            "ß" * 8,
            "\0",
            "9" * 10**6,
        ):
            for person in (OWNER, STRANGER, ADMIN):
                with pytest.raises(NotFound) as refused:
                    await core.ownership.claim(code, person, HERE)
                said.add(refused.value.message)
        assert len(said) == 1
        assert core.registry.get("PENDING").owner_id is None


async def test_of_two_claims_at_once_one_wins(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        code = core.ownership.code_of("MC-1", TECHNICIAN)
        results = await asyncio.gather(
            core.ownership.claim(code, OWNER, HERE),
            core.ownership.claim(code, STRANGER, ELSEWHERE),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [Module, Conflict]
        assert core.registry.get("MC-1").owner_id == OWNER.id
        rows = await core.audit.rows(subject="MC-1")
        assert [row["action"] for row in rows].count("module.claim") == 1


async def test_a_code_dies_with_every_new_owner_and_never_comes_back(tmp_path):
    codes = []
    async with open_heart(tmp_path, rate_limits=False) as core:
        await approved(core)
        codes.append(core.ownership.code_of("MC-1", TECHNICIAN))
        await core.ownership.claim(codes[-1], OWNER, HERE)
        codes.append(await core.ownership.release("MC-1", OWNER))
        assert core.registry.get("MC-1").owner_id is None
        await core.registry.edit("MC-1", TECHNICIAN, owner_id=STRANGER.id)
        await core.registry.edit("MC-1", TECHNICIAN, owner_id=OWNER.id)
        await core.registry.edit("MC-1", TECHNICIAN, owner_id=None)
        codes.append(core.ownership.code_of("MC-1", TECHNICIAN))
        assert len(set(codes)) == 3
    async with open_heart(tmp_path, rate_limits=False) as core:
        assert core.ownership.code_of("MC-1", TECHNICIAN) == codes[-1]
        for dead in codes[:-1]:
            async with raises(NotFound):
                await core.ownership.claim(dead, STRANGER, HERE)
        assert (await core.ownership.claim(codes[-1], STRANGER, HERE)).owner_id == STRANGER.id


async def test_another_gateway_makes_other_codes(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        code = core.ownership.code_of("MC-1", ADMIN)
        other = type(core.ownership)(core.store, core.hub, core.registry, "j" * 40, rate_limits=True)
        assert other._code(module) != code


async def test_what_is_stored_is_a_number_and_goes_with_the_module(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        assert await core.store.run(lambda: ClaimCodeRow.select().count()) == 0
        await core.ownership.claim(core.ownership.code_of("MC-1", ADMIN), OWNER, HERE)
        assert [row.round for row in await core.store.run(lambda: list(ClaimCodeRow.select()))] == [1]
        await core.registry.delete("MC-1", ADMIN)
        assert await core.store.run(lambda: ClaimCodeRow.select().count()) == 0
        assert core.ownership._rounds == {}


async def test_five_wrong_codes_then_one_a_minute_by_person_and_by_address(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        core.ownership._tries._clock = clock.monotonic
        await approved(core)
        right = core.ownership.code_of("MC-1", TECHNICIAN)
        wrong = wrong_codes(right)
        for number in range(5):
            async with raises(NotFound):
                await core.ownership.claim(next(wrong), OWNER, f"10.0.0.{number}")
        with pytest.raises(TooMany) as refused:
            await core.ownership.claim(right, OWNER, "10.0.0.9")
        assert 0 < refused.value.retry_after_s <= 61
        for _ in range(4):
            async with raises(NotFound):
                await core.ownership.claim(next(wrong), STRANGER, "10.0.0.1")
        async with raises(TooMany):
            await core.ownership.claim(right, TECHNICIAN, "10.0.0.1")
        assert core.registry.get("MC-1").owner_id is None
        clock.pass_s(61)
        async with raises(NotFound):
            await core.ownership.claim(next(wrong), OWNER, "10.0.0.9")
        async with raises(TooMany):
            await core.ownership.claim(right, OWNER, "10.0.0.9")
        clock.pass_s(61)
        assert (await core.ownership.claim(right, OWNER, "10.0.0.9")).owner_id == OWNER.id


async def test_right_codes_are_no_tries(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        core.ownership._tries._clock = clock.monotonic
        for number in range(12):
            await approved(core, f"MC-{number}")
            code = core.ownership.code_of(f"MC-{number}", TECHNICIAN)
            await core.ownership.claim(code, OWNER, HERE)


async def test_who_gives_up_whose(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, owner_id=OWNER.id)
        async with raises(NotFound):
            await core.ownership.release("MC-1", STRANGER)
        code = await core.ownership.release("MC-1", OWNER)
        assert code == core.ownership.code_of("MC-1", TECHNICIAN)
        async with raises(NotFound):
            await core.ownership.release("MC-1", OWNER)
        async with raises(Conflict):
            await core.ownership.release("MC-1", TECHNICIAN)
        await core.ownership.claim(code, STRANGER, HERE)
        assert await core.ownership.release("MC-1", TECHNICIAN) != code
        actions = [row["action"] for row in await core.audit.rows(subject="MC-1")]
        assert actions[:3] == ["module.unclaim", "module.claim", "module.unclaim"]


async def test_only_those_who_manage_see_a_code_and_only_where_one_is_good(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, "FREE")
        await approved(core, "HERS", owner_id=OWNER.id)
        await core.enrolment.register(application("PENDING"), "10.0.0.2")
        for person in (OWNER, STRANGER):
            for id in ("FREE", "HERS", "NOBODY"):
                async with raises(Forbidden):
                    core.ownership.code_of(id, person)
        for id in ("HERS", "PENDING"):
            async with raises(Conflict):
                core.ownership.code_of(id, TECHNICIAN)
        async with raises(NotFound):
            core.ownership.code_of("NOBODY", TECHNICIAN)


async def test_a_claim_that_cannot_be_stored_leaves_module_and_code_as_they_were(tmp_path, monkeypatch):
    async with open_heart(tmp_path) as core:
        await approved(core)
        code = core.ownership.code_of("MC-1", TECHNICIAN)

        async def full(work):
            raise Unavailable("Storage is full.")

        with monkeypatch.context() as patch:
            patch.setattr(core.store, "run", full)
            async with raises(Unavailable):
                await core.ownership.claim(code, OWNER, HERE)
        assert core.registry.get("MC-1").owner_id is None
        assert core.ownership.code_of("MC-1", TECHNICIAN) == code
        assert (await core.ownership.claim(code, STRANGER, ELSEWHERE)).owner_id == STRANGER.id
