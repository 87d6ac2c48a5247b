"""An update from its assignment to its proof, and every way it can go wrong."""

import hmac
from hashlib import sha256
from itertools import pairwise

import anyio
import pytest

from firmware.course import MOST_ATTEMPTS, NEVER_SENT
from gateway.core.errors import Conflict, Forbidden, Invalid
from gateway.core.events import Alert, FirmwareJobChanged
from tests.firmware.floor import PROBATION_S, RETRY_S, open_floor
from tests.gateway.core.heart import ADMIN, OWNER, TECHNICIAN, heard, raises

pytestmark = pytest.mark.anyio


async def test_a_good_update_is_proved_step_by_step(floor, module, image, assigned):
    assert floor.job(module).state == "offered"
    (offer,) = floor.boards.offers[module.id]
    assert (offer.job, offer.digest, offer.size) == (assigned.id, f"sha256:{image.digest}", image.size)
    assert floor.fetches(module) == floor.firmware.images.path(image).read_bytes()
    for state in ("downloaded", "verified", "installing"):
        assert floor.says(module, state).state == state
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, image)
    floor.passes(PROBATION_S - 2)
    assert floor.job(module).state == "installing"
    floor.passes(3)
    job = floor.job(module)
    assert (job.state, job.error, job.received) == ("confirmed", None, image.size)
    assert floor.core.registry.get(module.id).firmware == image.serial
    states = await floor.states(job)
    assert list(dict.fromkeys(states)) == [
        "assigned", "offered", "downloading", "downloaded", "verified", "installing", "confirmed",
    ]  # fmt: skip


async def test_the_offer_is_signed_for_this_module_and_moment(floor, module, image, assigned):
    (offer,) = floor.boards.offers[module.id]
    key = bytes.fromhex(floor.core.registry.digests(module).token)
    said = f"passerelle offer 1\n{offer.job}\n{image.digest}\n{offer.size}\n{offer.version}\n{offer.issued}\n"
    assert offer.hmac == hmac.new(key, said.encode(), sha256).hexdigest()


async def test_installing_and_a_new_hello_without_a_reboot_prove_nothing(floor, module, image, assigned):
    floor.fetches(module)
    floor.says(module, "installing")
    await floor.hello(module, image)
    floor.passes(PROBATION_S * 2)
    assert floor.job(module).state == "installing"
    assert any("session from before" in text for text in await floor.evidence(assigned))


async def test_a_module_that_says_done_with_the_old_digest_was_rolled_back(floor, module, image, assigned):
    floor.fetches(module)
    for state in ("downloaded", "verified", "installing"):
        floor.says(module, state)
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, serial="app-1", digest="sha256:" + "0" * 64)
    floor.passes(40)
    job = floor.job(module)
    assert job.state == "rolled_back" and "app-1" in job.error


async def test_a_lost_connection_before_the_reboot_is_no_rollback(floor, module, image, assigned):
    floor.fetches(module)
    floor.says(module, "installing")
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, serial="app-1")
    floor.passes(10)
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, image)
    floor.passes(PROBATION_S + 2)
    assert floor.job(module).state == "confirmed"


async def test_going_away_starts_the_probation_anew(floor, module, image, assigned):
    await floor.installs(module, image)
    floor.passes(PROBATION_S - 5)
    floor.goes(module)
    floor.connects(module)
    floor.passes(PROBATION_S)
    assert floor.job(module).state == "installing"
    await floor.hello(module, image)
    floor.passes(PROBATION_S - 5)
    assert floor.job(module).state == "installing"
    floor.passes(10)
    assert floor.job(module).state == "confirmed"


@pytest.mark.parametrize("state", ["downloaded", "verified", "installing"])
async def test_a_module_that_was_sent_nothing_has_nothing(floor, module, assigned, state):
    job = floor.says(module, state, received=assigned.size)
    assert (job.state, job.error) == ("failed", NEVER_SENT)


async def test_a_module_that_claims_the_digest_before_anything_was_sent_proves_nothing(
    floor, module, image, assigned
):
    floor.goes(module)
    floor.connects(module)
    await floor.hello(module, image)
    floor.passes(PROBATION_S + 5)
    job = floor.job(module)
    assert job.state == "cancelled" and "by its own word" in job.error


async def test_a_failure_is_tried_again_with_growing_pauses_and_then_given_up(floor, module, image, assigned):
    alerts = heard(floor.core, Alert)
    pauses = []
    for _ in range(MOST_ATTEMPTS - 1):
        floor.fetches(module, 1024)
        job = floor.says(module, "failed", error="flash is broken")
        assert job.state == "assigned" and "flash is broken" in job.error
        pauses.append(job.due_ms - floor.clock.ms)
        floor.leaps(job.due_ms / 1000 - floor.clock.ms / 1000 + 1)
        await floor.read_again(image)
        floor.connects(module)
        assert floor.job(module).state == "offered"
    assert all(1.8 * before <= after <= 2.4 * before for before, after in pairwise(pauses))
    assert pauses[0] >= RETRY_S * 1000
    job = floor.says(module, "failed", error="flash is broken")
    assert (job.state, job.attempt) == ("failed", MOST_ATTEMPTS)
    assert len(alerts) == 1 and "flash is broken" in alerts[0].message
    floor.leaps(86400)
    assert await floor.firmware.reconcile.look() == 0


async def test_rolled_back_is_not_offered_again_but_by_an_admin(floor, module, image, assigned):
    await floor.installs(module, image)
    job = floor.says(module, "rolled_back", error="no Wi-Fi")
    assert (job.state, job.error) == ("rolled_back", "no Wi-Fi")
    assert await floor.firmware.reconcile.look() == 0
    assign = floor.firmware.assignments.assign
    await floor.hello(module, serial="app-1")
    async with raises(Conflict):
        await floor.firmware.assignments.retry(job.id, TECHNICIAN)
    async with raises(Forbidden):
        await assign(module.id, image.id, TECHNICIAN, override=True)
    assert floor.core.registry.get(module.id).firmware == image.serial


async def test_an_admin_overrides(floor, module, image, assigned):
    floor.fetches(module)
    job = floor.says(module, "rolled_back", error="no Wi-Fi")
    again = await floor.firmware.assignments.retry(job.id, ADMIN, override=True)
    assert again.id != job.id and floor.job(module).state == "offered"


@pytest.mark.parametrize(
    ("state", "seconds"),
    [("offered", 121), ("downloading", 601), ("downloaded", 601), ("verified", 601), ("installing", 601)],
)
async def test_nothing_stays_under_way_for_ever(floor, module, assigned, state, seconds):
    if state != "offered":
        floor.fetches(module, None if state != "downloading" else 1024)
        if state != "downloading":
            floor.says(module, state)
    floor.passes(5)
    assert floor.job(module).state == state
    floor.passes(seconds)
    job = floor.job(module)
    assert job.state == "assigned" and job.attempt == 1
    assert state in job.error and "next was that" in job.error
    assert floor.boards.aborts == [(module.id, job.id)]


async def test_progress_keeps_a_download_alive_and_never_goes_back(floor, module, assigned):
    told = heard(floor.core, FirmwareJobChanged)
    for offset in range(0, assigned.size - 156, 100):
        floor.firmware.offers.chunk(module, assigned.id, offset, 256)
        floor.passes(400)
        assert floor.job(module).state == "downloading"
    assert len(told) > 2
    amounts = [event.job["received"] for event in told]
    assert amounts == sorted(amounts) and amounts[-1] == assigned.size


async def test_absence_is_not_failure(floor, module, assigned):
    floor.fetches(module, 512)
    floor.goes(module)
    floor.leaps(6 * 86400)
    assert floor.job(module).state == "downloading"
    floor.connects(module)
    assert len(floor.boards.offers[module.id]) == 2
    assert floor.boards.offers[module.id][1].job == assigned.id


async def test_an_offline_module_needs_no_second_action(floor, module, image):
    floor.goes(module)
    job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
    assert job.state == "assigned"
    floor.leaps(20 * 86400)
    floor.connects(module)
    assert floor.job(module).state == "offered"


async def test_an_offer_that_nobody_took_waits_again(floor, module, assigned):
    floor.goes(module)
    job = floor.job(module)
    assert (job.state, job.attempt) == ("assigned", 0)


async def test_a_delayed_assignment_waits_for_its_time(floor, module, image):
    due_ms = floor.clock.ms + 3_600_000
    job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN, not_before_ms=due_ms)
    assert await floor.firmware.reconcile.look() == 0 and job.state == "assigned"
    floor.leaps(3601)
    assert await floor.firmware.reconcile.look() == 1
    assert floor.job(module).state == "offered"


async def test_one_that_never_said_what_it_runs_is_updated_and_one_that_runs_it_is_not(floor, image):
    module = await floor.module("MC-2")
    await floor.hello(module, image)
    assert await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN) is None
    assert floor.core.registry.get(module.id).assigned_firmware == image.serial
    assert await floor.firmware.reconcile.look() == 0


async def test_an_admin_may_insist_on_an_assignment_that_waits(floor, module, image):
    due_ms = floor.clock.ms + 3_600_000
    await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN, not_before_ms=due_ms)
    job = await floor.firmware.assignments.assign(module.id, image.id, ADMIN, override=True)
    assert job.override and job.state == "offered"


async def test_another_assignment_takes_the_place_of_the_first(floor, module, assigned):
    other = await floor.image("app-3", "3")
    floor.fetches(module, 256)
    job = await floor.firmware.assignments.assign(module.id, other.id, ADMIN)
    first = floor.firmware.ledger.job(assigned.id)
    assert first.state == "cancelled" and "ann" in first.error and "app-3" in first.error
    assert (module.id, assigned.id) in floor.boards.aborts
    assert floor.job(module).id == job.id and floor.job(module).state == "offered"
    assert floor.firmware.offers.chunk(module, assigned.id, 0, 256) is None
    with pytest.raises(Conflict):
        await floor.firmware.assignments.cancel(assigned.id, ADMIN)


async def test_the_same_assignment_is_the_same_job(floor, module, image, assigned):
    again = await floor.firmware.assignments.assign(module.id, image.id, ADMIN)
    assert again.id == assigned.id


async def test_cancelling_tells_the_module_and_frees_it(floor, module, assigned):
    floor.fetches(module, 256)
    job = await floor.firmware.assignments.cancel(assigned.id, TECHNICIAN)
    assert job.state == "cancelled" and floor.boards.aborts == [(module.id, assigned.id)]
    assert floor.core.registry.get(module.id).assigned_firmware == ""
    floor.says(module, "downloaded", job=job)
    assert floor.job(module).state == "cancelled" and len(floor.boards.aborts) == 2


async def test_owners_and_strangers_assign_nothing(floor, module, image):
    async with raises(Forbidden):
        await floor.firmware.assignments.assign(module.id, image.id, OWNER)


@pytest.mark.parametrize(
    "word",
    [
        {},
        {"state": "confirmed"},
        {"state": "offered"},
        {"state": ["x"]},
        {"state": "downloading", "received": -1},
        {"state": "downloading", "received": 10**9},
        {"state": "downloading", "received": True},
    ],
)
async def test_words_that_make_no_sense_change_nothing(floor, module, assigned, word):
    async with raises(Invalid):
        floor.firmware.offers.heard(module, {"job": assigned.id} | word)
    assert floor.job(module).state == "offered"


async def test_a_module_that_says_too_much_is_stopped(floor, module, assigned):
    floor.fetches(module, 256)
    for _ in range(600):
        for state in ("downloading", "downloaded"):
            if not floor.job(module).ended:
                floor.says(module, state)
    job = floor.job(module)
    assert job.state == "failed" and len(await floor.states(job)) < 600


async def test_a_module_that_comes_back_with_another_firmware_is_updated_again_but_not_for_ever(
    floor, module, image, assigned
):
    old = await floor.image("app-1", "1")
    alerts = heard(floor.core, Alert)
    await floor.updates(module, image)
    for _ in range(10):
        await floor.hello(module, old)
        await floor.firmware.reconcile.look()
        if floor.job(module).ended:
            break
        await floor.updates(module, image)
    assert floor.job(module).state == "confirmed" and floor.job(module).attempt == MOST_ATTEMPTS
    await floor.firmware.reconcile.look()
    assert [event.message for event in alerts if "left alone" in event.message] == [
        "MC-1 was updated 5 times and runs app-1 again. It is left alone."
    ]


async def test_what_was_told_last_survives_a_restart(tmp_path, clock):
    async with open_floor(tmp_path, clock) as floor:
        image, module = await floor.image(), await floor.module()
        job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
        floor.fetches(module, 512)
        floor.says(module, "failed", error="no room")
        floor.leaps(100)
        floor.connects(module)
        floor.fetches(module, 512)
        written = floor.job(module)
        assert (written.attempt, written.error) == (1, "The module: no room")
    async with open_floor(tmp_path, clock) as floor:
        kept = floor.firmware.ledger.job(job.id)
        assert await floor.firmware.ledger.find(job.id) == kept == written
        assert (kept.state, kept.received) == (
            "downloading",
            floor.job(module).received,
        ) and kept.received >= 512
        floor.connects(module)
        await floor.installs(module, image)
        floor.passes(PROBATION_S + 2)
        assert floor.job(module).state == "confirmed"
    async with open_floor(tmp_path, clock) as floor:
        assert floor.job(module).state == "confirmed"
        assert (await floor.states(job))[-1] == "confirmed"


async def test_two_technicians_at_once_leave_one_job_and_one_that_says_why(floor, module, image):
    other = await floor.image("app-3", "3")
    async with anyio.create_task_group() as group:
        for by, what in ((TECHNICIAN, image), (ADMIN, other)):
            group.start_soon(floor.firmware.assignments.assign, module.id, what.id, by)
    jobs = [job for _, job in await floor.firmware.ledger.page(module_number=module.number)]
    assert sorted(job.state for job in jobs) == ["cancelled", "offered"]
    winner = floor.firmware.images.get(floor.job(module).image_id)
    assert floor.core.registry.get(module.id).assigned_firmware == winner.serial


async def test_what_a_new_module_will_say_is_waited_for_and_then_counts(floor):
    entry = {"serial": "MC-9", "type": 7}
    ((module, _),) = await floor.core.decisions.declare([entry], ADMIN, with_token=False)
    image = await floor.image("esp-2", hardware=("esp32-s3",))
    job = await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
    floor.connects(module)
    assert floor.job(module).state == "assigned"
    floor.passes(15)
    await floor.firmware.reconcile.look()
    job = floor.job(module)
    assert job.state == "failed" and "has not said what hardware" in job.error
    async with raises(Conflict):
        await floor.firmware.assignments.assign(module.id, image.id, TECHNICIAN)
