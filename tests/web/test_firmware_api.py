"""Images, signatures and updates over REST: what each call does, who sees what, two people at once."""

import asyncio
import base64
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import TypeAdapter

from firmware.signing import canonical
from firmware.values import Image
from gateway.core import clock
from gateway.core.rights import ServiceRole
from tests.web.house import Caller, House
from web.api import OPERATIONS

pytestmark = pytest.mark.anyio
REPLIES = {(row.method, row.path): row for row in OPERATIONS}
JOB = "/firmware/jobs/{job}"


def fits(method: str, path: str, answer: object) -> None:
    """The answer has exactly the fields that the document promises."""
    model = REPLIES[method, path].reply
    assert TypeAdapter(model).validate_python(answer).model_dump(mode="json") == answer


async def upload(caller: Caller, status: int = 201, data: bytes = b"image one", **fields: str) -> Any:
    known = {"serial": "fw-1", "version": "1.0", "type": "7"} | fields
    return await caller.call("POST", "/firmware", status, data=known, files={"file": ("x", data)})


async def assign(caller: Caller, module: str, image: Image, status: int = 200, **more: Any) -> Any:
    body = {"firmware_id": image.id} | more
    return await caller.call("PUT", f"/modules/{module}/firmware", status, json=body)


# Images


async def test_an_image_from_upload_to_deletion(house: House) -> None:
    technician = await house.program("technician")
    made = await upload(technician, notes="First", hardware="esp32-s3, esp32", min_version="0.9")
    fits("POST", "/firmware", made)
    assert (made["hardware"], made["min_version"], made["kind"]) == (["esp32", "esp32-s3"], "0.9", "other")
    assert made["signed_by"] == "gateway" and not made["damaged"]
    assert await technician.call("GET", f"/firmware/{made['id']}", 200) == made
    fits("GET", "/firmware/{number:int}", made)
    answer = await technician.call("GET", "/firmware", 200)
    fits("GET", "/firmware", answer)
    assert answer == {"items": [made], "next": None}
    await technician.call("DELETE", f"/firmware/{made['id']}", 204)
    await technician.call("DELETE", f"/firmware/{made['id']}", 404)
    await technician.call("GET", f"/firmware/{made['id']}", 404)
    assert (await technician.call("GET", "/firmware", 200))["items"] == []


async def test_images_come_page_by_page_newest_first(house: House) -> None:
    images = [await house.image(f"fw-{number}") for number in range(12)]
    technician, cursor, seen = await house.program("technician"), "", []
    while True:
        answer = await technician.call("GET", f"/firmware?limit=5{cursor}", 200)
        seen += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == [image.id for image in reversed(images)]
    for cursor in ("x", "!!", "x" * 401):
        await technician.call("GET", f"/firmware?cursor={cursor}", 400)


async def test_a_serial_and_a_file_are_there_once(house: House) -> None:
    technician = await house.program("technician")
    await upload(technician)
    problem = await upload(technician, 409, b"another image", serial="FW-1")
    assert "fw-1" in problem["detail"]
    problem = await upload(technician, 409, serial="fw-2")
    assert "fw-1" in problem["detail"]
    await upload(technician, 201, serial="fw-2", type="8")


async def test_an_image_that_somebody_needs_stays(house: House) -> None:
    technician = await house.program("technician")
    await house.module("A-1")
    image = await house.image()
    job = (await assign(technician, "A-1", image))["job"]
    problem = await technician.call("DELETE", f"/firmware/{image.id}", 409)
    assert "A-1" in problem["detail"]
    assert house.firmware.images.get(image.id) == image
    await technician.call("POST", f"/firmware/jobs/{job['id']}/cancel", 200)
    await technician.call("DELETE", f"/firmware/{image.id}", 204)


async def test_vendors_and_the_policy(house: House) -> None:
    admin, technician = await house.program("admin"), await house.program("technician")
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    told = await technician.call("GET", "/firmware/policy", 200)
    fits("GET", "/firmware/policy", told)
    assert (told["require_vendor"], told["keys"], len(told["public_key"])) == (False, [], 44)
    added = await admin.call("POST", "/firmware/keys", 201, json={"name": "Acme", "public_key": public})
    fits("POST", "/firmware/keys", added)
    assert added["keys"] == [{"name": "Acme", "public_key": public}]
    await admin.call("POST", "/firmware/keys", 409, json={"name": "acme", "public_key": public})
    await admin.call("POST", "/firmware/keys", 400, json={"name": "Other", "public_key": "AAAA"})
    changed = await admin.call("PUT", "/firmware/policy", 200, json={"require_vendor": True})
    assert changed["require_vendor"]
    await upload(technician, 400)
    data = b"a vendor's image"
    digest = sha256(data).hexdigest()
    signature = base64.b64encode(key.sign(canonical(digest, 7, "1.0", ()))).decode()
    assert (await upload(technician, 201, data, signature=signature))["signed_by"] == "Acme"
    await admin.call("DELETE", "/firmware/keys/Acme", 204)
    await admin.call("DELETE", "/firmware/keys/Acme", 404)
    for caller in (technician, await house.service(ServiceRole.CONTROLLER)):
        await caller.call("PUT", "/firmware/policy", 403, json={"require_vendor": False})
        await caller.call("POST", "/firmware/keys", 403, json={"name": "x", "public_key": public})
        await caller.call("DELETE", "/firmware/keys/Acme", 403)
    actions = [row["action"] for row in await house.core.audit.rows()]
    assert {"firmware.policy", "firmware.key_add", "firmware.key_remove"} <= set(actions)


# Updates


async def test_an_assignment_is_a_job_that_module_and_list_show(house: House) -> None:
    technician = await house.program("technician")
    await house.module("A-1")
    image = await house.image()
    answer = await assign(technician, "A-1", image)
    fits("PUT", "/modules/{id}/firmware", answer)
    job = answer["job"]
    assert (job["module"], job["firmware_id"], job["state"]) == ("A-1", image.id, "assigned")
    module = await technician.call("GET", "/modules/A-1", 200)
    fits("GET", "/modules/{id}", module)
    assert (module["assigned_firmware"], module["current_firmware"]) == ("fw-1", None)
    detail = await technician.call("GET", f"/firmware/jobs/{job['id']}", 200)
    fits("GET", JOB, detail)
    assert [(step["state"], step["by"]) for step in detail["history"]] == [("assigned", "technician")]
    listed = await technician.call("GET", "/firmware/jobs?module=A-1&state=open", 200)
    fits("GET", "/firmware/jobs", listed)
    assert [item["id"] for item in listed["items"]] == [job["id"]]
    # The same again is the same; null takes it back.
    assert (await assign(technician, "A-1", image))["job"]["id"] == job["id"]
    gone = await technician.call("PUT", "/modules/A-1/firmware", 200, json={"firmware_id": None})
    assert gone == {"job": None}
    assert (await technician.call("GET", "/modules/A-1", 200))["assigned_firmware"] is None
    ended = await technician.call("GET", f"/firmware/jobs/{job['id']}", 200)
    assert ended["state"] == "cancelled" and len(ended["history"]) == 2
    await technician.call("POST", f"/firmware/jobs/{job['id']}/cancel", 409)
    again = await technician.call("POST", f"/firmware/jobs/{job['id']}/retry", 200, json={})
    fits("POST", JOB + "/retry", again)
    assert again["job"]["id"] != job["id"] and again["job"]["state"] == "assigned"
    cancelled = await technician.call("POST", f"/firmware/jobs/{again['job']['id']}/cancel", 200)
    fits("POST", JOB + "/cancel", cancelled)


async def test_not_before(house: House) -> None:
    technician = await house.program("technician")
    await house.module("A-1")
    image = await house.image()
    due = clock.now_ms() + 3_600_000
    job = (await assign(technician, "A-1", image, not_before=due))["job"]
    assert (job["state"], job["due"]) == ("assigned", due)
    sooner = (await assign(technician, "A-1", image))["job"]
    assert sooner["id"] == job["id"] and sooner["due"] < due
    for wrong in (-1, "soon", 10**15, 1.5, clock.now_ms() + 10 * 366 * 86400 * 1000):
        await assign(technician, "A-1", image, 400, not_before=wrong)


async def test_two_who_assign_at_once_leave_one_update(house: House) -> None:
    """Whoever came second has taken the first one's place, and the first's history says who."""
    one, other = await house.program("technician_one"), await house.program("technician_two")
    await house.module("A-1")
    images = [await house.image("fw-1"), await house.image("fw-2")]
    for _ in range(5):
        answers = await asyncio.gather(assign(one, "A-1", images[0]), assign(other, "A-1", images[1]))
        jobs = [await one.call("GET", f"/firmware/jobs/{answer['job']['id']}", 200) for answer in answers]
        (winner,) = [job for job in jobs if job["state"] == "assigned"]
        (loser,) = [job for job in jobs if job["state"] == "cancelled"]
        assert winner["by"] in loser["error"]
        assigned = next(image.serial for image in images if image.id == winner["firmware_id"])
        assert house.core.registry.get("A-1").assigned_firmware == assigned
        opened = await one.call("GET", "/firmware/jobs?state=open", 200)
        assert [job["id"] for job in opened["items"]] == [winner["id"]]
    # The same image by both at once is one update.
    await one.call("PUT", "/modules/A-1/firmware", 200, json={"firmware_id": None})
    answers = await asyncio.gather(*(assign(caller, "A-1", images[0]) for caller in (one, other)))
    assert len({answer["job"]["id"] for answer in answers}) == 1


async def test_what_speaks_against_it_only_an_admin_overrides(house: House) -> None:
    technician, admin = await house.program("technician"), await house.program("admin")
    service = await house.service(ServiceRole.CONTROLLER)
    await house.module("A-1", type=0)
    image = await house.image()
    problem = await assign(technician, "A-1", image, 409)
    assert "type" in problem["detail"]
    for caller in (technician, service):
        await assign(caller, "A-1", image, 403, override=True)
    assert (await assign(admin, "A-1", image, override=True))["job"]["state"] == "assigned"


async def test_a_program_uploads_and_assigns_in_its_own_name(house: House) -> None:
    service = await house.service(ServiceRole.CONTROLLER)
    await house.module("A-1")
    made = await upload(service)
    image = house.firmware.images.get(made["id"])
    job = (await assign(service, "A-1", image))["job"]
    assert made["by"] == job["by"] == "controller-1"
    reader = await house.service(ServiceRole.READER)
    assert (await reader.call("GET", f"/firmware/jobs/{job['id']}", 200))["module"] == "A-1"
    await assign(reader, "A-1", image, 403)
    await service.call("POST", f"/firmware/jobs/{job['id']}/cancel", 403)


async def test_an_owner_sees_the_updates_of_his_own_modules_only(house: House) -> None:
    technician, owner = await house.program("technician"), await house.program("user_one")
    stranger, image = await house.program("user_two"), await house.image()
    jobs = {}
    for serial, whose in (("OWN-1", "user_one"), ("OWN-2", "user_two"), ("OWN-3", "")):
        await house.module(serial, owner=whose)
        jobs[serial] = (await assign(technician, serial, image))["job"]["id"]
    for caller, serials in ((owner, ["OWN-1"]), (stranger, ["OWN-2"]), (technician, sorted(jobs))):
        listed = (await caller.call("GET", "/firmware/jobs", 200))["items"]
        assert sorted(job["module"] for job in listed) == serials
        for serial, job in jobs.items():
            seen = 200 if serial in serials else 404
            await caller.call("GET", f"/firmware/jobs/{job}", seen)
            await caller.call("GET", f"/firmware/jobs?module={serial}", seen)
    problem = await owner.call("GET", f"/firmware/jobs/{jobs['OWN-2']}", 404)
    assert problem["detail"] == f"There is no update '{jobs['OWN-2']}'."
    await assign(owner, "OWN-1", image, 403)
    await owner.call("POST", f"/firmware/jobs/{jobs['OWN-1']}/cancel", 403)
    # It is given to somebody else: so is the sight of its updates.
    admin = await house.person("admin")
    new_owner = await house.person("user_two")
    await house.core.registry.edit("OWN-1", admin, owner_id=new_owner.id)
    assert (await owner.call("GET", "/firmware/jobs", 200))["items"] == []
    assert len((await stranger.call("GET", "/firmware/jobs", 200))["items"]) == 2


async def test_updates_come_page_by_page_newest_first(house: House) -> None:
    technician, image = await house.program("technician"), await house.image()
    jobs = []
    for number in range(23):
        await house.module(f"M-{number}")
        jobs.append((await assign(technician, f"M-{number}", image))["job"]["id"])
    await technician.call("POST", f"/firmware/jobs/{jobs[5]}/cancel", 200)
    for query, wanted in (
        ("", jobs), ("&state=cancelled", jobs[5:6]), ("&state=open", jobs[:5] + jobs[6:]),
        ("&state=assigned&module=m-7", jobs[7:8]), ("&state=confirmed", []),
    ):  # fmt: skip
        seen, cursor = [], ""
        while True:
            answer = await technician.call("GET", f"/firmware/jobs?limit=5{query}{cursor}", 200)
            seen += [job["id"] for job in answer["items"]]
            if answer["next"] is None:
                break
            cursor = f"&cursor={answer['next']}"
        assert seen == wanted[::-1]
    for wrong in ("state=nowhere", "cursor=abc", "cursor=LTE", "limit=0", "limit=1001", "colour=red"):
        await technician.call("GET", f"/firmware/jobs?{wrong}", 400)
    await technician.call("GET", "/firmware/jobs?module=NOBODY", 404)


async def test_what_is_not_there(house: House) -> None:
    admin, image = await house.program("admin"), await house.image()
    await house.module("A-1")
    await house.waiting("W-1")
    await assign(admin, "NOBODY", image, 404)
    await assign(admin, "W-1", image, 409)
    await admin.call("PUT", "/modules/A-1/firmware", 404, json={"firmware_id": 999})
    await admin.call("PUT", "/modules/A-1/firmware", 400, json={})
    await admin.call("GET", "/firmware/jobs/0123456789abcdef", 404)
    for action in ("cancel", "retry"):
        await admin.call("POST", f"/firmware/jobs/nothing/{action}", 404, json={})
    await admin.call("GET", "/firmware/999999999999999999999999999999", 404)
    await admin.call("DELETE", "/firmware/999999999999999999999999999999", 404)


# Nothing that comes breaks it

NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, 1.5, -0.0, 1e308, "", "x", "A-1", "fw-1",
    "\0", "é" * 300, "x" * 5000, "../../x", "<b>", "22:00", [], [[]], [None], ["A-1"], ["A-1"] * 3,
    [["A-1", "A-2"]], [{}], {}, {"a": 1}, {"from": "22:00", "to": "05:00"}, {"count": 1}, {"percent": 10},
    [{"rest": True}], [{"percent": 10}, {"rest": True}], {"not_while": {"a": [1]}}, {"": ""},
]  # fmt: skip
QUERIES = ["", "?cursor=%00", "?limit=x", "?module=%00", "?state=%27", "?x=1", "?cursor=" + "MTAw" * 90]
ROUTES = [row for row in OPERATIONS if "firmware" in row.path or "rollouts" in row.path]


def bodies_of(fields: list[str]) -> list[dict[str, Any]]:
    """Every nasty value in every field alone, and beside others that are right."""
    right = {"firmware_id": 1, "name": "May", "modules": ["A-1"], "require_vendor": False, "public_key": "x"}
    return [
        base | {field: value}
        for field in fields
        for value in NASTY
        for base in ({}, {key: one for key, one in right.items() if key in fields})
    ]


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
async def test_no_body_and_no_address_breaks_a_route(shared: House, row: Any) -> None:
    if shared.core.registry.known("A-1") is None:
        await shared.module("A-1")
        await shared.image()
    admin = await shared.program("admin")
    path = "/api/v1" + row.path.replace("{id}", "A-1")
    known = await admin.http.get("/api/v1/firmware/jobs")
    jobs = [job["id"] for job in known.json()["items"][:1]]
    addresses = {path}
    for mark in ("{number:int}", "{job}", "{name}"):
        values = ["1", "0", "9" * 30, "9" * 6000, "-1", "%00", "..", "%2e%2e%2fx", "x" * 3000, "%ff", *jobs]
        addresses = {one.replace(mark, value) for one in addresses for value in values}
    bad = []
    for address in sorted(addresses):
        for query in QUERIES:
            reply = await admin.http.request(row.method, address + query, json={})
            if reply.status_code >= 500:
                bad.append(f"{address[:80]}{query}: {reply.status_code}")
    address = path.replace("{number:int}", "1").replace("{job}", (jobs or ["x"])[0]).replace("{name}", "Acme")
    fields = [info.alias or name for name, info in row.body.model_fields.items()] if row.body else []
    for body in bodies_of(fields):
        reply = await admin.http.request(row.method, address, json=body)
        if reply.status_code >= 500:
            bad.append(f"{address} {str(body)[:200]}: {reply.status_code}")
    assert not bad, "\n".join(bad[:20])
