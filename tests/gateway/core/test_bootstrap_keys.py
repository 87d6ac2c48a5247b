"""A key of a whole type: who may allow it, whom it lets in, and that it shows nothing of what is there."""

import sqlite3
from contextlib import closing

import anyio
import pytest

from gateway.core.errors import Closed, Forbidden, NotFound, TooMany, Unauthenticated
from gateway.core.events import ActionPerformed, FirmwareReported
from gateway.core.rights import ModuleIdentity
from tests.gateway.core.heart import (
    ADMIN,
    GENERIC,
    OWNER,
    STATION,
    TECHNICIAN,
    application,
    approved,
    heard,
    open_heart,
)

pytestmark = pytest.mark.anyio
WRONG = "Serial or shared key is wrong."


async def refused(core, serial, key, type=STATION):
    with pytest.raises(Forbidden) as told:
        await core.enrolment.register(application(serial, type, shared_key=key), "10.0.0.9")
    assert told.value.message == WRONG


async def test_an_unknown_serial_is_in_at_once_with_a_token_of_its_own(tmp_path):
    async with open_heart(tmp_path) as core:
        key = await core.bootstrap.allow(STATION, ADMIN)
        told = heard(core, FirmwareReported)
        asked = application("NEW-1", STATION, shared_key=key, hardware="rev-b", firmware={"serial": "fw-1"})
        granted = await core.enrolment.register(asked, "10.0.0.1")
        module = core.registry.get("NEW-1")
        assert (granted.status, granted.expires_at_ms) == ("approved", None)
        assert (module.life, module.type, module.hardware, module.address) == (
            "approved", STATION, "rev-b", "10.0.0.1",
        )  # fmt: skip
        assert told == [FirmwareReported("NEW-1", {"serial": "fw-1"}, "register", "NEW-1")]
        assert granted.token != key
        assert core.registry.authenticate("NEW-1", granted.token) == ModuleIdentity("NEW-1", True)
        assert core.registry.authenticate("NEW-1", key) is None
        assert core.registry.waiting() == 0
        (row,) = await core.audit.rows(subject="NEW-1")
        assert (row["action"], row["who"], row["address"]) == ("module.bootstrap", "NEW-1", "10.0.0.1")
    async with open_heart(tmp_path) as core:
        assert core.registry.authenticate("NEW-1", granted.token) == ModuleIdentity("NEW-1", True)
        again = await core.enrolment.register(application("NEW-2", STATION, shared_key=key), "10.0.0.1")
        assert again.status == "approved"


async def test_a_serial_that_is_known_is_refused_as_with_a_wrong_key(tmp_path):
    async with open_heart(tmp_path) as core:
        key = await core.bootstrap.allow(STATION, ADMIN)
        await approved(core, "IN-1", STATION)
        await core.enrolment.register(application("WAITS-1", STATION), "10.0.0.1")
        await core.enrolment.register(application("OUT-1", STATION), "10.0.0.1")
        await core.decisions.reject(["OUT-1"], TECHNICIAN)
        await core.decisions.declare([{"serial": "KEY-1", "type": STATION}], "ann", with_token=False)
        await core.enrolment.register(application("BOOT-1", STATION, shared_key=key), "10.0.0.1")
        before = list(core.registry.all())
        for serial in ("IN-1", "in-1", "WAITS-1", "OUT-1", "KEY-1", "BOOT-1"):
            await refused(core, serial, key)
            await refused(core, serial, "wrong")
        for serial in ("", None, "a/b", "register", "x" * 65):
            await refused(core, serial, key)
        assert list(core.registry.all()) == before


async def test_only_its_type_only_while_allowed_and_only_the_last_key(tmp_path):
    async with open_heart(tmp_path) as core:
        for key in ("", "wrong", "\ud800"):
            await refused(core, "NEW-1", key)
        first = await core.bootstrap.allow(STATION, ADMIN)
        await refused(core, "NEW-1", first, GENERIC)
        await refused(core, "NEW-1", first[:-1])
        await refused(core, "NEW-1", "")
        second = await core.bootstrap.allow(STATION, ADMIN)
        await refused(core, "NEW-1", first)
        assert core.bootstrap.type_of(first) is None
        assert core.bootstrap.type_of(second) == STATION
        await core.bootstrap.forbid(STATION, ADMIN)
        await refused(core, "NEW-1", second)
        with pytest.raises(NotFound):
            await core.bootstrap.forbid(STATION, ADMIN)
        assert core.registry.known("NEW-1") is None


async def test_only_admins_allow_and_only_digests_are_kept(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        done = heard(core, ActionPerformed)
        for person in (TECHNICIAN, OWNER):
            with pytest.raises(Forbidden):
                await core.bootstrap.allow(STATION, person)
            with pytest.raises(Forbidden):
                await core.bootstrap.forbid(STATION, person)
        with pytest.raises(NotFound):
            await core.bootstrap.allow(4711, ADMIN)
        key = await core.bootstrap.allow(STATION, ADMIN)
        assert core.bootstrap.allowed() == {STATION: clock.ms}
        rows = await core.audit.rows(subject=str(STATION))
        assert [(row["action"], row["who"]) for row in rows] == [("bootstrap.allow", "ann")]
        assert [act.action for act in done] == ["bootstrap.allow"]
    with closing(sqlite3.connect(tmp_path / "passerelle.db")) as other:
        assert key not in "\n".join(other.iterdump())
    async with open_heart(tmp_path) as core:
        assert core.bootstrap.allowed() == {STATION: clock.ms}
        assert core.bootstrap.opens(STATION, key)
        await core.bootstrap.forbid(STATION, ADMIN)
    async with open_heart(tmp_path) as core:
        assert core.bootstrap.allowed() == {}


async def test_two_changes_at_once_are_both_kept(tmp_path):
    async with open_heart(tmp_path) as core, anyio.create_task_group() as group:
        for type in (STATION, GENERIC):
            group.start_soon(core.bootstrap.allow, type, ADMIN)
    async with open_heart(tmp_path) as core:
        assert set(core.bootstrap.allowed()) == {STATION, GENERIC}


async def test_it_opens_no_closed_door_and_counts_in_a_window(tmp_path):
    async with open_heart(tmp_path) as core:
        key = await core.bootstrap.allow(STATION, ADMIN)
        await core.joining.set("closed", ADMIN)
        with pytest.raises(Closed):
            await core.enrolment.register(application("NEW-1", STATION, shared_key=key), "10.0.0.1")
        # Whether it is closed is told to those who know the key, as to any newcomer.
        await refused(core, "NEW-1", "wrong")
        await core.joining.set("window", ADMIN, seconds=60, type=STATION, quota=1)
        await core.enrolment.register(application("NEW-1", STATION, shared_key=key), "10.0.0.1")
        with pytest.raises(Closed):
            await core.enrolment.register(application("NEW-2", STATION, shared_key=key), "10.0.0.1")


async def test_a_key_that_is_known_to_all_lets_only_so_many_in(tmp_path):
    async with open_heart(tmp_path, pending_max=5) as core:
        key = await core.bootstrap.allow(STATION, ADMIN)
        with pytest.raises(TooMany) as told:
            for number in range(20):
                asked = application(f"NEW-{number}", STATION, shared_key=key)
                await core.enrolment.register(asked, f"10.0.0.{number}")
        assert number == 5
        assert told.value.retry_after_s > 60
        await refused(core, "NEW-9", "wrong")


async def test_two_at_once_with_one_serial_are_one_module(tmp_path):
    answers = []

    async def ask(core, key):
        try:
            asked = application("NEW-1", STATION, shared_key=key)
            answers.append((await core.enrolment.register(asked, "10.0.0.1")).status)
        except Forbidden as error:
            answers.append(error.message)

    async with open_heart(tmp_path) as core:
        key = await core.bootstrap.allow(STATION, ADMIN)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, core, key)
        assert sorted(answers) == [WRONG, WRONG, "approved"]


async def test_where_no_type_is_said_the_key_tells_it(tmp_path):
    async with open_heart(tmp_path) as core:
        await core.bootstrap.allow(GENERIC, ADMIN)
        key = await core.bootstrap.allow(STATION, ADMIN)
        proof = {"device_serial": "NEW-1", "shared_key": key, "current_firmware_serial": "fw-1"}
        module, granted = await core.devices.register(proof, "10.0.0.1")
        assert (module.type, module.life, granted.status) == (STATION, "approved", "approved")
        assert module.reported_firmware == "fw-1"
        for serial in ("NEW-1", "NEW-2", ""):
            for given in (key, "wrong", "", None):
                if (serial, given) != ("NEW-2", key):
                    with pytest.raises(Unauthenticated) as told:
                        await core.devices.register(
                            {"device_serial": serial, "shared_key": given}, "10.0.0.1"
                        )
                    assert told.value.message == WRONG
        # It proves no device to a service that asks.
        with pytest.raises(Unauthenticated):
            core.devices.authenticate(proof, ADMIN)
