"""The audit trail: everything that changes leaves a row, and no row can be changed or taken out unseen."""

import sqlite3
from contextlib import closing

import peewee
import pytest

from gateway.core.events import ActionPerformed
from gateway.core.rights import Role, ServiceRole
from gateway.storage.models import proxy
from tests.gateway.core.heart import (
    ADMIN,
    GENERIC,
    PASSWORD,
    TECHNICIAN,
    application,
    approved,
    heard,
    open_heart,
)

pytestmark = pytest.mark.anyio


async def live_a_little(core):
    """Every kind of change once."""
    person = await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
    await approved(core)
    await core.enrolment.register(application(), "10.0.0.2")
    (claim,) = core.registry.claims()
    await core.decisions.reject_claim(claim.number, TECHNICIAN)
    await core.enrolment.register(application(), "10.0.0.2")
    (claim,) = core.registry.claims()
    await core.decisions.approve_claim(claim.number, TECHNICIAN)
    await core.registry.edit("MC-1", ADMIN, name="Mill")
    await core.registry.rotate_token("MC-1", ADMIN)
    await core.commands.send("MC-1", "set", {"values": {"a": 1}}, ADMIN)
    await core.commands.cancel("MC-1", core.commands.of("MC-1")[0].id, ADMIN)
    await core.desired.set("MC-1", {"a": 1}, 0, ADMIN)
    await core.registry.revoke("MC-1", ADMIN)
    await core.registry.delete("MC-1", ADMIN)
    await core.enrolment.register(application("MC-2"), "10.0.0.1")
    await core.decisions.reject(["MC-2"], TECHNICIAN, "no")
    await core.decisions.unreject("MC-2", TECHNICIAN)
    await core.decisions.declare([{"serial": "MC-3", "type": GENERIC}], ADMIN, with_token=False)
    await core.joining.set("closed", ADMIN)
    await core.services.add("ha", ServiceRole.READER, ADMIN)
    await core.services.remove("ha", ADMIN)
    user = await core.accounts.people.add("bob", PASSWORD, Role.USER, ADMIN)
    await core.accounts.people.edit(user.id, person, name="Bob")
    await core.accounts.people.set_password(user.id, "another password", ADMIN)
    session, _ = await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")
    await core.accounts.sessions.close(session, "ann")
    await core.own_types.add({"code": 100, "name": "Mine"}, ADMIN)


ACTIONS = {
    "gateway.start", "user.add", "module.register", "module.approve", "claim.rejected", "module.re_enrol",
    "module.edit", "module.rotate_token", "command.send", "command.cancel", "module.desired", "module.revoke",
    "module.remove", "module.reject", "module.declare", "join.set", "service.add", "service.remove",
    "user.edit", "user.password", "user.log_in", "user.log_out", "type.add",
}  # fmt: skip


async def test_every_change_leaves_a_row_and_the_trail_is_whole(tmp_path):
    async with open_heart(tmp_path) as core:
        await live_a_little(core)
        rows = await core.audit.rows(limit=200)
        assert {row["action"] for row in rows} == ACTIONS
        assert await core.audit.broken_at() is None
        by = {(row["action"], row["subject"]): row["who"] for row in rows}
        assert by["module.approve", "MC-1"] == "tom" and by["module.revoke", "MC-1"] == "ann"
        page = await core.audit.rows(before=rows[4]["number"], limit=3)
        assert page == rows[5:8]
        of_one = await core.audit.rows(subject="MC-2", limit=200)
        assert [row["action"] for row in of_one] == ["module.remove", "module.reject", "module.register"]
    async with open_heart(tmp_path) as core:
        assert await core.audit.broken_at() is None


# Rows that no person's hand wrote, and those with events of their own: who comes and goes.
NOT_ACTS = {"gateway.start", "module.register", "user.log_in", "user.log_out"}
FIRST_ADMIN = ("user.add", "ann")


async def test_what_a_person_did_is_told_once_in_the_words_of_its_row(tmp_path):
    async with open_heart(tmp_path) as core:
        told = heard(core, ActionPerformed)
        await live_a_little(core)
        rows = [
            row for row in reversed(await core.audit.rows(limit=200))
            if row["action"] not in NOT_ACTS and (row["action"], row["subject"]) != FIRST_ADMIN
        ]  # fmt: skip
        said = [(act.action, act.subject, act.by.name, act.details) for act in told]
        for row in rows:
            row["details"] |= {"address": row["address"]} if row["address"] else {}
        written = [(row["action"], row["subject"], row["who"], row["details"]) for row in rows]
        assert sorted(said, key=repr) == sorted(written, key=repr)
        assert {act.action for act in told} == ACTIONS - NOT_ACTS


async def test_a_device_or_a_program_that_is_named_like_a_person_acts_for_nobody(tmp_path):
    async with open_heart(tmp_path) as core:
        told = heard(core, ActionPerformed)
        await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)
        await core.enrolment.register(application("ann"), "10.0.0.1")
        await core.enrolment.register(application("ann"), "10.0.0.1")
        await core.decisions.declare([{"serial": "X", "type": GENERIC}], "ann", with_token=False)
        sent = await core.commands.send("X", "set", {"values": {"a": 1}}, "ann")
        await core.commands.cancel("X", sent.id, "ann")
        assert told == []


@pytest.mark.parametrize("tampering", [
    "UPDATE audit SET who = 'eve' WHERE number = 5",
    "UPDATE audit SET details = '{}' WHERE number = 2",
    "UPDATE audit SET at_ms = at_ms + 1 WHERE number = 5",
    "UPDATE audit SET subject = 'x' WHERE number = 5",
    "UPDATE audit SET address = 'x', level = 'x' WHERE number = 5",
    "DELETE FROM audit WHERE number = 1",
    "DELETE FROM audit WHERE number = 5",
    "UPDATE audit SET number = 1000 WHERE number = 5",
])  # fmt: skip
async def test_tampering_is_found(tmp_path, tampering):
    async with open_heart(tmp_path) as core:
        await live_a_little(core)
    with closing(sqlite3.connect(tmp_path / "passerelle.db")) as other:
        for (trigger,) in other.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            other.execute(f"DROP TRIGGER {trigger}")
        assert other.execute(tampering).rowcount == 1
        other.commit()
    async with open_heart(tmp_path) as core:
        assert await core.audit.broken_at() in (2, 5, 6)


@pytest.mark.parametrize("attack", [
    "UPDATE audit SET who = 'eve'",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE number = 3",
    "INSERT OR REPLACE INTO audit (number, at_ms, level, who, action, subject, address, details, chain) "
    "VALUES (1, 0, '', 'eve', '', '', '', '{}', '')",
])  # fmt: skip
async def test_the_table_itself_takes_new_rows_only(tmp_path, attack):
    async with open_heart(tmp_path) as core:
        await live_a_little(core)
        before = await core.audit.rows(limit=200)
        with pytest.raises(peewee.IntegrityError, match="takes new rows only"):
            await core.store.run(lambda: proxy.execute_sql(attack))
        assert await core.audit.rows(limit=200) == before
