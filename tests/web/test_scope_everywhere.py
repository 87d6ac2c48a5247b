"""Beyond a scope nothing exists: no page and no call names a module, or its group, that is not one's own."""

from collections.abc import AsyncIterator

import pytest

from gateway.core.errors import Forbidden, Said
from gateway.core.events import RolloutChanged
from gateway.core.values import Application
from tests.web.house import Caller, House
from web.api import OPERATIONS
from web.pages import PAGES

pytestmark = pytest.mark.anyio
NEAR, FAR = "NEAR-1", "FARAWAY-1"
# Each of them tells of a module that is beyond.
TRACES = ("faraway", "zanzibar", "hidden lamp")
FORMS = (
    "/modules?q=", "/modules?group=zanzibar", "/modules?status=pending", "/modules?sort=group",
    "/modules/rows?count=500", "/modules/labels", "/modules/labels?ids=NEAR-1,FARAWAY-1",
    "/rollouts/new?firmware=1", "/firmware/1?q=lamp", "/notifications?past=1",
)  # fmt: skip


@pytest.fixture
async def wide(house: House) -> AsyncIterator[House]:
    """A module near, and far ones with all that there can be of one."""
    admin, core = await house.person("admin"), house.core
    await house.module(NEAR)
    await core.registry.edit(NEAR, admin, group="garden", name="Near lamp")
    for id, name in ((FAR, "Hidden lamp"), ("FARAWAY-2", "Hidden lamp two")):
        await house.module(id, owner="user_2")
        await core.registry.edit(id, admin, group="zanzibar", name=name)
    await house.waiting("FARAWAY-3")
    await house.waiting("FARAWAY-4")
    await core.decisions.reject(["FARAWAY-4"], admin, "no")
    await core.enrolment.register(Application(type=7, serial="FARAWAY-2"), "198.51.100.9")
    image = await house.image("fw-1")
    await house.firmware.assignments.assign(FAR, image.id, admin)
    await house.firmware.assignments.cancel(house.firmware.ledger.open_jobs()[0].id, admin)
    plan = {"name": "of zanzibar", "firmware_id": image.id, "modules": [FAR, NEAR], "waves": [{"rest": True}]}
    rollout = await house.firmware.rollouts.create(plan, admin)
    await house.firmware.rollouts.settled()
    book, module = core.alerting.book, core.registry.get(FAR)
    book.open("offline", FAR, Said("%(module)s is offline.", module="Hidden lamp"), module)
    stopped = house.firmware.rollouts.describe(rollout) | {"state": "stopped", "reason": "FARAWAY-1 failed."}
    core.hub.publish(RolloutChanged(stopped))
    yield house


async def _scoped(house: House, name: str) -> Caller:
    person = await house.person(name)
    await house.core.accounts.people.set_scope(person.id, ["garden"], True, await house.person("admin"))
    house.people[name] = house.core.accounts.people.get(person.id).person
    return await house.browser(name)


def _filled(path: str) -> list[str]:
    """The path for what is near, and for what is far."""
    numbers = path.replace("{number:int}", "1").replace("{code:int}", "7").replace("{user:int}", "1")
    numbers = numbers.replace("{job}", "0123456789abcdef").replace("{command}", "x").replace("{name}", "x")
    return list(dict.fromkeys(numbers.replace("{id}", id) for id in (NEAR, FAR)))


@pytest.mark.parametrize("role", ["user", "technician"])
async def test_nothing_beyond_the_scope_is_named_anywhere(wide: House, role: str) -> None:
    caller = await _scoped(wide, role)
    pages = [path for page in PAGES if page.method == "GET" for path in _filled(page.path)]
    calls = [f"/api/v1{p}" for row in OPERATIONS if row.method == "GET" for p in _filled(row.path)]
    jobs = [f"/api/v1/firmware/jobs/{job.id}" for _, job in await wide.firmware.ledger.page(limit=9)]
    assert len(pages) > 30 and len(calls) > 30 and jobs
    for path in [*pages, *FORMS, *calls, *jobs]:
        reply = await caller.http.get(path)
        assert reply.status_code < 500, (path, reply.status_code)
        said = reply.text.lower()
        for word in ("faraway-1", "zanzibar"):
            # What was asked for may be said again.
            said = said.replace(word, "") if word in path.lower() else said
        found = [trace for trace in TRACES if trace in said]
        near = [said[max(0, said.find(t) - 150) : said.find(t) + 80] for t in found]
        assert not found, (path, found, near)


async def test_who_looks_after_all_sees_all_of_it(wide: House) -> None:
    """What the test above looks for is there to be found."""
    caller = await wide.browser("technician_2")
    for path in ("/", "/modules", "/waiting", "/rollouts", "/rollouts/1", "/rollouts/new", "/firmware",
                 "/firmware/1", "/notifications", "/api/v1/rollouts", "/api/v1/firmware/jobs",
                 "/api/v1/notifications", "/api/v1/claims", "/api/v1/groups"):  # fmt: skip
        text = (await caller.http.get(path)).text.lower()
        assert any(trace in text for trace in TRACES), path


async def test_a_rollout_of_ones_own_modules_is_seen(wide: House) -> None:
    admin, rollouts = await wide.person("admin"), wide.firmware.rollouts
    await rollouts.cancel(1, admin)
    await rollouts.settled()
    plan = {"name": "near ones", "firmware_id": 1, "modules": [NEAR], "waves": [{"rest": True}]}
    near = await rollouts.create(plan, admin)
    pair = plan | {"name": "pair", "never_both": [[NEAR, FAR]]}
    caller = await _scoped(wide, "technician")
    assert [item["id"] for item in (await caller.call("GET", "/rollouts", 200))["items"]] == [near.id]
    await caller.page(f"/rollouts/{near.id}")
    await rollouts.cancel(near.id, admin)
    await rollouts.settled()
    beside = await rollouts.create(pair, admin)
    await caller.call("GET", f"/rollouts/{beside.id}", 404)


@pytest.mark.parametrize("action", ["approve", "firmware", "command", "group", "revoke"])
async def test_all_that_match_are_all_within_the_scope(wide: House, action: str) -> None:
    caller = await _scoped(wide, "technician")
    form = {"csrf": caller.session.csrf if caller.session else "", "all": "yes", "action": action}
    for more in ({}, {"group": "zanzibar"}, {"ids": "FARAWAY-1,NEAR-1", "all": ""}):
        text = (await caller.http.post("/modules/bulk", data=form | more)).text.lower()
        text = text.replace("faraway-1", "").replace("zanzibar", "") if more else text
        assert not [trace for trace in TRACES if trace in text]


async def test_devices_are_entered_into_ones_own_groups_only(wide: House) -> None:
    await _scoped(wide, "technician")
    person = wide.people["technician"]
    declare = wide.core.decisions.declare
    for group in ("zanzibar", ""):
        with pytest.raises(Forbidden, match="your own groups"):
            await declare([{"serial": "NEW-1", "type": 7, "group": group}], person, with_token=True)
    ((module, _),) = await declare(
        [{"serial": "NEW-1", "type": 7, "group": "garden"}], person, with_token=True
    )
    assert module.group == "garden"


async def test_only_who_may_decide_is_told_that_somebody_waits(wide: House) -> None:
    for name, waiting in (("technician_2", 2), ("technician", 0)):
        caller = await (_scoped(wide, name) if name == "technician" else wide.browser(name))
        assert (await caller.call("GET", "/stats", 200))["waiting"] == waiting
        assert wide.core.registry.waiting_for(wide.people[name]) == waiting
