"""What a review of the firmware floor found: each was wrong once."""

import errno
from pathlib import Path

import pytest

from firmware import soundness
from firmware.course import LOOK_AT, MOST_STEPS
from firmware.ledger import Ledger
from gateway.core.errors import Conflict, Unavailable
from gateway.storage.models_firmware import JobRow
from tests.bridge.mqtt.client import until
from tests.firmware.fleet import populate
from tests.firmware.floor import PROBATION_S, RETRY_S, open_floor
from tests.gateway.core.heart import ADMIN, STATION, TECHNICIAN, raises

pytestmark = pytest.mark.anyio


async def tries_again(floor, module, image):
    await floor.read_again(image)
    floor.leaps(RETRY_S * 1.2)
    floor.connects(module)
    assert floor.job(module).state == "offered"


async def test_what_an_earlier_attempt_sent_was_sent(floor, module, image, assigned):
    """A board that fails to unpack keeps the file, and asks for nothing at its next attempt."""
    floor.fetches(module)
    floor.says(module, "downloaded")
    floor.says(module, "failed", error="no room")
    await tries_again(floor, module, image)
    for state in ("downloading", "downloaded", "verified", "installing"):
        assert floor.says(module, state).state == state
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, image)
    floor.passes(PROBATION_S + 1)
    assert floor.job(module).state == "confirmed"
    assert any("earlier attempt" in evidence for evidence in await floor.evidence(assigned))


async def test_a_failure_said_twice_is_one(floor, module, assigned):
    floor.fetches(module, 1024)
    for _ in range(8):
        job = floor.says(module, "failed", error="no room")
    assert (job.state, job.attempt) == ("assigned", 1)


async def test_bytes_on_their_way_when_the_attempt_ended_begin_no_other(floor, module, assigned):
    floor.fetches(module, 512)
    floor.says(module, "failed", error="no room")
    assert floor.firmware.offers.served(assigned.id, 512, 512) is False
    assert (floor.job(module).state, floor.job(module).attempt) == ("assigned", 1)


@pytest.mark.parametrize("late", ["downloading", "downloaded", "verified", "installing"])
async def test_a_word_on_its_way_when_the_attempt_ended_is_of_that_attempt(floor, module, assigned, late):
    floor.fetches(module)
    floor.says(module, "downloaded")
    floor.passes(602)
    assert (floor.job(module).state, floor.job(module).attempt) == ("assigned", 1)
    job = floor.says(module, late)
    assert (job.state, job.attempt) == ("assigned", 1)


async def test_an_image_of_another_type_that_an_admin_wants_is_proved_like_any(floor, module):
    foreign = await floor.image("foreign-1", type=STATION)
    assign = floor.firmware.assignments.assign
    async with raises(Conflict):
        await assign(module.id, foreign.id, TECHNICIAN)
    await assign(module.id, foreign.id, ADMIN, override=True)
    assert (await floor.updates(module, foreign)).state == "confirmed"
    assert floor.core.registry.get(module.id).firmware == foreign.serial


async def test_an_image_of_another_type_is_not_believed_by_its_serial(floor, module):
    foreign = await floor.image("foreign-1", type=STATION)
    await floor.firmware.assignments.assign(module.id, foreign.id, ADMIN, override=True)
    await floor.hello(module, serial=foreign.serial)
    assert floor.core.registry.get(module.id).firmware == ""


async def test_hellos_without_end_fill_no_ledger(floor, module, image, assigned):
    for _ in range(MOST_STEPS + 50):
        await floor.hello(module, serial=image.serial)
    assert floor.job(module).state == "failed"
    assert len(await floor.states(assigned)) <= MOST_STEPS + 5


async def test_coming_and_going_without_end_fills_no_ledger(floor, module, assigned):
    for _ in range(MOST_STEPS // 2 + 20):
        floor.goes(module)
        floor.connects(module)
    assert floor.job(module).state == "failed" and "came and went" in floor.job(module).error
    assert len(await floor.states(assigned)) <= MOST_STEPS + 5


async def test_who_is_away_takes_no_place_from_others(floor, module, image, assigned):
    ledger = floor.firmware.ledger
    floor.fetches(module, 1024)
    assert ledger.under_way() == 1
    floor.goes(module)
    assert (floor.job(module).state, ledger.under_way()) == ("downloading", 0)
    again = Ledger(floor.core.store, floor.core.hub, floor.core.registry)
    await again.load()
    assert again.under_way() == 0 and len(again.resting()) == 1
    floor.connects(module)
    floor.fetches(module)
    assert ledger.under_way() == 1
    floor.passes(605)
    assert floor.job(module).state == "assigned"


async def test_a_serial_said_without_a_digest_ends_no_retries(floor, module, image, assigned):
    floor.fetches(module, 1024)
    floor.says(module, "failed", error="no room")
    await floor.hello(module, serial=image.serial)
    assert floor.core.registry.get(module.id).firmware == image.serial
    await floor.read_again(image)
    floor.leaps(RETRY_S * 1.2)
    assert await floor.firmware.reconcile.look() == 1
    assert floor.job(module).state == "offered"


async def test_one_that_sleeps_in_between_is_proved_when_it_wakes(floor, module, image, assigned):
    await floor.installs(module, image)
    for _ in range(2):
        assert floor.job(module).state == "installing"
        floor.core.presence.fell_asleep(module, 600)
        floor.goes(module)
        floor.leaps(PROBATION_S)
        floor.leaps(1)
        assert floor.job(module).state == "installing"
        floor.connects(module)
        floor.passes(2)
        assert floor.job(module).state == "installing"
    await floor.hello(module, image)
    floor.passes(2)
    assert floor.job(module).state == "confirmed"


async def test_one_that_wakes_with_its_old_program_was_rolled_back(floor, module, image, assigned):
    await floor.installs(module, image)
    floor.core.presence.fell_asleep(module, 600)
    floor.goes(module)
    floor.leaps(PROBATION_S + 1)
    floor.connects(module)
    await floor.hello(module, serial="app-1", digest="sha256:" + "1" * 64)
    floor.passes(PROBATION_S)
    assert floor.job(module).state == "rolled_back"


async def test_what_is_over_is_not_remembered(floor, module, image):
    for _ in range(5):
        job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        floor.fetches(module, 1024)
        floor.connects(module)
        floor.passes(2)
        await floor.firmware.assignments.cancel(job.id, TECHNICIAN)
    floor.passes(2)
    course = floor.firmware.course
    assert not course._patience._since and not course._probation._proofs


async def test_of_many_who_wait_some_are_looked_at_in_one_turn(floor, image):
    modules = [await floor.module(f"MC-{i}") for i in range(3)]
    for module in modules:
        floor.goes(module)
        await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
    course, looked = floor.firmware.course, []
    course._check_time = lambda module, job: looked.append(module.id)
    course._to_look_at = [floor.job(module) for module in modules] * LOOK_AT
    floor.firmware.tick()
    assert len(looked) == LOOK_AT


async def test_an_update_in_between_makes_nobody_forget_a_rollback(tmp_path, clock):
    async with open_floor(tmp_path, clock) as floor:
        image, other, module = await floor.image(), await floor.image("app-3"), await floor.module()
        assign = floor.firmware.assignments.assign
        await assign(module.id, image.id, TECHNICIAN)
        floor.fetches(module)
        floor.says(module, "rolled_back", error="no Wi-Fi")
        between = await assign(module.id, other.id, TECHNICIAN)
        await floor.firmware.assignments.cancel(between.id, TECHNICIAN)
        async with raises(Conflict):
            await assign(module.id, image.id, TECHNICIAN)
    async with open_floor(tmp_path, clock) as floor:
        module = floor.core.registry.get(module.id)
        assign = floor.firmware.assignments.assign
        async with raises(Conflict):
            await assign(module.id, image.id, TECHNICIAN)
        floor.connects(module)
        await assign(module.id, image.id, ADMIN, override=True)
        assert (await floor.updates(module, image)).state == "confirmed"
        await assign(module.id, other.id, TECHNICIAN)
        assert (await floor.updates(module, other)).state == "confirmed"
        assert (await assign(module.id, image.id, TECHNICIAN)).state == "offered"


async def test_a_storage_that_refuses_leaves_what_was(floor, module, image, assigned, monkeypatch):
    other = await floor.image("app-3")
    floor.fetches(module, 512)
    floor.firmware.ledger.save()
    before, run = floor.job(module), floor.core.store.run

    async def refuse(work):
        raise Unavailable("Storage cannot take this now.")

    assignments = floor.firmware.assignments
    monkeypatch.setattr(floor.core.store, "run", refuse)
    for step in (
        assignments.assign(module.id, other.id, TECHNICIAN),
        assignments.cancel(assigned.id, TECHNICIAN),
        assignments.unassign(module.id, TECHNICIAN),
    ):
        async with raises(Unavailable):
            await step
        assert floor.job(module) == before and not floor.boards.aborts
        assert floor.core.registry.get(module.id).assigned_firmware == image.serial
    monkeypatch.setattr(floor.core.store, "run", run)
    assert floor.firmware.ledger.under_way() == 1
    assert (await floor.updates(module, image)).state == "confirmed"
    assert floor.firmware.ledger.job(assigned.id).state == "confirmed"
    assert (await floor.firmware.ledger.find(assigned.id)).state == "confirmed"


async def test_a_deleted_module_leaves_no_update_behind(tmp_path, clock):
    async with open_floor(tmp_path, clock) as floor:
        image, module = await floor.image(), await floor.module()
        job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        floor.fetches(module, 512)
        floor.boards.there.discard(module.id)
        await floor.core.registry.delete(module.id, TECHNICIAN)
        assert floor.firmware.ledger.under_way() == 0 and not floor.firmware.ledger.open_jobs()
        floor.firmware.offers.served(job.id, 512, 512)
        floor.firmware.offers.heard(module, {"job": job.id, "state": "downloaded"})
        floor.passes(10)
    async with open_floor(tmp_path, clock) as floor:
        assert not floor.firmware.ledger.open_jobs()
        await floor.firmware.images.remove(image.id, TECHNICIAN)


@pytest.mark.parametrize(("number", "whole"), [(errno.EMFILE, True), (errno.EIO, False)])
async def test_want_of_descriptors_damages_no_image(floor, image, monkeypatch, number, whole):
    opened, monkeypatched = Path.open, iter([number])

    def fails_once(path, *rest, **more):
        if path.name == image.digest and (refused := next(monkeypatched, None)) is not None:
            raise OSError(refused, "refused")
        return opened(path, *rest, **more)

    monkeypatch.setattr(soundness, "AGAIN_S", 0.05)
    monkeypatch.setattr(Path, "open", fails_once)
    images = floor.firmware.images
    images.doubt(image)
    await until(lambda: images.ready(image) or images.damaged(image), 30)
    assert (images.ready(image), images.damaged(image)) == (whole, not whole)


async def test_no_offer_is_made_for_who_is_not_there(floor, module, image, monkeypatch):
    floor.goes(module)
    await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
    asked = []
    monkeypatch.setattr(floor.firmware.offers, "arrived", asked.append)
    assert await floor.firmware.reconcile.look() == 1 and not asked
    floor.core.presence.session_opened(module, "mqtt")
    assert await floor.firmware.reconcile.look() == 1 and [one.id for one in asked] == [module.id]


async def test_offers_are_never_older_than_the_last_though_the_clock_is_set_back(tmp_path, clock):
    """A board refuses an offer from before the last it took."""
    async with open_floor(tmp_path, clock) as floor:
        image, module = await floor.image(), await floor.module()
        await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        clock.ms -= 3_600_000
        floor.connects(module)
    clock.ms -= 3_600_000
    issued = [offer.issued for offer in floor.boards.offers[module.id]]
    async with open_floor(tmp_path, clock) as floor:
        await floor.read_again(image)
        floor.connects(floor.core.registry.get(module.id))
        issued += [offer.issued for offer in floor.boards.offers[module.id]]
    assert len(issued) == 3 and issued == sorted(issued)


async def test_a_member_that_says_it_runs_the_image_already_is_no_failure(floor):
    fleet = await populate(floor, 3)
    rollout = await fleet.create(concurrency=3)
    module = fleet.modules[0]
    floor.connects(module)
    await floor.hello(module, fleet.new)
    assert fleet.states(rollout)[0] == "confirmed"
    await fleet.rollouts.revert(rollout.id, TECHNICIAN)
    await fleet.settled(2)
    assert fleet.states(rollout)[0] == "reverting"
    floor.connects(module)
    await floor.hello(module, fleet.old)
    assert fleet.states(rollout)[0] == "reverted"


async def test_an_older_update_that_was_left_open_needs_its_image_no_longer(tmp_path, clock):
    async with open_floor(tmp_path, clock) as floor:
        image, other, module = await floor.image(), await floor.image("app-3"), await floor.module()
        old = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        await floor.firmware.assignments.assign(module.id, other.id, TECHNICIAN)
        await floor.core.store.run(JobRow.update(state="offered").where(JobRow.id == old.id).execute)
    async with open_floor(tmp_path, clock) as floor:
        assert floor.job(module).state == "offered"
        assert (await floor.firmware.ledger.find(old.id)).state == "cancelled"
        await floor.firmware.images.remove(image.id, TECHNICIAN)
