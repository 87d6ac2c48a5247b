"""The time line of a module: what is on it, in which words, and that nobody can fill it for others."""

import pytest

from gateway.core.errors import Invalid
from gateway.core.events import Alert, FirmwareJobChanged, ModuleEventRaised
from gateway.core.timeline import MOST_OF_KIND, PACE, THIN_EVERY, MomentNoted, Timeline
from gateway.storage.models_timeline import MomentRow
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, approved, heard, open_heart, raises

pytestmark = pytest.mark.anyio


async def told(core, module, kind=""):
    page = await core.timeline.page(module, kind=kind, limit=500)
    return [(moment.kind, moment.what, moment.who) for moment in reversed(page)]


async def test_a_module_s_life_is_told_in_order_with_who(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        await core.registry.edit("MC-1", TECHNICIAN, name="Gate")
        core.presence.heard(core.registry.get("MC-1"))
        command = await core.commands.send("MC-1", "set", {"values": {"a": 1}}, ADMIN)
        await core.commands.cancel("MC-1", command.id, ADMIN)
        await core.desired.set("MC-1", {"speed": 3}, 0, ADMIN)
        core.desired.report(module, {"speed": 3}, 1)
        await core.registry.rotate_token("MC-1", TECHNICIAN)
        core.presence.gone(module, "will")
        await core.registry.revoke("MC-1", ADMIN)
        assert await told(core, module) == [
            ("access", "registered", ""), ("access", "approved", "tom"), ("change", "renamed", "tom"),
            ("presence", "online", ""), ("command", "sent", "ann"), ("command", "canceled", ""),
            ("setting", "desired", "ann"), ("setting", "in_step", ""), ("access", "rotated", "tom"),
            ("presence", "offline", ""), ("access", "revoked", "ann"),
        ]  # fmt: skip
        (renamed,) = await core.timeline.page(module, kind="change")
        assert renamed.details == {"before": "", "after": "Gate"}
        (desired,) = [m for m in await core.timeline.page(module, kind="setting") if m.what == "desired"]
        assert desired.details == {"version": 1, "changed": {"speed": "3"}, "removed": []}


async def test_updates_events_alerts_and_errors_of_the_log_are_on_it(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        job = {"id": "j1", "firmware_id": 4, "attempt": 1, "by": "ann", "error": None}
        for state in ("assigned", "downloading", "downloading", "failed"):
            error = "no room" if state == "failed" else None
            core.hub.publish(FirmwareJobChanged("MC-1", job | {"state": state, "error": error}))
        core.hub.publish(ModuleEventRaised("MC-1", "button", {"which": 2}))
        core.hub.publish(Alert("warning", "MC-1 keeps coming and going.", {"moduleId": "MC-1"}))
        core.hub.publish(Alert("warning", "The disk is full.", {}))
        core.device_log.write(module, "info", b"started")
        core.device_log.write(module, "error", b"sensor is away")
        found = await told(core, module)
        assert found[2:] == [
            ("update", "assigned", "ann"), ("update", "downloading", ""), ("update", "failed", ""),
            ("event", "button", ""), ("alert", "opened", ""), ("log", "error", ""),
        ]  # fmt: skip


async def test_pages_follow_one_another_and_kinds_filter(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        for number in range(7):
            core.timeline.note("MC-1", "change", "renamed", "ann", after=str(number))
        first = await core.timeline.page(module, kind="change", limit=3)
        second = await core.timeline.page(module, kind="change", before=first[-1].number, limit=3)
        third = await core.timeline.page(module, kind="change", before=second[-1].number, limit=3)
        assert [m.details["after"] for m in first + second + third] == list("6543210")
        async with raises(Invalid):
            await core.timeline.page(module, kind="gossip")


async def test_it_is_bounded_and_what_people_did_outlives_chatter(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        line = Timeline(core.store, core.hub, core.registry, clock.monotonic)
        for _ in range(MOST_OF_KIND["presence"] + 3 * THIN_EVERY):
            line.note("MC-1", "presence", "online", reason="hello")
        await core.store.run(lambda: None)
        kept = await core.store.read(lambda: MomentRow.select().where(MomentRow.kind == "presence").count())
        assert MOST_OF_KIND["presence"] <= kept <= MOST_OF_KIND["presence"] + THIN_EVERY
        assert ("access", "approved", "tom") in await told(core, module)


async def test_a_flood_of_events_is_cut_to_a_pace_and_counted(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        line = Timeline(core.store, core.hub, core.registry, clock.monotonic)
        for _ in range(PACE + 12):
            line.note("MC-1", "event", "beat")
        clock.pass_s(61)
        line.note("MC-1", "event", "beat")
        page = await core.timeline.page(module, kind="event", limit=500)
        assert len(page) == PACE + 2
        assert (page[1].what, page[1].details) == ("left_out", {"count": 12})
        assert line.left_out == 12


async def test_stays_say_why_and_how_long_and_survive_a_restart(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.presence.heard(module)
        clock.pass_s(10)
        core.presence.gone(module, "will")
        clock.pass_s(5)
        core.presence.heard(module)
    async with open_heart(tmp_path) as core:
        now, *stays = await core.timeline.stays(core.registry.get("MC-1"))
        # Whoever was online when the gateway ended is not known to be.
        assert (now.state, now.reason, now.until_ms) == ("unknown", "broker_lost", None)
        assert [(stay.state, stay.reason) for stay in stays] == [
            ("online", "hello"), ("offline", "will"), ("online", "hello"),
        ]  # fmt: skip
        assert stays[1].until_ms - stays[1].since_ms == 5_000


async def test_it_goes_with_its_module_and_new_entries_are_told(tmp_path):
    async with open_heart(tmp_path) as core:
        await approved(core, owner_id=OWNER.id)
        noted = heard(core, MomentNoted)
        await core.registry.edit("MC-1", ADMIN, location="Roof")
        assert noted == [MomentNoted("MC-1", "change")]
        await core.registry.delete("MC-1", ADMIN)
        core.timeline.note("MC-1", "change", "renamed")
        await core.store.run(lambda: None)
        assert await core.store.read(lambda: MomentRow.select().count()) == 0
        assert len(noted) == 1
