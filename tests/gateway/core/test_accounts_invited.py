"""Coming to be a user: by invitation, or by asking where that is allowed; and nobody else."""

import anyio
import pytest

from gateway.core.access.sign_ups import MAX_WAITING, SignUpsChanged
from gateway.core.errors import Closed, Conflict, Forbidden, Full, Invalid, NotFound, TooMany, Unauthenticated
from gateway.core.rights import Role
from tests.gateway.core.heart import OWNER, PASSWORD, TECHNICIAN, Clock, heard, open_heart

pytestmark = pytest.mark.anyio
HERE = "10.0.0.1"


async def admin(core):
    return await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)


async def test_an_invitation_makes_one_account_of_its_role_and_groups(tmp_path):
    async with open_heart(tmp_path) as core:
        ann = await admin(core)
        made, code = await core.accounts.invitations.add(
            Role.TECHNICIAN, ann, groups=" Barn, Mill ,Barn,", note="for  Lea"
        )
        assert (made.groups, made.note, made.by) == (("Barn", "Mill"), "for Lea", "ann")
    async with open_heart(tmp_path) as core:
        for wrong in ("", "x", code[:-1], code.lower() + "x", "\ud800"):
            with pytest.raises(Forbidden):
                await core.accounts.join(wrong, "lea", PASSWORD, HERE)
        for name, password, error in (
            ("ann", PASSWORD, Conflict),
            ("<b>", PASSWORD, Invalid),
            ("lea", "x", Invalid),
        ):
            with pytest.raises(error):
                await core.accounts.join(code, name, password, HERE)
        lea = await core.accounts.join(f" {code} ", "lea", PASSWORD, HERE, name="Lea", email="lea@home")
        assert (lea.role, lea.groups, lea.name) == (Role.TECHNICIAN, frozenset({"Barn", "Mill"}), "Lea")
        assert core.accounts.people.person(lea.id).groups == lea.groups
        with pytest.raises(Forbidden, match="not good"):
            await core.accounts.join(code, "eve", PASSWORD, HERE)
        rows = await core.audit.rows()
        assert [(row["action"], row["subject"]) for row in rows[:1]] == [("user.add", "lea")]
        assert code not in str(rows)
    async with open_heart(tmp_path) as core:
        assert core.accounts.invitations.all() == []
        assert core.accounts.people.named("lea").groups == frozenset({"Barn", "Mill"})
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert code.encode() not in stored


async def test_two_with_the_same_invitation_make_one_account(tmp_path):
    outcomes = []

    async def come(core, code, name):
        try:
            outcomes.append((await core.accounts.join(code, name, PASSWORD, HERE)).username)
        except Forbidden:
            outcomes.append("refused")

    async with open_heart(tmp_path) as core:
        _, code = await core.accounts.invitations.add(Role.USER, await admin(core))
        async with anyio.create_task_group() as group:
            for name in ("lea", "eve"):
                group.start_soon(come, core, code, name)
        assert "refused" in outcomes and len(core.accounts.people.all()) == 2


async def test_an_invitation_ends_by_time_and_when_it_is_taken_back(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    async with open_heart(tmp_path) as core:
        ann, invitations = await admin(core), core.accounts.invitations
        for by in (OWNER, TECHNICIAN):
            with pytest.raises(Forbidden):
                await invitations.add(Role.USER, by)
        for days in (0, 91):
            with pytest.raises(Invalid):
                await invitations.add(Role.USER, ann, days=days)
        with pytest.raises(Conflict):
            await invitations.add(Role.ADMIN, ann, groups="Barn")
        _, short = await invitations.add(Role.USER, ann, days=1)
        made, long = await invitations.add(Role.USER, ann)
        clock.pass_s(86401)
        with pytest.raises(Forbidden):
            await core.accounts.join(short, "eve", PASSWORD, HERE)
        assert [one.id for one in invitations.all()] == [made.id]
        with pytest.raises(Forbidden):
            await invitations.take_back(made.id, TECHNICIAN)
        await invitations.take_back(made.id, ann)
        with pytest.raises(NotFound):
            await invitations.take_back(made.id, ann)
        with pytest.raises(Forbidden):
            await core.accounts.join(long, "eve", PASSWORD, HERE)


async def test_codes_cannot_be_guessed_at_leisure(tmp_path):
    async with open_heart(tmp_path) as core:
        _, code = await core.accounts.invitations.add(Role.USER, await admin(core))
        core.accounts._tries_of_address._clock = lambda: 1000.0
        for _ in range(30):
            with pytest.raises(Forbidden):
                await core.accounts.join("guess", "eve", PASSWORD, "2001:db8::6")
        with pytest.raises(TooMany):
            await core.accounts.join(code, "eve", PASSWORD, "2001:db8::7")
        assert await core.accounts.join(code, "lea", PASSWORD, HERE)


# Asking for an account


async def opened(core):
    ann = await admin(core)
    await core.choices.set({"people.sign_up": "approval"}, ann)
    return ann, core.accounts.sign_ups


async def test_nobody_may_ask_unless_an_admin_says_so(tmp_path):
    async with open_heart(tmp_path) as core:
        await admin(core)
        with pytest.raises(Closed):
            await core.accounts.sign_ups.ask("lea", PASSWORD, HERE)
        assert core.accounts.sign_ups.all() == []


async def test_who_asks_is_nobody_until_approved(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, sign_ups = await opened(core)
        told = heard(core, SignUpsChanged)
        await sign_ups.ask("lea", PASSWORD, HERE, name="Lea", note=" two\nlines ")
        await sign_ups.ask("eve", PASSWORD, HERE)
        for enter in (core.accounts.log_in, core.accounts.issue_tokens):
            with pytest.raises(Unauthenticated):
                await enter("lea", PASSWORD, HERE)
        assert core.accounts.people.named("lea") is None and core.accounts.sessions.online_people() == 0
    async with open_heart(tmp_path) as core:
        sign_ups = core.accounts.sign_ups
        lea, eve = sign_ups.all()
        assert (lea.username, lea.note, lea.address) == ("lea", "two lines", HERE)
        for by in (OWNER, TECHNICIAN):
            with pytest.raises(Forbidden):
                await sign_ups.approve(lea.id, Role.ADMIN, by)
            with pytest.raises(Forbidden):
                await sign_ups.reject(lea.id, by)
        user = await sign_ups.approve(lea.id, Role.USER, ann)
        await sign_ups.reject(eve.id, ann)
        assert (user.username, user.role) == ("lea", Role.USER)
        assert await core.accounts.log_in("lea", PASSWORD, HERE)
        with pytest.raises(Unauthenticated):
            await core.accounts.log_in("eve", PASSWORD, HERE)
        for gone in (lea, eve):
            with pytest.raises(NotFound):
                await sign_ups.approve(gone.id, Role.USER, ann)
    assert [event.waiting for event in told] == [1, 2]
    async with open_heart(tmp_path) as core:
        assert core.accounts.sign_ups.all() == []


async def test_asking_tells_nothing_of_who_there_is(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, sign_ups = await opened(core)
        for name in ("ann", "ANN", "lea", "lea"):
            assert await sign_ups.ask(name, PASSWORD, HERE) is None
        taken, _, lea, again = sign_ups.all()
        with pytest.raises(Conflict):
            await sign_ups.approve(taken.id, Role.USER, ann)
        assert await sign_ups.approve(taken.id, Role.USER, ann, "ann2")
        await sign_ups.approve(lea.id, Role.USER, ann)
        with pytest.raises(Conflict):
            await sign_ups.approve(again.id, Role.USER, ann)
        assert len(sign_ups.all()) == 2


async def test_two_admins_decide_once(tmp_path):
    outcomes = []

    async def approve(core, id, ann):
        try:
            outcomes.append((await core.accounts.sign_ups.approve(id, Role.USER, ann)).username)
        except NotFound:
            outcomes.append("too late")

    async with open_heart(tmp_path) as core:
        ann, sign_ups = await opened(core)
        await sign_ups.ask("lea", PASSWORD, HERE)
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(approve, core, sign_ups.all()[0].id, ann)
        assert sorted(outcomes) == ["lea", "too late"]


async def test_the_list_is_bounded_in_all_and_per_address_and_forgets(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    async with open_heart(tmp_path, rate_limits=False) as core:
        _, sign_ups = await opened(core)

        async def same(password):
            return "hash"

        # A hundred real hashes would only take time here.
        core.accounts.people.hash = same
        for number in range(5):
            await sign_ups.ask(f"eve{number}", PASSWORD, f"2001:db8::{number}")
        with pytest.raises(Full):
            await sign_ups.ask("eve6", PASSWORD, "2001:db8::99")
        for number in range(MAX_WAITING - 5):
            await sign_ups.ask(f"user{number}", PASSWORD, f"10.0.{number}.1")
        with pytest.raises(Full):
            await sign_ups.ask("lea", PASSWORD, "10.9.9.9")
        clock.pass_s(31 * 86400)
        await sign_ups.ask("lea", PASSWORD, "10.9.9.9")
        assert [asked.username for asked in sign_ups.all()] == ["lea"]


async def test_one_address_asks_a_few_times_and_then_waits(tmp_path):
    async with open_heart(tmp_path) as core:
        _, sign_ups = await opened(core)
        for number in range(5):
            with pytest.raises(Invalid):
                await sign_ups.ask(f"eve{number}", "short", HERE)
        with pytest.raises(TooMany) as refused:
            await sign_ups.ask("lea", PASSWORD, HERE)
        assert refused.value.retry_after_s > 60
