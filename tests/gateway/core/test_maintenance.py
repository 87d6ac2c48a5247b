"""Maintenance: who gets in meanwhile, that it outlives a restart, and that it harms nobody who is in."""

import pytest

from gateway.core.errors import Forbidden, Invalid, Unauthenticated, Unavailable
from gateway.core.events import ActionPerformed, MaintenanceChanged
from gateway.core.rights import Role
from tests.gateway.core.heart import PASSWORD, STRANGER, TECHNICIAN, heard, open_heart, raises

pytestmark = pytest.mark.anyio
HERE = "192.0.2.1"


async def people(core):
    """One of each role, by role."""
    return {
        role: (await core.accounts.people.add(f"{role}-1", PASSWORD, role, "test")).person for role in Role
    }


async def test_only_admins_get_in(tmp_path):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        await core.maintenance.set(True, "New disk.", admin)
        accounts = core.accounts
        for enter in (accounts.log_in, accounts.issue_tokens):
            for role in (Role.USER, Role.TECHNICIAN):
                with pytest.raises(Unavailable) as refused:
                    await enter(f"{role}-1", PASSWORD, HERE)
                assert "in maintenance (New disk)" in refused.value.message
                assert refused.value.retry_after_s == 60
            assert await enter("admin-1", PASSWORD, HERE)
        assert accounts.people.named("user-1").last_login_ms is None
        await core.maintenance.set(False, "", admin)
        assert await accounts.log_in("user-1", PASSWORD, HERE)


async def test_who_does_not_prove_himself_hears_nothing_of_it(tmp_path):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        await core.maintenance.set(True, "New disk", admin)
        for name in ("user-1", "admin-1", "nobody"):
            async with raises(Unauthenticated):
                await core.accounts.log_in(name, "wrong password", HERE)


async def test_who_is_in_stays_and_refreshes_when_it_is_over(tmp_path):
    async with open_heart(tmp_path) as core:
        who = await people(core)
        sessions = core.accounts.sessions
        browser, cookie = await sessions.open(who[Role.USER], "browser", HERE)
        pair = await sessions.issue(who[Role.USER], HERE)
        admins = await sessions.issue(who[Role.ADMIN], HERE)
        await core.maintenance.set(True, "", who[Role.ADMIN])
        assert sessions.find(cookie)[0] == browser
        assert sessions.verify(pair.access_token)
        async with raises(Unavailable):
            await sessions.refresh(pair.refresh_token)
        assert await sessions.refresh(admins.refresh_token)
        await core.accounts.change_password(browser, PASSWORD, "another good password", HERE)
        assert sessions.find(cookie)
        await core.maintenance.set(False, "", who[Role.ADMIN])
        pair = await sessions.issue(who[Role.USER], HERE)
        await core.maintenance.set(True, "", who[Role.ADMIN])
        async with raises(Unavailable):
            await sessions.refresh(pair.refresh_token)
        await core.maintenance.set(False, "", who[Role.ADMIN])
        assert await sessions.refresh(pair.refresh_token)


async def test_it_outlives_a_restart(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        before = await core.maintenance.set(True, " New \n disk ", admin)
        assert (before.on, before.reason, before.by, before.by_id) == (True, "New disk", "admin-1", admin.id)
        assert before.since_ms == clock.ms
    clock.pass_s(60)
    async with open_heart(tmp_path) as core:
        assert core.maintenance.state == before
        async with raises(Unavailable):
            await core.accounts.log_in("user-1", PASSWORD, HERE)
        after = await core.maintenance.set(True, "New disk and memory", admin)
        assert (after.reason, after.since_ms) == ("New disk and memory", before.since_ms)
        assert (await core.maintenance.set(False, "ignored", admin)).since_ms == clock.ms
    async with open_heart(tmp_path) as core:
        assert (core.maintenance.state.on, core.maintenance.state.reason) == (False, "")


async def test_a_change_is_told_and_kept_once(tmp_path):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        changes, acts = heard(core, MaintenanceChanged), heard(core, ActionPerformed)
        for on, reason in ((False, ""), (True, "Disk"), (True, "Disk"), (True, "Disk 2"), (False, "")):
            await core.maintenance.set(on, reason, admin)
        assert [(e.maintenance.on, e.maintenance.reason) for e in changes] == [
            (True, "Disk"), (True, "Disk 2"), (False, "")
        ]  # fmt: skip
        assert changes[-1].maintenance.by_id == admin.id
        assert [(e.action, e.by) for e in acts] == [
            ("maintenance.on", admin), ("maintenance.on", admin), ("maintenance.off", admin)
        ]  # fmt: skip
        rows = await core.audit.rows(subject="maintenance")
        assert [row["action"] for row in rows] == ["maintenance.off", "maintenance.on", "maintenance.on"]


async def test_only_an_admin_may_and_the_reason_is_one_short_line(tmp_path):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        for person in (TECHNICIAN, STRANGER):
            async with raises(Forbidden):
                await core.maintenance.set(True, "", person)
        for reason in ("x" * 201, "a\0b", "a\u202eb"):
            async with raises(Invalid):
                await core.maintenance.set(True, reason, admin)
        assert core.maintenance.state.on is False


async def test_the_set_up_goes_on(tmp_path):
    async with open_heart(tmp_path) as core:
        admin = (await people(core))[Role.ADMIN]
        await core.maintenance.set(True, "", admin)
        core.accounts.people._users.clear()
        assert await core.accounts.set_up(core.accounts.setup_secret, "camille", PASSWORD)
