"""Rollouts over the real ledger: waves, stops, ways back, and what people do with them."""

import asyncio

import pytest

from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from gateway.core.events import Alert, RolloutChanged
from tests.firmware.fleet import audited, populate
from tests.firmware.floor import open_floor
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, Clock, heard, raises

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def fleet(tmp_path, clock):
    """Five modules that are there and run the old image."""
    async with open_floor(tmp_path, clock) as floor:
        yield await populate(floor)


# Waves


async def test_a_canary_goes_first_and_the_rest_follows_when_it_is_proved(fleet):
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"percent": 25}, {"rest": True}], wait_s=300)
    assert fleet.offered() == ["MC-1"]
    assert fleet.states(rollout) == ["running", "waiting", "waiting", "waiting", "waiting"]
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout)[0] == "confirmed"
    told = fleet.told(rollout)
    assert (told["wave"], told["state"]) == (1, "running")
    assert told["reason"].startswith("Wave 2 begins in 2")
    assert [wave["size"] for wave in told["waves"]] == [1, 1, 3]
    assert fleet.offered() == ["MC-1"]
    await fleet.settled(300)
    assert fleet.offered() == ["MC-1", "MC-2"]
    await fleet.updates(fleet.modules[1])
    await fleet.settled(300)
    assert fleet.states(rollout) == ["confirmed", "confirmed", "running", "running", "waiting"]
    for module in fleet.modules[2:]:
        await fleet.updates(module)
    told = fleet.told(rollout)
    assert (told["state"], told["counts"]) == ("done", {"size": 5, "confirmed": 5})
    assert told["progress"]["percent"] == 100
    assert told["ended_at"] is not None
    assert len(await audited(fleet, "rollout.done")) == 1


async def test_a_wave_that_is_not_good_enough_stops_it(fleet):
    rollout = await fleet.create(
        waves=[{"modules": ["MC-1", "MC-2"]}, {"rest": True}], stop={"count": 3}, success_percent=60
    )
    await fleet.fails_to_boot(fleet.modules[0])
    await fleet.updates(fleet.modules[1])
    told = fleet.told(rollout)
    assert told["state"] == "stopped"
    assert told["reason"] == "1 of 2 modules of wave 1 were confirmed, not 60 %."
    assert fleet.offered() == ["MC-1", "MC-2"]
    await fleet.rollouts.resume(rollout.id, TECHNICIAN)
    await fleet.settled()
    assert fleet.states(rollout)[2:] == ["running", "running", "waiting"]


async def test_at_most_so_many_are_at_it_at_once_and_who_sleeps_takes_no_room(fleet):
    for module in fleet.modules[:3]:
        fleet.floor.goes(module)
    rollout = await fleet.create(concurrency=1)
    # Those who are away have their updates, which wait for them; one who is there is at it.
    assert fleet.states(rollout) == ["running", "running", "running", "running", "waiting"]
    assert [fleet.job(place).state for place in range(4)] == ["assigned"] * 3 + ["offered"]
    # All of them wake at once, and still one after another gets the offer.
    for module in fleet.modules[:3]:
        fleet.floor.connects(module)
    await fleet.settled(3)
    assert fleet.offered() == ["MC-4"]
    await fleet.updates(fleet.modules[3])
    assert len(fleet.offered()) == 2
    assert fleet.told(rollout)["counts"] == {"size": 5, "confirmed": 1, "running": 3, "waiting": 1}


async def test_who_goes_away_before_his_first_word_gives_his_room_to_another(fleet):
    rollout = await fleet.create(concurrency=1)
    assert fleet.offered() == ["MC-1"]
    fleet.floor.goes(fleet.modules[0])
    await fleet.settled()
    assert fleet.job(0).state == "assigned"
    assert fleet.offered() == ["MC-1", "MC-2"]
    fleet.floor.connects(fleet.modules[0])
    await fleet.settled()
    assert [fleet.job(place).state for place in (0, 1)] == ["assigned", "offered"]
    await fleet.updates(fleet.modules[1])
    assert fleet.job(0).state == "offered"
    assert fleet.state(rollout) == "running"


async def test_an_offer_from_before_gives_nobody_a_turn(fleet):
    """It remembers its offer, comes back when another has its room, and begins by itself."""
    await fleet.create(concurrency=1)
    module = fleet.modules[0]
    fleet.floor.goes(module)
    await fleet.settled()
    assert fleet.job(1).state == "offered"
    fleet.floor.connects(module)
    assert fleet.floor.says(module, "downloading").state == "assigned"
    assert fleet.floor.fetches(module) == b""
    assert fleet.job(0).state == "assigned"
    assert fleet.floor.firmware.offers.refused["not its turn"] == 2
    await fleet.updates(fleet.modules[1])
    assert fleet.job(0).state == "offered"
    assert len(fleet.floor.fetches(module)) == fleet.new.size


async def test_who_runs_it_already_needs_nothing(fleet):
    fleet.floor.goes(fleet.modules[0])
    fleet.floor.connects(fleet.modules[0])
    await fleet.floor.hello(fleet.modules[0], fleet.new)
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"rest": True}])
    assert fleet.states(rollout)[:3] == ["confirmed", "running", "running"]
    assert fleet.notes(rollout)[0] == "It runs app-2 already."
    assert fleet.offered() == ["MC-2", "MC-3"]


async def test_whom_it_does_not_fit_is_skipped_with_the_reason(fleet):
    special = await fleet.floor.image("app-3", "3", min_version="2")
    rollout = await fleet.create(firmware_id=special.id, modules=["MC-1"])
    assert fleet.told(rollout)["state"] == "stopped"
    assert "No module of wave 1 could get the image." in fleet.told(rollout)["reason"]
    (row,) = fleet.rollouts.members(rollout.id)
    assert row["state"] == "skipped"
    assert row["note"]


async def test_a_module_that_is_removed_leaves_its_rollout(fleet):
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"rest": True}])
    fleet.floor.goes(fleet.modules[0])
    await fleet.floor.core.registry.delete("MC-1", TECHNICIAN)
    await fleet.settled()
    assert fleet.told(rollout)["counts"] == {"size": 4, "running": 2, "waiting": 2}


async def test_an_update_that_somebody_assigned_before_counts_as_its_own(fleet):
    await fleet.floor.firmware.assignments.assign("MC-1", fleet.new.id, ADMIN)
    rollout = await fleet.create(concurrency=1)
    assert fleet.states(rollout) == ["running", "waiting", "waiting", "waiting", "waiting"]
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout)[0] == "confirmed"
    assert fleet.offered() == ["MC-1", "MC-2"]


async def test_somebody_who_assigns_another_image_takes_the_module_out(fleet):
    other = await fleet.floor.image("app-9", "9")
    rollout = await fleet.create(success_percent=0)
    await fleet.floor.firmware.assignments.assign("MC-1", other.id, ADMIN)
    await fleet.settled()
    assert fleet.states(rollout)[:3] == ["cancelled", "running", "running"]
    assert fleet.notes(rollout)[0] == "ann assigned app-9 instead."


# Stops


async def test_a_bad_image_reaches_no_more_than_the_threshold_and_those_at_it_and_is_taken_back(fleet):
    """Two may fail, two are at it at once: the fifth never hears of it."""
    alerts = heard(fleet.floor.core, Alert)
    rollout = await fleet.create(stop={"count": 2}, on_stop="revert", concurrency=2)
    await fleet.updates(fleet.modules[1])
    await fleet.fails_to_boot(fleet.modules[0])
    assert fleet.offered() == ["MC-1", "MC-2", "MC-3", "MC-4"]
    await fleet.fails_to_boot(fleet.modules[2], "sensor lost")
    told = fleet.told(rollout)
    assert told["state"] == "reverting"
    assert told["reason"] == "Failed updates: 2; 2 are enough to stop. The last cause: sensor lost"
    assert any("is reverting. Failed updates: 2" in alert.message for alert in alerts)
    assert ("MC-4" in {module for module, _ in fleet.floor.boards.aborts}) is True
    # Who rolled back by itself and who had not begun to install runs the old one still.
    assert fleet.states(rollout) == ["reverted", "reverting", "reverted", "reverted", "cancelled"]
    assert fleet.job(1).image_id == fleet.old.id
    await fleet.updates(fleet.modules[1], fleet.old)
    assert fleet.state(rollout) == "reverted"
    assert fleet.states(rollout)[1] == "reverted"
    assert fleet.offered() == ["MC-1", "MC-2", "MC-3", "MC-4"]
    modules = [fleet.floor.core.registry.get(module.id) for module in fleet.modules]
    assert {module.firmware for module in modules} == {"app-1"}
    assert {module.assigned_firmware for module in modules} <= {"app-1", ""}


async def test_a_stop_leaves_what_is_under_way_and_takes_back_what_is_not(fleet):
    fleet.floor.goes(fleet.modules[3])
    rollout = await fleet.create(stop={"percent": 50}, concurrency=2)
    assert fleet.states(rollout) == ["running", "running", "waiting", "running", "waiting"]
    await fleet.fails_to_boot(fleet.modules[0])
    assert fleet.told(rollout)["reason"].startswith("1 of 1 updates failed, which is 50 % or more.")
    await fleet.settled()
    assert fleet.states(rollout) == ["rolled_back", "running", "waiting", "waiting", "waiting"]
    assert fleet.job(3).state == "cancelled"
    fleet.floor.connects(fleet.modules[3])
    await fleet.updates(fleet.modules[1])
    assert fleet.states(rollout) == ["rolled_back", "confirmed", "waiting", "waiting", "waiting"]
    assert fleet.state(rollout) == "stopped"
    await fleet.rollouts.resume(rollout.id, TECHNICIAN)
    await fleet.settled()
    (row,) = await audited(fleet, "rollout.resume")
    assert (row["who"], row["details"]) == ("tom", {"forgiven": 1})
    assert fleet.told(rollout)["counts"] == {
        "size": 5,
        "rolled_back": 1,
        "confirmed": 1,
        "running": 2,
        "waiting": 1,
    }
    for module in (fleet.modules[2], fleet.modules[4], fleet.modules[3]):
        await fleet.updates(module)
    assert fleet.told(rollout)["counts"] == {"size": 5, "rolled_back": 1, "confirmed": 4}
    assert fleet.state(rollout) == "done"


# People


async def test_pause_and_resume(fleet):
    rollout = await fleet.create(concurrency=1)
    await fleet.rollouts.pause(rollout.id, TECHNICIAN)
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout) == ["confirmed", "waiting", "waiting", "waiting", "waiting"]
    assert fleet.told(rollout)["reason"] == "tom paused it."
    async with raises(Conflict):
        await fleet.rollouts.pause(rollout.id, TECHNICIAN)
    await fleet.rollouts.resume(rollout.id, TECHNICIAN)
    await fleet.settled()
    assert fleet.states(rollout)[:2] == ["confirmed", "running"]


async def test_cancel_frees_everybody(fleet):
    fleet.floor.goes(fleet.modules[4])
    rollout = await fleet.create(concurrency=2)
    await fleet.rollouts.cancel(rollout.id, TECHNICIAN)
    await fleet.settled()
    assert fleet.told(rollout)["counts"] == {"size": 5, "cancelled": 5}
    assert fleet.floor.firmware.ledger.open_jobs() == []
    assert fleet.job(0).error == "tom cancelled the rollout."
    assert {module for module, _ in fleet.floor.boards.aborts} >= {"MC-1", "MC-2"}
    for step in (fleet.rollouts.resume, fleet.rollouts.cancel, fleet.rollouts.retry, fleet.rollouts.pause):
        async with raises(Conflict):
            await step(rollout.id, ADMIN)


async def test_what_failed_is_tried_again_and_what_went_back_only_by_an_admin(fleet):
    rollout = await fleet.create(stop={"count": 5}, success_percent=0, concurrency=5)
    await fleet.fails_to_boot(fleet.modules[0])
    for _ in range(5):
        fleet.floor.fetches(fleet.modules[1], 100)
        fleet.floor.says(fleet.modules[1], "failed", error="flash is worn")
        await fleet.settled(600)
    for module in fleet.modules[2:]:
        await fleet.updates(module)
    assert fleet.state(rollout) == "done"
    assert fleet.states(rollout)[:2] == ["rolled_back", "failed"]
    assert "flash is worn" in fleet.notes(rollout)[1]
    async with raises(Forbidden):
        await fleet.rollouts.retry(rollout.id, TECHNICIAN, override=True)
    await fleet.rollouts.retry(rollout.id, TECHNICIAN)
    await fleet.settled()
    assert fleet.state(rollout) == "running"
    assert fleet.states(rollout)[:2] == ["rolled_back", "running"]
    await fleet.updates(fleet.modules[1])
    assert fleet.state(rollout) == "done"
    async with raises(Conflict):
        await fleet.rollouts.retry(rollout.id, TECHNICIAN)
    await fleet.rollouts.retry(rollout.id, ADMIN, override=True)
    await fleet.updates(fleet.modules[0])
    assert fleet.told(rollout)["counts"] == {"size": 5, "confirmed": 5}


async def test_a_stopped_one_is_tried_again_when_that_brings_it_below_its_threshold(fleet):
    rollout = await fleet.create(stop={"count": 1}, concurrency=1)
    await fleet.fails_to_boot(fleet.modules[0])
    assert fleet.state(rollout) == "stopped"
    async with raises(Conflict):
        await fleet.rollouts.retry(rollout.id, TECHNICIAN)
    await fleet.rollouts.retry(rollout.id, ADMIN, override=True)
    await fleet.settled()
    assert fleet.state(rollout) == "running"
    assert fleet.states(rollout)[0] == "running"
    await fleet.fails_to_boot(fleet.modules[0])
    assert fleet.state(rollout) == "stopped"


async def test_a_whole_rollout_goes_back(fleet):
    rollout = await fleet.create(concurrency=5)
    for module in fleet.modules[:3]:
        await fleet.updates(module)
    fleet.floor.fetches(fleet.modules[3], 100)
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.settled(2)
    assert fleet.states(rollout) == ["reverting"] * 3 + ["reverted"] * 2
    assert fleet.told(rollout)["reason"] == "tom took it back."
    for module in fleet.modules[:3]:
        await fleet.updates(module, fleet.old)
    assert fleet.state(rollout) == "reverted"
    assert fleet.told(rollout)["counts"] == {"size": 5, "reverted": 5}


async def test_a_rollout_that_was_done_goes_back_and_keeps_to_its_bounds(fleet):
    rollout = await fleet.create(concurrency=1)
    for module in fleet.modules:
        await fleet.updates(module)
    assert fleet.state(rollout) == "done"
    fleet.floor.boards.offers.clear()
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.settled()
    assert len(fleet.offered()) == 1
    for _ in fleet.modules:
        (at_it,) = [m for m in fleet.modules if fleet.floor.job(m).state == "offered"]
        await fleet.updates(at_it, fleet.old)
    assert fleet.state(rollout) == "reverted"


async def test_who_has_no_known_firmware_before_cannot_go_back(fleet):
    unknown = await fleet.floor.module("MC-9", address="10.0.0.99")
    rollout = await fleet.create(modules=["MC-1", "MC-9"])
    await fleet.updates(unknown)
    await fleet.updates(fleet.modules[0])
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.updates(fleet.modules[0], fleet.old)
    rows = {row["module"]: row for row in fleet.rollouts.members(rollout.id)}
    assert (rows["MC-1"]["state"], rows["MC-9"]["state"]) == ("reverted", "failed")
    assert "is not known" in rows["MC-9"]["note"]
    assert fleet.floor.core.registry.get("MC-9").assigned_firmware == ""
    assert fleet.state(rollout) == "reverted"


async def test_nobody_to_take_it_back_from(fleet):
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 1})
    rollout = await fleet.create(guards={"min_battery": 50}, modules=["MC-1"])
    async with raises(Conflict):
        await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    assert fleet.state(rollout) == "running"


async def test_a_module_is_in_one_open_rollout_and_of_two_technicians_one_gets_it(fleet):
    made = await asyncio.gather(fleet.create(), fleet.create(by=ADMIN), return_exceptions=True)
    (refused,) = [error for error in made if isinstance(error, Conflict)]
    (rollout,) = [one for one in made if not isinstance(one, Exception)]
    assert (
        refused.message == f"MC-1 is in the rollout 'night' (number {rollout.id}) already, which is not over."
    )
    steps = (fleet.rollouts.pause(rollout.id, TECHNICIAN), fleet.rollouts.pause(rollout.id, ADMIN))
    paused = await asyncio.gather(*steps, return_exceptions=True)
    assert [type(one) for one in paused].count(Conflict) == 1
    await fleet.rollouts.cancel(rollout.id, ADMIN)
    await fleet.create()


async def test_a_rollout_right_after_another_was_cancelled(fleet):
    """Its updates are its own, though those of the other with the same image have not gone yet."""
    first = await fleet.create(concurrency=5)
    await fleet.rollouts.cancel(first.id, TECHNICIAN)
    second = await fleet.create(concurrency=5)
    await fleet.settled(2)
    assert fleet.states(second) == ["running"] * 5
    assert {fleet.job(place).rollout_id for place in range(5)} == {second.id}
    assert fleet.told(first)["counts"] == {"size": 5, "cancelled": 5}
    for module in fleet.modules:
        await fleet.updates(module)
    assert fleet.state(second) == "done"


async def test_what_cannot_be_planned_is_refused(fleet):
    for error, plan in [
        (NotFound, {"firmware_id": 99}),
        (Invalid, {"modules": ["MC-1", "MC-77"]}),
        (Invalid, {"never_both": [["MC-1", "MC-77"]]}),
        (Invalid, {"waves": [{"modules": ["MC-1"]}]}),
        (Invalid, {"type": 3}),
        (Invalid, {"group": "nobody"}),
        (Invalid, {"concurrency": 0}),
    ]:
        async with raises(error):
            await fleet.create(**plan)
    async with raises(Forbidden):
        await fleet.create(by=OWNER)
    assert fleet.rollouts.all() == []
    rollout = await fleet.create(type=fleet.new.type)
    assert fleet.told(rollout)["counts"]["size"] == 5
    async with raises(Forbidden):
        await fleet.rollouts.cancel(rollout.id, OWNER)
    async with raises(NotFound):
        await fleet.rollouts.cancel(99, ADMIN)


async def test_a_group_is_everybody_in_it_of_the_images_type(fleet):
    for module in fleet.modules[:2]:
        await fleet.floor.core.registry.edit(module.id, TECHNICIAN, group="north")
    rollout = await fleet.create(group="north")
    assert [row["module"] for row in fleet.rollouts.members(rollout.id)] == ["MC-1", "MC-2"]


# Guards, windows, pairs


async def test_a_guard_holds_a_module_back_and_says_so(fleet):
    for module, battery in zip(fleet.modules, (10, 90, 90, 90, 90), strict=True):
        fleet.floor.core.telemetry.report(module, {"battery": battery})
    rollout = await fleet.create(guards={"min_battery": 30}, concurrency=5)
    assert fleet.states(rollout) == ["waiting", "running", "running", "running", "running"]
    assert fleet.notes(rollout)[0] == "Guard min_battery: battery is 10 %, below 30 %."
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 31})
    await fleet.settled()
    assert fleet.states(rollout)[0] == "running"
    assert fleet.notes(rollout)[0] == ""


async def test_a_guard_holds_at_the_moment_it_could_begin_too(fleet):
    """It was asleep with a full battery when it was assigned, and wakes with an empty one."""
    fleet.floor.goes(fleet.modules[0])
    rollout = await fleet.create(guards={"min_battery": 30})
    assert fleet.states(rollout)[0] == "running"
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 5})
    fleet.floor.connects(fleet.modules[0])
    await fleet.settled()
    assert fleet.job(0).state == "assigned"
    assert fleet.notes(rollout)[0] == "Guard min_battery: battery is 5 %, below 30 %."
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 50})
    for module in fleet.modules[1:3]:
        await fleet.updates(module)
    await fleet.settled()
    assert fleet.job(0).state == "offered"


async def test_nothing_starts_outside_the_window(tmp_path, clock):
    clock.ms = 1_774_000_000_000  # 2026-03-20 09:46:40 UTC, 10:46:40 in Paris
    async with open_floor(tmp_path, clock, time_zone="Europe/Paris") as floor:
        fleet = await populate(floor, 3)
        rollout = await fleet.create(window={"from": "11:00", "to": "12:00"}, concurrency=1)
        assert fleet.states(rollout) == ["waiting"] * 3
        assert fleet.told(rollout)["reason"] == "Its window opens on 2026-03-20 at 11:00 (Europe/Paris)."
        await fleet.settled(13 * 60 + 25)
        assert fleet.states(rollout) == ["running", "waiting", "waiting"]
        # It goes to sleep before its first word, and wakes when the window is closed.
        floor.goes(fleet.modules[0])
        clock.pass_s(3600)
        floor.connects(fleet.modules[0])
        await fleet.settled()
        assert fleet.job(0).state == "assigned"
        assert fleet.states(rollout)[2] == "waiting"


async def test_one_of_a_pair_only_while_the_other_works(fleet):
    rollout = await fleet.create(
        never_both=[["MC-1", "MC-2"], ["MC-1", "MC-3"]], concurrency=5, stop={"count": 3}, success_percent=0
    )
    assert fleet.states(rollout) == ["running", "waiting", "waiting", "running", "running"]
    assert fleet.notes(rollout)[1] == "Its pair, MC-1, is being updated."
    await fleet.fails_to_boot(fleet.modules[0])
    await fleet.settled()
    assert fleet.notes(rollout)[1] == "The update of its pair, MC-1, failed."
    assert fleet.states(rollout)[:3] == ["rolled_back", "waiting", "waiting"]
    await fleet.rollouts.retry(rollout.id, ADMIN, override=True)
    await fleet.updates(fleet.modules[0])
    await fleet.settled()
    assert fleet.states(rollout)[:3] == ["confirmed", "running", "running"]


async def test_one_of_a_pair_waits_for_an_other_that_is_away(fleet):
    fleet.floor.goes(fleet.modules[0])
    rollout = await fleet.create(never_both=[["MC-1", "MC-2"]], modules=["MC-2"])
    (row,) = fleet.rollouts.members(rollout.id)
    assert (row["state"], row["note"]) == ("waiting", "Its pair, MC-1, is offline.")
    fleet.floor.connects(fleet.modules[0])
    await fleet.settled()
    assert fleet.offered() == ["MC-2"]


# Telling


async def test_what_changes_is_told_at_most_twice_a_second(fleet):
    told = heard(fleet.floor.core, RolloutChanged)
    rollout = await fleet.create(concurrency=5)
    first = len(told)
    for module in fleet.modules:
        fleet.floor.fetches(module)
        fleet.floor.says(module, "downloaded")
    assert len(told) <= first + 1
    await asyncio.sleep(0.7)
    assert told[-1].rollout["counts"]["running"] == 5
    assert told[-1].rollout["progress"]["received"] == 5 * fleet.new.size
    assert told[-1].rollout["id"] == rollout.id


async def test_a_storage_that_takes_nothing_leaves_it_as_it_was(fleet, monkeypatch):
    rollout = await fleet.create(concurrency=1)

    async def full(work):
        raise Unavailable("Storage cannot take this now. Try again later.")

    with monkeypatch.context() as broken:
        broken.setattr(fleet.floor.core.store, "run", full)
        for step in (fleet.rollouts.pause, fleet.rollouts.cancel, fleet.rollouts.revert):
            async with raises(Unavailable):
                await step(rollout.id, ADMIN)
    assert fleet.state(rollout) == "running"
    assert fleet.states(rollout) == ["running", "waiting", "waiting", "waiting", "waiting"]
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout)[:2] == ["confirmed", "running"]


async def test_a_clock_that_is_set_back_makes_no_wave_wait_longer(fleet, clock):
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"rest": True}], wait_s=60)
    await fleet.updates(fleet.modules[0])
    clock.ms -= 3_600_000
    await fleet.settled(62)
    assert fleet.states(rollout)[1] == "running"


async def test_an_image_whose_file_is_damaged_stops_it_and_nobody_is_skipped(fleet, monkeypatch):
    rollout = await fleet.create(concurrency=1, on_stop="revert")
    monkeypatch.setattr(fleet.floor.firmware.images, "damaged", lambda image: True)
    await fleet.settled()
    assert fleet.state(rollout) == "stopped"
    assert fleet.told(rollout)["reason"] == "The file of app-2 is damaged."
    assert fleet.states(rollout)[1:] == ["waiting"] * 4


async def test_what_goes_back_keeps_to_its_guards_and_says_so(fleet):
    rollout = await fleet.create(modules=["MC-1"], waves=[{"rest": True}], guards={"min_battery": 30})
    await fleet.updates(fleet.modules[0])
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 5})
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.settled()
    (row,) = fleet.rollouts.members(rollout.id)
    assert (row["state"], row["note"]) == ("reverting", "Guard min_battery: battery is 5 %, below 30 %.")
    fleet.floor.core.telemetry.report(fleet.modules[0], {"battery": 50})
    await fleet.settled()
    await fleet.updates(fleet.modules[0], fleet.old)
    (row,) = fleet.rollouts.members(rollout.id)
    assert (row["state"], row["note"]) == ("reverted", "")


# Many


@pytest.mark.parametrize(("count", "at_once"), [(1, 1), (2, 4), (3, 2)])
async def test_a_bad_image_in_a_bigger_fleet(tmp_path, clock, count, at_once):
    """All that get it roll it back: it reaches no more than the threshold and those at it; none keeps it."""
    async with open_floor(tmp_path, clock) as floor:
        fleet = await populate(floor, 25)
        plan = {"stop": {"count": count}, "concurrency": at_once, "success_percent": 0, "on_stop": "revert"}
        rollout = await fleet.create(waves=[{"modules": ["MC-7"]}, {"percent": 20}, {"rest": True}], **plan)
        assert fleet.offered() == ["MC-7"]
        for _ in range(30):
            if at_it := [m for m in fleet.modules if floor.job(m) and floor.job(m).state == "offered"]:
                await fleet.fails_to_boot(at_it[-1])
        reached = {module.id for module in fleet.modules if module.id in floor.boards.offers}
        assert len(reached) <= count + at_once
        assert fleet.state(rollout) == "reverted"
        modules = [floor.core.registry.get(module.id) for module in fleet.modules]
        assert {module.firmware for module in modules} == {"app-1"}
        assert {module.assigned_firmware for module in modules} <= {"", "app-1"}
        assert floor.firmware.ledger.open_jobs() == []
