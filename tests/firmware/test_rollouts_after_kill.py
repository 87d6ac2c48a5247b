"""A gateway killed at any point of a rollout goes on where it was: nobody is lost, nobody begins twice."""

import pytest

from firmware.job_records import load_rollout
from tests.firmware.fleet import Lives
from tests.gateway.core.heart import ADMIN, TECHNICIAN, Clock

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
async def lives(tmp_path, clock):
    async with Lives(tmp_path, clock) as lives:
        yield lives


async def jobs(fleet, rollout):
    """Which modules got how many updates of this rollout with its image."""
    found = await fleet.floor.core.store.read(lambda: load_rollout(rollout.id))
    numbers = [job.module_number for job in found if job.image_id == rollout.image_id]
    return [numbers.count(module.number) for module in fleet.modules]


async def waits_for_its_second_wave(fleet):
    rollout = await fleet.create(waves=[{"modules": ["MC-1"]}, {"rest": True}], wait_s=600)
    await fleet.updates(fleet.modules[0])
    return rollout


async def has_some_in_every_state(fleet):
    fleet.floor.goes(fleet.modules[4])
    rollout = await fleet.create(concurrency=3, stop={"count": 5}, success_percent=0)
    await fleet.fails_to_boot(fleet.modules[0])
    await fleet.updates(fleet.modules[1])
    fleet.floor.fetches(fleet.modules[2], 100)
    return rollout


async def is_paused(fleet):
    rollout = await has_some_in_every_state(fleet)
    await fleet.rollouts.pause(rollout.id, TECHNICIAN)
    return rollout


async def is_stopped(fleet):
    rollout = await fleet.create(stop={"count": 1}, concurrency=2)
    await fleet.fails_to_boot(fleet.modules[0])
    return rollout


async def is_stopped_and_went_on(fleet):
    rollout = await is_stopped(fleet)
    await fleet.rollouts.resume(rollout.id, TECHNICIAN)
    await fleet.settled()
    return rollout


async def is_cancelled(fleet):
    rollout = await has_some_in_every_state(fleet)
    await fleet.rollouts.cancel(rollout.id, TECHNICIAN)
    await fleet.settled()
    return rollout


async def goes_back(fleet):
    rollout = await has_some_in_every_state(fleet)
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.settled(2)
    return rollout


async def tries_again(fleet):
    rollout = await is_stopped(fleet)
    await fleet.rollouts.retry(rollout.id, ADMIN, override=True)
    await fleet.settled()
    return rollout


async def is_done(fleet):
    rollout = await fleet.create(modules=["MC-1", "MC-2"])
    await fleet.updates(fleet.modules[0])
    await fleet.updates(fleet.modules[1])
    return rollout


SCENES = [
    waits_for_its_second_wave, has_some_in_every_state, is_paused, is_stopped, is_stopped_and_went_on,
    is_cancelled, goes_back, tries_again, is_done,
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_everything_is_as_it_was(lives, scene):
    rollout = await scene(lives.fleet)
    told, members = lives.fleet.told(rollout), lives.fleet.rollouts.members(rollout.id)
    begun = await jobs(lives.fleet, rollout)
    await lives.kill()
    after = lives.fleet.told(rollout)
    for name in ("state", "wave", "wave_since", "waves", "counts", "created_at", "ended_at", "by", "plan"):
        assert after[name] == told[name], name
    assert lives.fleet.rollouts.members(rollout.id) == members
    assert await jobs(lives.fleet, rollout) == begun


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_nothing_that_somebody_did_is_lost_when_the_rest_is_not_written_yet(lives, scene):
    """Nothing is waited for before the kill; a step of a person was answered, so it is on disk."""
    rollout = await scene(lives.fleet)
    state = lives.fleet.state(rollout)
    await lives.kill(stored=False)
    await lives.fleet.settled(2)
    if scene in (is_paused, is_cancelled, tries_again, goes_back, is_stopped_and_went_on):
        assert lives.fleet.state(rollout) == state
    assert all(count <= 2 for count in await jobs(lives.fleet, rollout))


async def test_the_wait_between_waves_lasts_over_a_kill(lives, clock):
    rollout = await waits_for_its_second_wave(lives.fleet)
    clock.pass_s(500)
    fleet = await lives.kill()
    assert fleet.states(rollout)[1] == "waiting"
    await fleet.settled(100)
    assert fleet.states(rollout)[:3] == ["confirmed", "running", "running"]


async def test_a_rollout_that_was_cancelled_takes_its_updates_back_after_a_kill(lives, monkeypatch):
    """Killed after the answer and before any update was taken back."""
    rollout = await has_some_in_every_state(lives.fleet)
    monkeypatch.setattr(lives.fleet.rollouts, "tick", lambda: None)
    await lives.fleet.rollouts.cancel(rollout.id, TECHNICIAN)
    assert lives.fleet.floor.firmware.ledger.open_jobs()
    fleet = await lives.kill(stored=False)
    await fleet.settled()
    assert fleet.floor.firmware.ledger.open_jobs() == []
    assert fleet.told(rollout)["counts"]["cancelled"] == 3


async def test_a_way_back_begins_after_a_kill(lives, monkeypatch):
    rollout = await has_some_in_every_state(lives.fleet)
    monkeypatch.setattr(lives.fleet.rollouts, "tick", lambda: None)
    await lives.fleet.rollouts.revert(rollout.id, TECHNICIAN)
    fleet = await lives.kill(stored=False)
    await fleet.settled(2)
    assert fleet.states(rollout) == ["reverted", "reverting", "reverted", "reverted", "reverted"]
    await fleet.updates(fleet.modules[1], fleet.old)
    assert fleet.state(rollout) == "reverted"


async def test_an_update_that_somebody_had_assigned_is_still_the_rollouts_own(lives):
    fleet = lives.fleet
    await fleet.floor.firmware.assignments.assign("MC-1", fleet.new.id, ADMIN)
    rollout = await fleet.create(concurrency=1)
    fleet = await lives.kill()
    assert fleet.states(rollout)[0] == "running"
    await fleet.updates(fleet.modules[0])
    assert fleet.states(rollout)[:2] == ["confirmed", "running"]


async def test_an_update_that_was_assigned_and_not_noted_is_found(lives, monkeypatch):
    """Killed between the update and the member's own row."""
    fleet = lives.fleet
    for module in fleet.modules:
        fleet.floor.goes(module)
    monkeypatch.setattr("firmware.rollout_records.write", lambda id, changes: None)
    rollout = await fleet.create(concurrency=1)
    assert fleet.states(rollout) == ["running"] * 5
    fleet = await lives.kill()
    assert fleet.states(rollout) == ["running"] * 5
    assert await jobs(fleet, rollout) == [1] * 5
