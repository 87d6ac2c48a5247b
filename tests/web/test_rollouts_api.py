"""Rollouts over REST: planned, watched, halted, taken back; who may."""

import asyncio
from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.core.rights import ServiceRole
from tests.web.house import Caller, House
from web.api import OPERATIONS

pytestmark = pytest.mark.anyio
REPLIES = {(row.method, row.path): row for row in OPERATIONS}
ONE = "/rollouts/{number:int}"
STEPS = ("pause", "resume", "cancel", "retry", "revert")


def fits(method: str, path: str, answer: object) -> None:
    """The answer has exactly the fields that the document promises."""
    model = REPLIES[method, path].reply
    assert TypeAdapter(model).validate_python(answer).model_dump(mode="json") == answer


async def fleet(house: House, count: int = 4) -> list[str]:
    return [(await house.module(f"M-{number}")).id for number in range(count)]


async def plan(caller: Caller, status: int = 201, **more: Any) -> Any:
    known = {"name": "May", "firmware_id": 1, "modules": ["M-0", "M-1", "M-2", "M-3"]}
    return await caller.call("POST", "/rollouts", status, json=known | more)


async def test_a_rollout_is_planned_and_shown(house: House) -> None:
    technician, ids = await house.program("technician"), await fleet(house)
    image = await house.image()
    waves = [{"modules": ["M-1"]}, {"percent": 50}, {"rest": True}]
    made = await plan(
        technician, waves=waves, wait_s=60, success_percent=90, stop={"count": 2}, on_stop="revert",
        concurrency=2, window={"days": [0, 6], "from": "22:00", "to": "05:00"},
        guards={"min_battery": 20, "not_while": {"on": True}}, never_both=[["M-0", "M-2"]],
    )  # fmt: skip
    fits("POST", "/rollouts", made)
    assert (made["name"], made["firmware_id"], made["state"]) == ("May", image.id, "running")
    assert made["counts"]["size"] == 4 and [wave["size"] for wave in made["waves"]] == [1, 2, 1]
    assert made["by"] == "technician"
    shown = await technician.call("GET", f"/rollouts/{made['id']}", 200)
    fits("GET", ONE, shown)
    assert (shown["members"][0]["module"], shown["members"][0]["wave"]) == ("M-1", 0)
    assert sorted(member["module"] for member in shown["members"]) == ids
    listed = await technician.call("GET", "/rollouts", 200)
    fits("GET", "/rollouts", listed)
    assert [item["id"] for item in listed["items"]] == [made["id"]]


async def test_steps_are_taken_by_people_and_said_whose(house: House) -> None:
    technician, admin = await house.program("technician"), await house.program("admin")
    await fleet(house)
    await house.image()
    rollout = (await plan(technician))["id"]
    for step, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        told = await admin.call("POST", f"/rollouts/{rollout}/{step}", 200)
        fits("POST", f"{ONE}/{step}", told)
        assert told["state"] == state
    for step in STEPS[:-1]:
        problem = await technician.call("POST", f"/rollouts/{rollout}/{step}", 409)
        assert problem["code"] == "conflict" and problem["detail"].endswith(".")
    await technician.call("POST", f"/rollouts/{rollout}/retry", 403, json={"override": True})
    who = {row["action"]: row["who"] for row in await house.core.audit.rows(subject=f"rollout {rollout}")}
    assert who["rollout.pause"] == who["rollout.cancel"] == "admin"
    # What ends takes its updates back.
    await house.firmware.rollouts.settled()
    jobs = (await admin.call("GET", "/firmware/jobs?state=open", 200))["items"]
    assert jobs == []


async def test_of_two_who_decide_at_once_the_second_is_told(house: House) -> None:
    technician, admin = await house.program("technician"), await house.program("admin")
    await fleet(house)
    await house.image()
    rollout = (await plan(technician))["id"]
    replies = await asyncio.gather(
        *(caller.http.post(f"/api/v1/rollouts/{rollout}/cancel", json={}) for caller in (technician, admin))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 409]
    # And of two rollouts at once that want the same modules.
    plans = [{"name": name, "firmware_id": 1, "modules": ["M-0"]} for name in ("One", "Two")]
    replies = await asyncio.gather(*(technician.http.post("/api/v1/rollouts", json=one) for one in plans))
    assert sorted(reply.status_code for reply in replies) == [201, 409]


async def test_an_image_of_a_rollout_stays(house: House) -> None:
    technician = await house.program("technician")
    await fleet(house)
    image = await house.image()
    rollout = (await plan(technician))["id"]
    problem = await technician.call("DELETE", f"/firmware/{image.id}", 409)
    assert problem["detail"]
    await technician.call("POST", f"/rollouts/{rollout}/cancel", 200)
    await technician.call("DELETE", f"/firmware/{image.id}", 204)
    # It is still shown, although its image is gone.
    fits("GET", ONE, await technician.call("GET", f"/rollouts/{rollout}", 200))


async def test_rollouts_come_page_by_page_newest_first(house: House) -> None:
    technician = await house.program("technician")
    await house.image()
    made = []
    for number in range(12):
        await house.module(f"M-{number}")
        made.append((await plan(technician, modules=[f"M-{number}"]))["id"])
    seen, cursor = [], ""
    while True:
        answer = await technician.call("GET", f"/rollouts?limit=5{cursor}", 200)
        seen += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == made[::-1]


async def test_who_may(house: House) -> None:
    technician = await house.program("technician")
    await fleet(house)
    await house.image()
    rollout = (await plan(technician))["id"]
    callers = [await house.program("user")] + [await house.service(role) for role in ServiceRole]
    for caller, refused in [(caller, 403) for caller in callers] + [(house.anybody(), 401)]:
        await plan(caller, refused)
        for path in ("/rollouts", f"/rollouts/{rollout}"):
            await caller.call("GET", path, refused)
        for step in STEPS:
            await caller.call("POST", f"/rollouts/{rollout}/{step}", refused)
    assert (await technician.call("GET", f"/rollouts/{rollout}", 200))["state"] == "running"


WRONG: list[dict[str, Any]] = [
    {"modules": None}, {"modules": []}, {"modules": ["M-0", "m-0"]}, {"modules": ["NOBODY"]},
    {"group": "hall"}, {"type": 7}, {"name": ""}, {"name": " "}, {"name": "x" * 201}, {"name": "a\nb"},
    {"waves": []}, {"waves": [{}]}, {"waves": [{"percent": 10, "rest": True}]}, {"waves": [{"rest": False}]},
    {"waves": [{"rest": True}, {"percent": 5}]}, {"waves": [{"percent": 0}]}, {"waves": [{"percent": 101}]},
    {"waves": [{"rest": True}] * 21}, {"waves": [{"modules": ["NOBODY"]}]}, {"stop": {}},
    {"stop": {"count": 0}},
    {"stop": {"count": 1, "percent": 5}}, {"on_stop": "burn"}, {"concurrency": 0}, {"concurrency": 10**9},
    {"wait_s": -1}, {"wait_s": 10**12}, {"success_percent": 101}, {"window": {"from": "22:00"}},
    {"window": {"from": "25:00", "to": "05:00"}}, {"window": {"from": "22:00", "to": "22:00"}},
    {"window": {"from": "22:00", "to": "05:00", "days": [7]}},
    {"window": {"from": "2", "to": "5", "days": []}},
    {"guards": {"min_battery": 101}}, {"guards": {"min_rssi": 5}}, {"guards": {"not_while": {"a": [1]}}},
    {"guards": {"colour": 1}}, {"never_both": [["M-0"]]}, {"never_both": [["M-0", "M-0"]]},
    {"never_both": [["M-0", "NOBODY"]]}, {"firmware_id": 0}, {"firmware_id": "x"}, {"colour": "red"},
]  # fmt: skip


async def test_a_plan_that_makes_no_sense_is_refused_with_a_sentence(house: House) -> None:
    technician = await house.program("technician")
    await fleet(house)
    await house.image()
    await plan(technician, 404, firmware_id=99)
    for wrong in WRONG:
        problem = await plan(technician, 400, **wrong)
        assert len(problem["detail"]) > 10, wrong
    assert (await technician.call("GET", "/rollouts", 200))["items"] == []
    for path in ("/rollouts/1", "/rollouts/999999999999999999"):
        await technician.call("GET", path, 404)
        await technician.call("POST", f"{path}/pause", 404)
