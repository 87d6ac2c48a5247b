"""Programs: registered while newcomers may come, proved by their token, decided about by admins alone."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from gateway.core import clients
from gateway.core.errors import Closed, Forbidden, Full, Invalid, NotFound, TooMany
from gateway.core.events import ActionPerformed, ClientChanged, ClientRemoved
from gateway.core.rights import Client, Role, may_manage, may_see
from tests.gateway.core.heart import ADMIN, OWNER, PASSWORD, TECHNICIAN, heard, open_heart, raises

pytestmark = pytest.mark.anyio
WALL = {"name": "wall panel", "location": "hall"}


async def test_a_program_registers_and_its_token_finds_it_after_a_restart_too(tmp_path):
    async with open_heart(tmp_path) as core:
        program, token = await core.clients.register(WALL, "10.0.0.9")
        other, others_token = await core.clients.register({}, "10.0.0.9")
        assert program.id != other.id and token != others_token
        assert (program.name, program.location, program.owner_id) == ("wall panel", "hall", None)
        (row,) = await core.audit.rows(subject=f"client {program.id}")
        assert (row["action"], row["address"]) == ("client.register", "10.0.0.9")
        core.clients.logged_in(program.id)
    async with open_heart(tmp_path) as core:
        again = core.clients.by_token(token)
        assert again == core.clients.get(program.id) and again.last_login_ms is not None
        assert [p.id for p in core.clients.all()] == [program.id, other.id]
    with closing(sqlite3.connect(tmp_path / "passerelle.db")) as database:
        dump = "\n".join(database.iterdump())
    assert token not in dump and others_token not in dump


@pytest.mark.parametrize("token", ["", None, 0, 1, True, [], {}, "x", "0" * 64, b"x"])
async def test_nothing_but_the_token_itself_finds_a_program(tmp_path, token):
    async with open_heart(tmp_path) as core:
        await core.clients.register(WALL, "10.0.0.9")
        assert core.clients.by_token(token) is None


@pytest.mark.parametrize("information", [None, "text", [1], 5, {"a": "x" * 5000}])
async def test_information_is_an_object_of_bounded_size(tmp_path, information):
    async with open_heart(tmp_path) as core:
        async with raises(Invalid):
            await core.clients.register(information, "10.0.0.9")
        program, _ = await core.clients.register(WALL, "10.0.0.9")
        async with raises(Invalid):
            await core.clients.update(program.id, information)
        assert core.clients.get(program.id).information == WALL


async def test_the_same_information_again_leaves_no_row_and_costs_nothing(tmp_path):
    async with open_heart(tmp_path) as core:
        program, _ = await core.clients.register(WALL, "10.0.0.9")
        before = await core.audit.rows(limit=1)
        for _ in range(100):
            assert await core.clients.update(program.id, dict(WALL)) == program
        assert await core.audit.rows(limit=1) == before
        # What is new leaves one row each, and there is an end to that.
        async with raises(TooMany):
            for number in range(100):
                await core.clients.update(program.id, {"n": number})
        rows = await core.audit.rows(subject=f"client {program.id}", limit=200)
        assert sum(row["action"] == "client.update" for row in rows) == number == 20
        assert core.clients.get(program.id).information == {"n": 19}


async def test_the_join_rules_hold_for_programs_too(tmp_path):
    async with open_heart(tmp_path, rate_limits=False) as core:
        await core.joining.set("closed", ADMIN)
        async with raises(Closed):
            await core.clients.register(WALL, "10.0.0.9")
        await core.joining.set("window", ADMIN, seconds=60, type=7)
        async with raises(Closed):
            await core.clients.register(WALL, "10.0.0.9")
        await core.joining.set("window", ADMIN, seconds=60, quota=2)
        tries = [core.clients.register(WALL, "10.0.0.9") for _ in range(5)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(one, Closed) for one in done) == 3
        assert len(core.clients.all()) == 2


async def test_there_is_room_for_so_many_and_one_address_comes_slowly(tmp_path, monkeypatch):
    monkeypatch.setattr(clients, "MOST", 3)
    async with open_heart(tmp_path, rate_limits=False) as core:
        tries = [core.clients.register(WALL, "10.0.0.9") for _ in range(5)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(one, Full) for one in done) == 2
        await core.clients.remove(1, ADMIN)
        program, _ = await core.clients.register(WALL, "10.0.0.9")
        assert program.id == 4, "a number is never given twice"
    async with open_heart(tmp_path) as core:
        core.clients.throttle._clock = lambda: 1000.0
        for _ in range(clients.BURST):
            async with raises(Full):
                await core.clients.register(WALL, "10.0.0.9")
        async with raises(TooMany):
            await core.clients.register(WALL, "10.0.0.9")
        async with raises(Full):
            await core.clients.register(WALL, "10.0.0.8")


async def test_only_admins_remove_programs_and_give_them_to_people(tmp_path):
    async with open_heart(tmp_path) as core:
        user = await core.accounts.people.add("bob", PASSWORD, Role.USER, "ann")
        events = heard(core, ClientChanged, ClientRemoved, ActionPerformed)
        program, token = await core.clients.register(WALL, "10.0.0.9")
        for by in (TECHNICIAN, OWNER):
            async with raises(Forbidden):
                await core.clients.give(program.id, user.id, by)
            async with raises(Forbidden):
                await core.clients.remove(program.id, by)
        async with raises(NotFound):
            await core.clients.give(program.id, 77, ADMIN)
        async with raises(NotFound):
            await core.clients.remove(77, ADMIN)
        assert events == []
        given = await core.clients.give(program.id, user.id, ADMIN)
        assert given.identity == Client(program.id, user.id) and core.clients.by_token(token) == given
        assert (await core.clients.give(program.id, None, ADMIN)).owner_id is None
        await core.clients.remove(program.id, ADMIN)
        assert core.clients.by_token(token) is None and core.clients.known(program.id) is None
        assert [type(event).__name__ for event in events] == [
            "ClientChanged", "ActionPerformed", "ClientChanged", "ActionPerformed",
            "ClientRemoved", "ActionPerformed",
        ]  # fmt: skip
        rows = await core.audit.rows(subject=f"client {program.id}")
        assert [row["action"] for row in rows] == [
            "client.remove", "client.give", "client.give", "client.register",
        ]  # fmt: skip
    async with open_heart(tmp_path) as core:
        assert core.clients.all() == [] and core.clients.by_token(token) is None


async def test_what_changes_while_another_change_is_written_is_not_lost(tmp_path):
    async with open_heart(tmp_path) as core:
        user = await core.accounts.people.add("bob", PASSWORD, Role.USER, "ann")
        program, _ = await core.clients.register(WALL, "10.0.0.9")
        await asyncio.gather(
            core.clients.update(program.id, {"name": "new"}), core.clients.give(program.id, user.id, ADMIN)
        )
        after = core.clients.get(program.id)
        assert (after.information, after.owner_id) == ({"name": "new"}, user.id)
        results = await asyncio.gather(
            core.clients.remove(program.id, ADMIN), core.clients.update(program.id, WALL),
            return_exceptions=True,
        )  # fmt: skip
        assert results[0] is None and isinstance(results[1], NotFound)
        assert core.clients.all() == []


def test_a_program_sees_what_nobody_owns_and_what_its_owner_has():
    nobodys, olgas = Client(1, None), Client(2, 3)
    assert [may_see(nobodys, owner) for owner in (None, 3, 4)] == [True, False, False]
    assert [may_see(olgas, owner) for owner in (None, 3, 4)] == [True, True, False]
    assert not may_manage(olgas)
