"""The documented REST of devices: `/devices`, `/registration`, `/authenticate`."""

import pytest

from firmware.facts import Facts
from firmware.values import Image
from gateway.core.rights import ServiceRole
from tests.web.house import House

pytestmark = pytest.mark.anyio
NEW = {"name": "Gate", "serial_number": "D-1", "type_id": 1, "group_id": 4, "description": "By the lake"}
WRITERS = {"technician", "admin", "controller"}


async def ask(caller, method, path, status, body=None, **options):
    headers = {"X-CSRF-Token": caller.session.csrf} if caller.session else {}
    reply = await caller.http.request(method, path, json=body, headers=headers, **options)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_from_the_form_to_its_own_token(house: House) -> None:
    technician, service = await house.program("technician"), await house.service(ServiceRole.CONTROLLER)
    made = await ask(technician, "POST", "/devices", 201, NEW)
    assert made["serial_number"] == made["id"] == "D-1"
    assert (made["type_id"], made["group_id"], made["description"]) == (1, "4", "By the lake")
    proof = {"device_serial": "D-1", "shared_key": made["shared_key"]}
    assert (await ask(service, "POST", "/authenticate", 200, proof))["uuid"] == made["uuid"]
    registered = await ask(
        house.anybody(), "POST", "/registration", 200, proof | {"current_firmware_serial": "FW-1"}
    )
    assert registered["status"] == "approved"
    assert house.core.registry.by_token(registered["token"]).id == "D-1"
    # Nobody knows that firmware: the registration holds, the old value stays, the trail has a warning.
    assert registered["current_firmware_serial"] is None
    (row,) = [r for r in await house.core.audit.rows(subject="D-1") if r["action"] == "firmware.unknown"]
    assert (row["level"], row["details"]) == ("warning", {"serial": "FW-1", "kept": ""})
    assert house.core.registry.get("D-1").registered_at_ms is not None
    # Again, with the same key: beside the untouched module, until somebody decides.
    again = await ask(house.anybody(), "POST", "/registration", 200, proof)
    assert again["status"] == "pending"
    assert house.core.registry.by_token(registered["token"]).approved
    assert not house.core.registry.by_token(again["token"]).approved
    assert "shared_key" not in await ask(technician, "PATCH", f"/devices/{made['uuid']}", 200, {})


@pytest.mark.parametrize("path", ["/devices", "/device"])
async def test_a_service_changes_what_is_known_of_a_device(house: House, path: str) -> None:
    service = await house.service(ServiceRole.CONTROLLER)
    made = await ask(service, "POST", "/devices", 201, NEW)
    at = f"{path}/{made['uuid']}"
    changed = await ask(service, "PATCH", at, 200, {
        "registered_at": "2026-11-21T12:00:00Z", "current_firmware_serial": "FW-9", "name": "Other",
        "description": None, "something_else": 1,
    })  # fmt: skip
    assert (changed["registered_at"], changed["name"]) == (1795262400000, "Other")
    assert (changed["description"], changed["current_firmware_serial"]) == (None, None)
    assert (await ask(service, "PATCH", at, 200, {"registered_at": 5}))["registered_at"] == 5
    for wrong in ({"registered_at": "soon"}, {"registered_at": -1}, {"registered_at": True}, {"name": 5},
                  {"name": "x" * 201}, {"description": [1]}, {"group_id": {}}):  # fmt: skip
        await ask(service, "PATCH", at, 400, wrong)
    await ask(service, "PATCH", at, 404, {"assigned_firmware_id": 3})
    await ask(service, "PATCH", f"{path}/nobody", 404, {"name": "x"})
    assert house.core.registry.get("D-1").name == "Other"


async def test_an_unknown_serial_and_a_wrong_key_are_the_same(house: House) -> None:
    technician = await house.program("technician")
    made = await ask(technician, "POST", "/devices", 201, NEW)
    await house.module("D-2")
    answers = set()
    for serial in ("D-1", "D-2", "D-3", "", None, "not an id"):
        for key in ("wrong", "", None, made["shared_key"][:-1]):
            proof = {"device_serial": serial, "shared_key": key}
            for caller, path in ((house.anybody(), "/registration"), (technician, "/authenticate")):
                reply = await caller.http.post(path, json=proof)
                answers.add((reply.status_code, reply.json()["detail"]))
    assert answers == {(401, "Serial or shared key is wrong.")}
    assert house.core.registry.waiting() == 0


async def test_who_may(house: House) -> None:
    made = await ask(await house.program("technician"), "POST", "/devices", 201, NEW)
    callers = {role: await house.browser(role) for role in ("user", "technician", "admin")}
    callers |= {str(role): await house.service(role) for role in ServiceRole} | {"nobody": house.anybody()}
    proof = {"device_serial": "D-1", "shared_key": made["shared_key"]}
    for number, (role, caller) in enumerate(callers.items()):
        refused = 401 if role == "nobody" else 403
        entry = NEW | {"serial_number": f"E-{number}"}
        may = role in WRITERS
        await ask(caller, "POST", "/devices", 201 if may else refused, entry)
        await ask(caller, "POST", "/authenticate", 200 if may else refused, proof)
        await ask(caller, "PATCH", f"/devices/{made['uuid']}", 200 if may else refused, {"name": role})
    # A browser's cookie alone does nothing: another site could have sent it.
    reply = await callers["admin"].http.post("/devices", json=NEW | {"serial_number": "E-99"})
    assert reply.status_code == 403


async def test_what_cannot_be_entered(house: House) -> None:
    technician = await house.program("technician")
    await ask(technician, "POST", "/devices", 201, NEW)
    await ask(technician, "POST", "/devices", 409, NEW | {"serial_number": "d-1"})
    await ask(technician, "POST", "/devices", 404, NEW | {"serial_number": "D-9", "assigned_firmware_id": 1})
    for wrong in ({"serial_number": "a/b"}, {"serial_number": ""}, {"serial_number": 5}, {"type_id": 77},
                  {"type_id": None}, {"type_id": "x"}, {"type_id": [1]}, {"description": 5}):  # fmt: skip
        await ask(technician, "POST", "/devices", 400, {**NEW, "serial_number": "D-9", **wrong})
    for raw in (b"[]", b"{", b"[" * 10000, b"\xff", b"5"):
        for path in ("/devices", "/registration", "/authenticate"):
            assert (await technician.http.post(path, content=raw)).status_code in (400, 401)
    assert house.core.registry.known("D-9") is None


async def image(house: House, serial: str, type: int = 1, **more) -> Image:
    async with house.firmware.images.receiving() as upload:
        await upload.write(f"image {serial}".encode() * 100)
        facts = Facts(serial=serial, version="1", type=type, **more)
        return await house.firmware.images.add(upload, facts, await house.person("admin"))


def firmware_of(answer: dict) -> tuple:
    names = (
        "current_firmware_serial",
        "current_firmware_id",
        "assigned_firmware_serial",
        "assigned_firmware_id",
    )
    return tuple(answer[name] for name in names)


async def actions(house: House, serial: str) -> list[str]:
    rows = await house.core.audit.rows(subject=serial)
    return [row["action"] for row in reversed(rows) if row["action"].startswith("firmware.")]


async def test_the_documented_flow_with_firmware(house: House) -> None:
    """As the diagram has it: entered with a firmware, registered with a serial, current once checked."""
    old, new = await image(house, "FW-1"), await image(house, "FW-2")
    technician = await house.program("technician")
    made = await ask(technician, "POST", "/devices", 201, NEW | {"assigned_firmware_id": new.id})
    assert firmware_of(made) == (None, None, "FW-2", new.id)
    assert "assigned_firmware_error" not in made
    proof = {"device_serial": "D-1", "shared_key": made["shared_key"], "current_firmware_serial": "fw-1"}
    registered = await ask(house.anybody(), "POST", "/registration", 200, proof)
    assert firmware_of(registered) == ("FW-1", old.id, "FW-2", new.id)
    module = house.core.registry.get("D-1")
    assert (module.firmware, module.assigned_firmware) == ("FW-1", "FW-2")
    assert module.registered_at_ms is not None
    assert await actions(house, "D-1") == ["firmware.assign", "firmware.current"]
    # It waits for its update, whoever comes to fetch it.
    job = house.firmware.ledger.latest(module.number)
    assert (job.image_id, job.state, job.by) == (new.id, "assigned", "technician")
    # A stranger with the key says what he likes, beside the untouched module.
    await ask(house.anybody(), "POST", "/registration", 200, proof | {"current_firmware_serial": "FW-2"})
    assert house.core.registry.get("D-1") == module
    assert await actions(house, "D-1") == ["firmware.assign", "firmware.current"]


async def test_a_change_assigns_and_takes_back(house: House) -> None:
    first, second = await image(house, "FW-1"), await image(house, "FW-2")
    service = await house.service(ServiceRole.CONTROLLER)
    made = await ask(service, "POST", "/devices", 201, NEW)
    at = f"/devices/{made['uuid']}"
    changed = await ask(service, "PATCH", at, 200, {"assigned_firmware_id": first.id})
    assert firmware_of(changed) == (None, None, "FW-1", first.id)
    changed = await ask(service, "PATCH", at, 200, {"assigned_firmware_id": str(second.id), "name": "Other"})
    assert (firmware_of(changed)[2:], changed["name"]) == (("FW-2", second.id), "Other")
    # Nothing said of it: nothing changed of it.
    assert firmware_of(await ask(service, "PATCH", at, 200, {"name": "Gate"}))[3] == second.id
    changed = await ask(service, "PATCH", at, 200, {"assigned_firmware_id": None})
    assert firmware_of(changed) == (None, None, None, None)
    assert house.firmware.ledger.open_of(house.core.registry.get("D-1").number) is None
    # What it says it runs, in the same words, comes first.
    said = {"current_firmware_serial": "FW-1", "assigned_firmware_id": first.id}
    changed = await ask(service, "PATCH", at, 200, said)
    assert firmware_of(changed) == ("FW-1", first.id, "FW-1", first.id)
    assert house.firmware.ledger.open_of(house.core.registry.get("D-1").number) is None
    # What nobody knows is not believed.
    changed = await ask(service, "PATCH", at, 200, {"current_firmware_serial": "FW-9"})
    assert (firmware_of(changed)[:2], changed["reported_firmware"]) == (("FW-1", first.id), "FW-9")
    assert (await actions(house, "D-1"))[-1] == "firmware.unknown"


async def test_firmware_that_does_not_fit_makes_no_device(house: House) -> None:
    other = await image(house, "FW-7", type=7)
    technician = await house.program("technician")
    made = await ask(technician, "POST", "/devices", 201, NEW)
    before = house.core.registry.get("D-1")
    for id, status, words in (
        (other.id, 409, "is for modules of type 7"), (99, 404, "no firmware"),
        (10**30, 404, "no firmware"), ("x", 404, "no firmware"), (True, 404, "no firmware"),
        ([1], 404, "no firmware"), (1.5, 404, "no firmware"), ("9" * 5000, 404, "no firmware"),
    ):  # fmt: skip
        body = {"serial_number": "D-2", "type_id": 1, "assigned_firmware_id": id}
        assert words in (await ask(technician, "POST", "/devices", status, body))["detail"]
        body = {"assigned_firmware_id": id, "name": "Changed"}
        answer = await ask(technician, "PATCH", f"/devices/{made['uuid']}", status, body)
        assert words in answer["detail"]
    assert house.core.registry.known("D-2") is None
    assert house.core.registry.get("D-1") == before
    # Whoever may not is told neither what there is nor what fits.
    for caller, status in ((await house.program("user"), 403), (house.anybody(), 401)):
        for id in (other.id, 99):
            body = {"assigned_firmware_id": id}
            await ask(caller, "POST", "/devices", status, NEW | body)
            await ask(caller, "PATCH", f"/devices/{made['uuid']}", status, body)
            await ask(caller, "PATCH", "/devices/nobody", status, body)


async def test_what_a_device_will_say_of_its_hardware_is_waited_for(house: House) -> None:
    bound = await image(house, "FW-3", hardware=("esp32-s3",))
    technician = await house.program("technician")
    made = await ask(technician, "POST", "/devices", 201, NEW | {"assigned_firmware_id": bound.id})
    assert made["assigned_firmware_id"] == bound.id
    proof = {"device_serial": made["serial_number"], "shared_key": made["shared_key"]}
    await ask(house.anybody(), "POST", "/registration", 200, proof)
    body = {"assigned_firmware_id": bound.id}
    answer = await ask(technician, "PATCH", f"/devices/{made['uuid']}", 409, body)
    assert "has not said what hardware" in answer["detail"]


async def test_a_key_is_told_even_when_the_firmware_goes_in_that_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await image(house, "FW-1")
    create = house.core.devices.create

    async def slow(data, by):
        made = await create(data, by)
        await house.firmware.images.remove(new.id, await house.person("admin"))
        return made

    monkeypatch.setattr(type(house.core.devices), "create", staticmethod(slow))
    technician = await house.program("technician")
    made = await ask(technician, "POST", "/devices", 201, NEW | {"assigned_firmware_id": new.id})
    assert made["assigned_firmware_error"].startswith("There is no firmware")
    assert made["shared_key"]
    assert firmware_of(made) == (None, None, None, None)
