"""What an admin does while somebody is just logging in; and what a session keeps in memory."""

from collections import deque

import pytest

from gateway.core.access.accounts import Caller
from gateway.core.access.sessions import MAX_USED
from gateway.core.errors import Unauthenticated
from gateway.core.rights import Role
from tests.gateway.core.heart import PASSWORD, open_heart

pytestmark = pytest.mark.anyio
HERE = Caller("10.0.0.1")


async def staff(core):
    ann = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
    tom = await core.accounts.people.add("tom", PASSWORD, Role.TECHNICIAN, ann)
    return ann, tom


async def test_who_is_made_less_while_he_logs_in_stays_less(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, tom = await staff(core)
        user = await core.accounts.prove("tom", PASSWORD, HERE.address)
        await core.accounts.people.edit(tom.id, ann, role=Role.USER, email="tom@example.org")
        await core.accounts.finish(user, HERE)
        now = core.accounts.people.get(tom.id)
        assert now.role is Role.USER and now.email == "tom@example.org" and now.last_login_ms


async def test_who_is_locked_while_he_logs_in_gets_no_session(tmp_path):
    async with open_heart(tmp_path) as core:
        ann, tom = await staff(core)
        user = await core.accounts.prove("tom", PASSWORD, HERE.address)
        await core.accounts.people.edit(tom.id, ann, active=False)
        with pytest.raises(Unauthenticated):
            await core.accounts.finish(user, HERE)
        await core.accounts.people.edit(tom.id, ann, active=True)
        assert core.accounts.sessions.of(tom.id) == []


async def test_a_program_that_refreshes_without_end_fills_no_memory(tmp_path):
    async with open_heart(tmp_path) as core:
        _, tom = await staff(core)
        sessions = core.accounts.sessions
        pair = await sessions.issue(tom.person, "10.0.0.1")
        sessions._used_by[sessions.of(tom.id)[0].id] = used = deque()
        for number in range(MAX_USED):
            used.append(f"{number}")
            sessions._used_digests[f"{number}"] = sessions.of(tom.id)[0].id
        following = await sessions.refresh(pair.refresh_token)
        assert len(sessions._used_digests) == MAX_USED
        with pytest.raises(Unauthenticated, match="used before"):
            await sessions.refresh(pair.refresh_token)
        assert sessions.verify(following.access_token) is None and not sessions._used_by


async def test_a_name_is_one_line_of_bounded_length(tmp_path):
    async with open_heart(tmp_path) as core:
        _, tom = await staff(core)
        after = await core.accounts.people.edit(
            tom.id, tom.person, name="Tom\r\nBcc: x@a.org " + "y" * 900
        )
        assert after.name.startswith("Tom Bcc:") and len(after.name) == 200
