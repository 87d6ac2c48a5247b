"""What a device says that it runs: kept as its word, told once durable; a stranger's word is nothing."""

import sqlite3
from contextlib import closing

import pytest

from gateway.core.enrolment import firmware_said
from gateway.core.events import FirmwareReported
from gateway.core.rights import Service, ServiceRole
from tests.gateway.core.heart import ADMIN, TECHNICIAN, application, approved, heard, open_heart

pytestmark = pytest.mark.anyio
SAID = {"serial": "mill-2", "digest": "sha256:aa", "version": "2.0"}
PROGRAM = Service("stock", ServiceRole.CONTROLLER)


def stored(folder, serial="MC-1"):
    with closing(sqlite3.connect(folder / "passerelle.db")) as other:
        query = "SELECT firmware, reported_firmware FROM module WHERE id = ?"
        return other.execute(query, (serial,)).fetchone()


def durable_when_told(core, folder, serial="MC-1"):
    """What the database held when each report was told."""
    held = []
    core.hub.subscribe(FirmwareReported, lambda _: held.append(stored(folder, serial)))
    return held


async def test_a_newcomer_and_one_that_asks_again_are_told_of(tmp_path):
    async with open_heart(tmp_path) as core:
        told, held = heard(core, FirmwareReported), durable_when_told(core, tmp_path)
        await core.enrolment.register(application(firmware=SAID | {"more": [1]}), "10.0.0.1")
        assert told == [FirmwareReported("MC-1", SAID, "register", "MC-1")]
        await core.enrolment.register(application(firmware={"serial": "mill-3"}), "10.0.0.1")
        assert told[1:] == [FirmwareReported("MC-1", {"serial": "mill-3"}, "register", "MC-1")]
        assert held == [("", "mill-2"), ("", "mill-3")]
        # Who says nothing takes nothing back, and is nothing to tell of.
        await core.enrolment.register(application(), "10.0.0.1")
        assert core.registry.get("MC-1").reported_firmware == "mill-3"
        assert len(told) == 2
    async with open_heart(tmp_path) as core:
        assert core.registry.get("MC-1").reported_firmware == "mill-3"


async def test_a_shared_key_tells_too_and_leaves_what_runs_to_the_catalogue(tmp_path):
    async with open_heart(tmp_path) as core:
        entry = {"serial": "MC-1", "type": 7}
        ((_, key),) = await core.decisions.declare([entry], "ann", with_token=False)
        await core.registry.change(core.registry.get("MC-1"), "test", "test", firmware="mill-1")
        told, held = heard(core, FirmwareReported), durable_when_told(core, tmp_path)
        await core.enrolment.register(application(shared_key=key, firmware=SAID), "10.0.0.1")
        assert told == [FirmwareReported("MC-1", SAID, "register", "MC-1")]
        assert held == [("mill-1", "mill-2")]


async def test_a_strangers_word_touches_nothing_until_somebody_approves_it(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core)
        before = core.registry.get("MC-1")
        told, held = heard(core, FirmwareReported), durable_when_told(core, tmp_path)
        await core.enrolment.register(application(firmware={"serial": "evil-1"}), "10.0.0.66")
        await core.enrolment.register(application(firmware=SAID), "10.0.0.2")
        assert core.registry.get("MC-1") == before
        assert told == []
        evil, good = core.registry.claims()
        await core.decisions.reject_claim(evil.number, TECHNICIAN)
        assert told == []
        await core.decisions.approve_claim(good.number, TECHNICIAN)
        assert told == [FirmwareReported("MC-1", {"serial": "mill-2"}, "register", "MC-1")]
        assert held == [("", "mill-2")]
        # A claim that says nothing of it.
        await core.enrolment.register(application(), "10.0.0.3")
        (claim,) = core.registry.claims()
        await core.decisions.approve_claim(claim.number, TECHNICIAN)
        assert core.registry.get("MC-1").reported_firmware == "mill-2"
        assert len(told) == 1


@pytest.mark.parametrize("said, kept", [
    ({}, {}), ({"serial": 5, "version": None}, {}), ({"serial": "", "digest": []}, {}),
    ({"serial": "x" * 500}, {"serial": "x" * 200}), ({"version": "1", "other": "2"}, {"version": "1"}),
])  # fmt: skip
async def test_what_is_no_text_or_too_long_is_cut(said, kept):
    assert firmware_said(said) == kept


@pytest.mark.parametrize("by, name", [(ADMIN, "ann"), (PROGRAM, "stock")])
async def test_a_change_by_somebody_else_names_who(tmp_path, by, name):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        told, held = heard(core, FirmwareReported), durable_when_told(core, tmp_path)
        after = await core.devices.change(module.uuid, {"current_firmware_serial": "mill-2"}, by)
        assert (after.firmware, after.reported_firmware) == ("", "mill-2")
        await core.devices.change(module.uuid, {"name": "Mill"}, by)
        assert told == [FirmwareReported("MC-1", {"serial": "mill-2"}, "change", name)]
        assert held == [("", "mill-2")]
