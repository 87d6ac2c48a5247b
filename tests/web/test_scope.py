"""A scope: a technician looks after some groups, a user sees some; beyond them nothing exists."""

import pytest

from gateway.core.errors import Conflict, Invalid
from gateway.core.rights import Role
from tests.web.house import Caller, House

pytestmark = pytest.mark.anyio


async def garden_and_garage(house: House) -> None:
    admin = await house.person("admin")
    for id, group in (("G-1", "garden"), ("G-2", "garage")):
        await house.module(id)
        await house.core.registry.edit(id, admin, group=group)


async def scoped(house: House, name: str, *groups: str, acts: bool = True) -> Caller:
    person = await house.person(name)
    await house.core.accounts.people.set_scope(person.id, groups, acts, await house.person("admin"))
    house.people[name] = house.core.accounts.people.get(person.id).person
    return await house.browser(name)


@pytest.mark.parametrize("role", ["user", "technician"])
async def test_a_scope_shows_its_groups_and_no_others(house: House, role: str) -> None:
    await garden_and_garage(house)
    person = await scoped(house, role, "garden")
    assert [item["id"] for item in (await person.call("GET", "/modules", 200))["items"]] == ["G-1"]
    await person.call("GET", "/modules/G-1", 200)
    await person.call("GET", "/modules/G-2", 404)
    await person.call("GET", "/modules/G-2/telemetry?key=x", 404)
    await person.call("POST", "/modules/G-2/commands", 404, json={"command": "turn_off"})
    await person.page("/modules/G-2", 404)
    assert "G-2" not in (await person.page("/modules")).text


async def test_a_technician_manages_only_what_is_in_scope(house: House) -> None:
    await garden_and_garage(house)
    technician = await scoped(house, "technician", "garden")
    await technician.call("POST", "/modules/G-1/rotate-token", 200)
    for method, path in (
        ("POST", "/modules/G-2/rotate-token"), ("POST", "/modules/G-2/revoke"), ("DELETE", "/modules/G-2"),
        ("GET", "/modules/G-2/claim-code"),
    ):  # fmt: skip
        await technician.call(method, path, 404)
    image = await house.image("fw-1")
    await technician.call("PUT", "/modules/G-2/firmware", 404, json={"firmware_id": image.id})
    await technician.call("PUT", "/modules/G-1/firmware", 200, json={"firmware_id": image.id})


async def test_a_newcomer_without_a_group_is_for_those_who_look_after_all(house: House) -> None:
    await house.waiting("NEW-1")
    technician = await scoped(house, "technician", "garden")
    await technician.call("POST", "/modules/NEW-1/approve", 404)
    assert house.core.registry.get("NEW-1").life == "pending"
    await (await house.browser("technician_2")).call("POST", "/modules/NEW-1/approve", 200)


async def test_a_rollout_stays_within_the_scope_of_who_makes_it(house: House) -> None:
    await garden_and_garage(house)
    image = await house.image("fw-1")
    technician = await scoped(house, "technician", "garden")
    waves = [{"rest": True}]
    plan = {"name": "all", "firmware_id": image.id, "modules": ["G-1", "G-2"], "waves": waves}
    await technician.call("POST", "/rollouts", 403, json=plan)
    mine = {"name": "mine", "firmware_id": image.id, "type": 7, "waves": waves}
    made = await technician.call("POST", "/rollouts", 201, json=mine)
    members = house.firmware.rollouts.members(made["id"])
    assert [member["module"] for member in members] == ["G-1"]
    others = await (await house.browser("admin")).call(
        "POST", "/rollouts", 201, json={**plan, "name": "others", "modules": ["G-2"]}
    )
    await technician.call("POST", f"/rollouts/{others['id']}/cancel", 403)


async def test_who_may_only_look_changes_nothing(house: House) -> None:
    await garden_and_garage(house)
    viewer = await scoped(house, "user", "garden", acts=False)
    await viewer.call("GET", "/modules/G-1", 200)
    before = await house.audit_rows()
    await viewer.call("POST", "/modules/G-1/commands", 403, json={"command": "turn_off"})
    await viewer.call("PATCH", "/modules/G-1", 403, json={"name": "mine"})
    await viewer.call("PUT", "/modules/G-1/desired", 403, json={"desired": {"a": 1}, "version": 0})
    await viewer.call("POST", "/modules/claim", 403, json={"code": "AAAA-AAAA"})
    assert await house.audit_rows() == before
    # The same rule holds for what does not come over the web.
    with pytest.raises(Exception, match="look at this module"):
        await house.core.commands.send("G-1", "turn_off", {}, house.people["user"])


async def test_another_scope_ends_the_sessions_and_is_kept(house: House) -> None:
    await garden_and_garage(house)
    user = await house.browser("user")
    await scoped(house, "user", "garden")
    await user.call("GET", "/modules", 401)
    [row] = [row for row in await house.core.audit.rows(limit=50) if row["action"] == "user.scope"]
    assert row["details"]["after"] == {"groups": ["garden"], "acts": True}


async def test_a_scope_that_says_otherwise_than_the_role_is_refused(house: House) -> None:
    people, admin = house.core.accounts.people, await house.person("admin")
    technician = await house.person("technician")
    with pytest.raises(Conflict, match="admin reaches everything"):
        await people.set_scope(admin.id, ["garden"], True, admin)
    with pytest.raises(Conflict, match="more than look"):
        await people.set_scope(technician.id, [], False, admin)
    with pytest.raises(Invalid, match="at most 50 groups"):
        await people.set_scope(technician.id, [f"g{n}" for n in range(51)], True, admin)
    assert people.get(technician.id).role is Role.TECHNICIAN


async def test_an_owner_does_not_put_his_module_before_others(house: House) -> None:
    await house.module("G-3", owner="user")
    user = await house.browser("user")
    await user.call("PATCH", "/modules/G-3", 403, json={"group": "garden"})
    await user.call("PATCH", "/modules/G-3", 200, json={"name": "mine"})
