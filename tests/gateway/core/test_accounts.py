"""Getting in, staying in, getting out: passwords, sessions, tokens and those who steal them."""

import anyio
import pytest

from gateway.core.errors import Conflict, Forbidden, Invalid, TooMany, Unauthenticated, Unavailable
from gateway.core.events import SessionsEnded
from gateway.core.limits import Throttle
from gateway.core.rights import Role, ServiceRole
from tests.gateway.core.heart import ADMIN, OWNER, PASSWORD, heard, open_heart

pytestmark = pytest.mark.anyio
KEY = "k" * 40


async def admin(core):
    return await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)


async def test_the_set_up_secret_works_once(tmp_path):
    async with open_heart(tmp_path) as core:
        secret = core.accounts.setup_secret
        for wrong in ("", "wrong", secret[:-1], secret + "x", "\ud800"):
            with pytest.raises(Forbidden):
                await core.accounts.set_up(wrong, "eve", PASSWORD)
        with pytest.raises(Invalid):
            await core.accounts.set_up(secret, "ann", "short")
        person = await core.accounts.set_up(secret, "ann", PASSWORD)
        assert person.role is Role.ADMIN and not core.accounts.setup_needed
        assert core.accounts.setup_secret == ""
        with pytest.raises(Forbidden):
            await core.accounts.set_up(secret, "eve", PASSWORD)
    async with open_heart(tmp_path) as core:
        assert not core.accounts.setup_needed
        with pytest.raises(Forbidden):
            await core.accounts.set_up(core.accounts.setup_secret, "eve", PASSWORD)


async def test_two_with_the_same_link_make_one_admin(tmp_path):
    refused = []

    async def set_up(core, name, secret):
        try:
            await core.accounts.set_up(secret, name, PASSWORD)
        except (Conflict, Forbidden) as error:
            refused.append(error)

    async with open_heart(tmp_path) as core:
        secret = core.accounts.setup_secret
        async with anyio.create_task_group() as group:
            group.start_soon(set_up, core, "ann", secret)
            group.start_soon(set_up, core, "eve", secret)
        assert len(core.accounts.people.all()) == 1 and len(refused) == 1


async def test_a_stranger_cannot_lock_the_owner_out(tmp_path):
    async with open_heart(tmp_path) as core:
        await admin(core)
        sentences = set()
        for tried in range(11):
            try:
                await core.accounts.log_in("ann" if tried % 2 else "ANN", "wrong password", "6.6.6.6")
            except Unauthenticated as error:
                sentences.add(error.message)
            except TooMany as error:
                assert tried == 10 and error.retry_after_s >= 1
        with pytest.raises(Unauthenticated) as unknown:
            await core.accounts.log_in("nobody", "wrong password", "6.6.6.6")
        assert sentences == {unknown.value.message}
        session, cookie = await core.accounts.log_in("Ann", PASSWORD, "10.0.0.1")
        assert core.accounts.sessions.find(cookie)[0] == session


def test_throttle_gives_back_one_try_at_a_time_and_forgets_the_least_recent():
    now = [0.0]
    throttle = Throttle(3, 10.0, clock=lambda: now[0])
    for _ in range(3):
        throttle.spend("a")
    with pytest.raises(TooMany) as refused:
        throttle.spend("a")
    assert refused.value.retry_after_s == 11
    throttle.spend("b")
    now[0] = 10.0
    throttle.spend("a")
    with pytest.raises(TooMany):
        throttle.spend("a")
    throttle.forgive("a")
    throttle.spend("a")
    for number in range(30_000):
        throttle.spend(number)
    assert len(throttle._full_at) <= 20_000


async def test_refresh_rotates_and_a_stolen_one_ends_the_chain(tmp_path):
    async with open_heart(tmp_path) as core:
        await admin(core)
        sessions = core.accounts.sessions
        first = await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        second = await sessions.refresh(first.refresh_token)
    async with open_heart(tmp_path) as core:
        sessions = core.accounts.sessions
        third = await sessions.refresh(second.refresh_token)
        assert sessions.verify(third.access_token) is not None
        with pytest.raises(Unauthenticated, match="used before"):
            await sessions.refresh(second.refresh_token)
        assert sessions.verify(third.access_token) is None
        for dead in (first, second, third):
            with pytest.raises(Unauthenticated):
                await sessions.refresh(dead.refresh_token)
        for wrong in ("", "x", "\ud800", third.access_token):
            with pytest.raises(Unauthenticated):
                await sessions.refresh(wrong)


async def test_a_refresh_that_could_not_be_stored_may_be_tried_again(tmp_path, monkeypatch):
    async def unavailable(work):
        raise Unavailable("Storage is full.")

    async with open_heart(tmp_path) as core:
        await admin(core)
        issued = await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(core.store, "run", unavailable)
            await core.accounts.sessions.refresh(issued.refresh_token)
        again = await core.accounts.sessions.refresh(issued.refresh_token)
        assert core.accounts.sessions.verify(again.access_token) is not None


async def test_logging_out_everywhere_also_kills_what_was_issued_and_nothing_revives_it(tmp_path):
    async with open_heart(tmp_path) as core:
        person = await admin(core)
        ended = heard(core, SessionsEnded)
        issued = await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        _, cookie = await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")
        assert await core.accounts.sessions.close_all(person.id, "ann") == 2
        assert len(ended) == 1 and len(ended[0].session_ids) == 2
        await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        assert core.accounts.sessions.verify(issued.access_token) is None
        assert core.accounts.sessions.find(cookie) is None
    async with open_heart(tmp_path) as core:
        assert core.accounts.sessions.verify(issued.access_token) is None
        assert core.accounts.sessions.find(cookie) is None


async def test_a_new_password_ends_every_other_session(tmp_path):
    async with open_heart(tmp_path) as core:
        await admin(core)
        mine, cookie = await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")
        _, other = await core.accounts.log_in("ann", PASSWORD, "10.0.0.2")
        with pytest.raises(Unauthenticated):
            await core.accounts.change_password(mine, "wrong password", "another password", "10.0.0.1")
        await core.accounts.change_password(mine, PASSWORD, "another password", "10.0.0.1")
        assert core.accounts.sessions.find(cookie) and core.accounts.sessions.find(other) is None
        with pytest.raises(Unauthenticated):
            await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")


async def test_a_changed_role_ends_sessions_and_the_last_admin_stays(tmp_path):
    async with open_heart(tmp_path) as core:
        ann = await admin(core)
        people, sessions = core.accounts.people, core.accounts.sessions
        bob = (await people.add("bob", PASSWORD, Role.ADMIN, "ann")).person
        _, cookie = await core.accounts.log_in("bob", PASSWORD, "10.0.0.1")
        with pytest.raises(Forbidden):
            await people.edit(ann.id, OWNER, name="Eve")
        await people.edit(bob.id, ann, role=Role.USER)
        assert sessions.find(cookie) is None
        for change in ({"role": Role.TECHNICIAN}, {"active": False}):
            with pytest.raises(Conflict, match="last admin"):
                await people.edit(ann.id, ann, **change)
        with pytest.raises(Conflict):
            await people.add("BOB", PASSWORD, Role.USER, "ann")
        await people.edit(bob.id, ann, active=False)
        with pytest.raises(Unauthenticated):
            await core.accounts.log_in("bob", PASSWORD, "10.0.0.1")
    async with open_heart(tmp_path) as core:
        assert core.accounts.sessions.find(cookie) is None


async def test_two_admins_cannot_demote_each_other_at_once(tmp_path):
    outcomes = []

    async def demote(core, whom, by):
        try:
            await core.accounts.people.edit(whom.id, by, role=Role.USER)
        except Conflict:
            outcomes.append("refused")

    async with open_heart(tmp_path) as core:
        ann = await admin(core)
        bob = (await core.accounts.people.add("bob", PASSWORD, Role.ADMIN, "ann")).person
        async with anyio.create_task_group() as group:
            group.start_soon(demote, core, bob, ann)
            group.start_soon(demote, core, ann, bob)
        roles = sorted(user.role for user in core.accounts.people.all())
        assert outcomes == ["refused"] and roles == [Role.ADMIN, Role.USER]


async def test_services_have_a_token_of_their_own_until_removed(tmp_path):
    async with open_heart(tmp_path) as core:
        with pytest.raises(Forbidden):
            await core.services.add("ha", ServiceRole.READER, OWNER)
        _, token = await core.services.add("ha", ServiceRole.READER, ADMIN)
        with pytest.raises(Conflict):
            await core.services.add("ha", ServiceRole.READER, ADMIN)
        for name, given in (
            ("ha", ""),
            ("ha", None),
            ("ha", "x"),
            ("HA", token),
            (None, token),
            ("hb", token),
        ):
            assert core.services.authenticate(name, given) is None
        assert core.services.by_token("") is None and core.services.by_token("\ud800") is None
    async with open_heart(tmp_path) as core:
        service = core.services.authenticate("ha", token)
        assert service.role is ServiceRole.READER and core.services.by_token(token) == service
        await core.services.remove("ha", ADMIN)
        assert core.services.authenticate("ha", token) is None
        assert core.services.identity_now(service) is None


async def test_no_secret_is_printed_logged_or_noted(tmp_path, caplog):
    caplog.set_level("INFO")
    async with open_heart(tmp_path) as core:
        from tests.gateway.core.heart import application, approved

        person = await admin(core)
        module, token = await approved(core)
        claim = await core.enrolment.register(application(), "10.0.0.2")
        ((_, key),) = await core.decisions.declare([{"serial": "MC-2", "type": 7}], "ann", with_token=False)
        issued = await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        session, cookie = await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")
        rotated = await core.registry.rotate_token("MC-1", person)
        seen = repr([claim, issued, session, module, core, application(shared_key=key)])
        seen += repr(core.registry.authenticate("MC-1", token)) + repr(core.describe(module))
        seen += repr(await core.audit.rows(limit=200)) + caplog.text
        secrets = [
            token,
            claim.token,
            key,
            issued.access_token,
            issued.refresh_token,
            cookie,
            rotated,
            PASSWORD,
        ]
        secrets += [session.csrf, KEY, core.accounts._setup_secret]
        assert [secret for secret in secrets if secret in seen] == []
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert [secret for secret in secrets if secret.encode() in stored and secret != session.csrf] == []
