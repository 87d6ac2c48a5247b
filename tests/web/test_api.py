"""REST: what each call does, answers that fit the document, paging, telemetry, problems."""

import csv
import io
import re

import httpx
import pytest
from pydantic import TypeAdapter

from gateway.core import clock
from gateway.core.rights import ServiceRole
from tests.web.house import PASSWORD, House
from web.api import OPERATIONS
from web.api.models import Problem

pytestmark = pytest.mark.anyio
REPLIES = {(row.method, row.path): row for row in OPERATIONS}


def fits(method: str, path: str, answer: object) -> None:
    """The answer has exactly the fields that the document promises."""
    model = REPLIES[method, path].reply
    assert TypeAdapter(model).validate_python(answer).model_dump(mode="json") == answer


async def test_log_in_refresh_log_out(house: House) -> None:
    await house.person("user")
    caller = house.anybody()
    pair = await caller.call("POST", "/auth/login", 200, json={"username": "user", "password": PASSWORD})
    fits("POST", "/auth/login", pair)
    following = await caller.call("POST", "/auth/refresh", 200, json={"refresh_token": pair["refresh_token"]})
    caller.http.headers["authorization"] = f"Bearer {following['access_token']}"
    await caller.call("GET", "/modules", 200)
    await caller.call("POST", "/auth/logout", 204)
    await caller.call("GET", "/modules", 401)
    await house.anybody().call(
        "POST", "/auth/refresh", 401, json={"refresh_token": following["refresh_token"]}
    )


async def test_a_stolen_refresh_token_ends_the_chain(house: House) -> None:
    await house.person("user")
    caller = house.anybody()
    pair = await caller.call("POST", "/auth/login", 200, json={"username": "user", "password": PASSWORD})
    old = {"refresh_token": pair["refresh_token"]}
    new = await caller.call("POST", "/auth/refresh", 200, json=old)
    await caller.call("POST", "/auth/refresh", 401, json=old)
    await caller.call("POST", "/auth/refresh", 401, json={"refresh_token": new["refresh_token"]})


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Bearer a.b.c", "Basic !!", "Basic eDp5", "Digest x", "x", ""]
)
async def test_a_wrong_credential_is_refused_and_never_ignored(house: House, header: str) -> None:
    browser = await house.browser("admin")
    reply = await browser.http.get("/api/v1/modules", headers={"authorization": header})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"]
    Problem.model_validate_json(reply.content)


async def test_modules_page_by_page_without_gap_or_repeat(house: House) -> None:
    entries = [{"serial": f"P-{n:03d}", "type": 8} for n in range(25)]
    await house.core.decisions.declare(entries, "test", with_token=True)
    program = await house.program("technician")
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"limit": 10, "q": "P-"} | ({"cursor": cursor} if cursor else {})
        answer = await program.call("GET", "/modules", 200, params=query)
        fits("GET", "/modules", answer)
        found += [module["id"] for module in answer["items"]]
        cursor, pages = answer["next"], pages + 1
    assert pages == 3
    assert sorted(found) == [entry["serial"] for entry in entries]
    await program.call("GET", "/modules?cursor=%00nonsense", 400)
    for bad in ("limit=0", "limit=5000", "limit=x", "unknown=1", "type=-1"):
        await program.call("GET", f"/modules?{bad}", 400)


async def test_the_life_of_a_module(house: House) -> None:
    await house.waiting("A-1", type=0)
    await house.waiting("B-1", type=0)
    program = await house.program("technician")
    module = await program.call("GET", "/modules/A-1", 200)
    fits("GET", "/modules/{id}", module)
    assert module["status"] == "pending"
    assert (await program.call("POST", "/modules/A-1/approve", 200))["status"] == "offline"
    assert "was approved by technician" in (await program.call("POST", "/modules/A-1/approve", 409))["detail"]
    rejected = await program.call("POST", "/modules/B-1/reject", 200, json={"reason": "Not ours"})
    assert (rejected["status"], rejected["reason"]) == ("rejected", "Not ours")
    for key in (module["uuid"], str(module["number"]), "a-1"):
        assert (await program.call("GET", f"/modules/{key}", 200))["id"] == "A-1"
    changed = await program.call("PATCH", "/modules/A-1", 200, json={"name": "Garland", "location": "Attic"})
    assert (changed["name"], changed["location"]) == ("Garland", "Attic")
    owner = await house.person("user")
    assert (await program.call("PATCH", "/modules/A-1", 200, json={"owner_id": owner.id}))[
        "owner_id"
    ] == owner.id
    assert (await program.call("PATCH", "/modules/A-1", 200, json={"owner_id": None}))["owner_id"] is None
    for bad in ({}, {"name": None}, {"name": 5}, {"status": "online"}, {"name": "x" * 201}):
        await program.call("PATCH", "/modules/A-1", 400, json=bad)
    await program.call("PATCH", "/modules/A-1", 404, json={"owner_id": 999})
    token = (await program.call("POST", "/modules/A-1/rotate-token", 200))["token"]
    assert house.core.registry.authenticate("A-1", token)
    await program.call("POST", "/modules/A-1/revoke", 200)
    assert house.core.registry.authenticate("A-1", token) is None
    await program.call("DELETE", "/modules/A-1", 204)
    await program.call("GET", "/modules/A-1", 404)


async def test_commands(house: House) -> None:
    await house.module("L-1", type=0, owner="user")
    program = await house.program("user")
    colour = {"command": "color", "params": {"red": 1, "green": 2, "blue": 3}}
    sent = await program.call("POST", "/modules/L-1/commands", 202, json=colour)
    fits("POST", "/modules/{id}/commands", sent)
    one = await program.call("GET", f"/modules/L-1/commands/{sent['id']}", 200)
    fits("GET", "/modules/{id}/commands/{command}", one)
    assert (one["status"], one["by"], one["params"]) == ("queued", "user", colour["params"])
    many = await program.call("GET", "/modules/L-1/commands", 200)
    assert many["items"] == [one]
    ended = await program.call("POST", f"/modules/L-1/commands/{sent['id']}/cancel", 200)
    assert ended["status"] == "canceled"
    await program.call("POST", f"/modules/L-1/commands/{sent['id']}/cancel", 409)
    for bad in ({"command": "explode"}, {"command": "color", "params": {"red": 900, "green": 0, "blue": 0}},
                {"command": "color", "params": [1]}, {**colour, "expires_in": -1},
                {**colour, "retain": True}):  # fmt: skip
        await program.call("POST", "/modules/L-1/commands", 400, json=bad)
    await program.call("GET", "/modules/L-1/commands/none", 404)


async def test_commands_page_by_page_the_newest_first(house: House) -> None:
    await house.module("S-1", type=1)
    program = await house.program("technician")
    sent = [
        (await program.call("POST", "/modules/S-1/commands", 202, json={"command": "start"}))["id"]
        for _ in range(7)
    ]
    found, cursor = [], ""
    while True:
        answer = await program.call("GET", f"/modules/S-1/commands?limit=3{cursor}", 200)
        found += [command["id"] for command in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert sorted(found) == sorted(sent)
    assert len(found) == len(set(found))


async def test_desired_values_are_never_overwritten_unseen(house: House) -> None:
    await house.module("A-1", owner="user")
    owner, technician = await house.program("user"), await house.program("technician")
    wanted = {"version": 0, "values": {"brightness": 80}}
    answer = await owner.call("PUT", "/modules/A-1/desired", 200, json=wanted)
    fits("PUT", "/modules/{id}/desired", answer)
    assert (answer["version"], answer["values"]) == (1, {"brightness": 80})
    await technician.call("PUT", "/modules/A-1/desired", 409, json={**wanted, "values": {"brightness": 1}})
    assert (await technician.call("GET", "/modules/A-1/desired", 200)) == answer
    for bad in ({}, {"version": -1, "values": {}}, {"version": 1}, {"version": 1, "values": []}):
        await owner.call("PUT", "/modules/A-1/desired", 400, json=bad)


async def test_service_accounts_read_and_controllers_act(house: House) -> None:
    await house.module("S-1", type=1)
    reader = await house.service(ServiceRole.READER)
    controller = await house.service(ServiceRole.CONTROLLER)
    for caller in (reader, controller):
        assert [m["id"] for m in (await caller.call("GET", "/modules", 200))["items"]] == ["S-1"]
        await caller.call("PUT", "/join", 403, json={"mode": "closed"})
        await caller.call("DELETE", "/modules/S-1", 403)
    await reader.call("POST", "/modules/S-1/commands", 403, json={"command": "start"})
    await controller.call("POST", "/modules/S-1/commands", 202, json={"command": "start"})
    assert house.core.commands.of("S-1")[0].by == "controller-1"
    _, token = await house.core.services.add("alone", ServiceRole.READER, await house.person("admin"))
    alone = house.anybody(authorization=f"Bearer {token}")
    await alone.call("GET", "/modules/S-1", 200)
    await alone.call("POST", "/modules/S-1/commands", 403, json={"command": "start"})
    await alone.call("POST", "/auth/logout", 403)
    await house.core.services.remove("alone", await house.person("admin"))
    await alone.call("GET", "/modules/S-1", 401)


async def test_telemetry_as_json_and_csv(house: House) -> None:
    module = await house.module("G-1")
    now_ms = clock.now_ms()
    for n in range(10):
        house.core.telemetry.report(module, {"t": n, "note": "=1+1"}, now_ms - (10 - n) * 1000)
    program = await house.program("technician")
    answer = await program.call("GET", "/modules/G-1/telemetry?key=t", 200)
    fits("GET", "/modules/{id}/telemetry", answer)
    assert [point["value"] for point in answer["items"]] == list(range(10))
    last = await program.call("GET", "/modules/G-1/telemetry?key=t&limit=3", 200)
    assert [point["value"] for point in last["items"]] == [7, 8, 9]
    whole = await program.call("GET", "/modules/G-1/telemetry?key=t&step=3600000&aggregate=max", 200)
    assert max(point["value"] for point in whole["items"]) == 9
    assert (await program.call("GET", "/modules/G-1/telemetry?key=other", 200))["items"] == []
    for bad in (
        "",
        "?key=",
        "?key=t&step=0",
        "?key=t&aggregate=median",
        "?key=t&from=x",
        "?key=t&limit=99999",
    ):
        await program.call("GET", f"/modules/G-1/telemetry{bad}", 400)
    reply = await program.http.get("/api/v1/modules/G-1/telemetry.csv?key=note")
    assert reply.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(reply.text)))
    assert rows[0] == ["time", "value"]
    assert len(rows) == 11
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row[0]) for row in rows[1:])
    assert {row[1] for row in rows[1:]} == {"'=1+1"}
    assert "\r\n" in reply.text


async def test_the_export_goes_on_past_one_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.core.readings.history.EXPORT_PAGE", 7)
    module = await house.module("G-1")
    now_ms = clock.now_ms()
    for n in range(30):
        house.core.telemetry.report(module, {"t": -n}, now_ms - (30 - n) * 1000)
    program = await house.program("technician")
    reply = await program.http.get("/api/v1/modules/G-1/telemetry.csv?key=t")
    assert [row[1] for row in csv.reader(io.StringIO(reply.text))][1:] == [str(-n) for n in range(30)]


async def test_join(house: House) -> None:
    program = await house.program("technician")
    fits("GET", "/join", await program.call("GET", "/join", 200))
    window = {"mode": "window", "seconds": 60, "type": 8, "quota": 2}
    opened = await program.call("PUT", "/join", 200, json=window)
    fits("PUT", "/join", opened)
    assert (opened["mode"], opened["type"], opened["quota_left"]) == ("window", 8, 2)
    for bad in ({}, {"mode": "x"}, {"mode": "window", "seconds": 5}, {"mode": "window", "quota": 0}):
        await program.call("PUT", "/join", 400, json=bad)
    await program.call("PUT", "/join", 404, json={"mode": "window", "type": 77})


async def test_types(house: House) -> None:
    admin = await house.program("admin")
    fits("GET", "/types", await admin.call("GET", "/types", 200))
    pump = {"code": 120, "name": "Pump", "keys": {"flow": {"kind": "number", "unit": "l"}},
            "commands": {"run": {"params": {"seconds": {"kind": "integer", "min": 1}}}}}  # fmt: skip
    fits("POST", "/types", await admin.call("POST", "/types", 201, json=pump))
    await admin.call("POST", "/types", 409, json=pump)
    for bad in ({**pump, "code": 5}, {**pump, "code": 121, "keys": {"a b": {}}}, {"code": 122},
                {**pump, "code": 123, "keys": {"a": {"kind": "colour"}}}, 
                {**pump, "code": 124, "extra": 1}):  # fmt: skip
        await admin.call("POST", "/types", 400, json=bad)
    assert (await admin.call("GET", "/types", 200))["items"][-1]["name"] == "Pump"


async def test_people_and_programs(house: House) -> None:
    admin = await house.program("admin")
    lea = {"username": "lea", "password": PASSWORD, "role": "technician", "name": "Léa"}
    made = await admin.call("POST", "/users", 201, json=lea)
    fits("POST", "/users", made)
    assert "password" not in str(made)
    await admin.call("POST", "/users", 409, json=lea)
    changed = await admin.call("PATCH", f"/users/{made['id']}", 200, json={"role": "user", "active": False})
    assert (changed["role"], changed["active"]) == ("user", False)
    for bad in ({}, {"role": "god"}, {"password": "x"}):
        await admin.call("PATCH", f"/users/{made['id']}", 400, json=bad)
    await admin.call("PATCH", "/users/999", 404, json={"active": True})
    own = (await house.person("admin")).id
    await admin.call("PATCH", f"/users/{own}", 409, json={"role": "user"})
    fits("GET", "/users", await admin.call("GET", "/users", 200))
    service = await admin.call("POST", "/service-accounts", 201, json={"name": "ha", "role": "reader"})
    fits("POST", "/service-accounts", service)
    listed = await admin.call("GET", "/service-accounts", 200)
    fits("GET", "/service-accounts", listed)
    assert service["token"] not in str(listed)
    await admin.call("DELETE", "/service-accounts/ha", 204)
    await admin.call("DELETE", "/service-accounts/ha", 404)


async def test_stats_settings_and_the_audit_trail(house: House) -> None:
    await house.module("A-1", owner="user")
    await house.waiting("A-2")
    admin, user = await house.program("admin"), await house.program("user")
    stats = await admin.call("GET", "/stats", 200)
    fits("GET", "/stats", stats)
    assert (stats["modules"]["offline"], stats["waiting"]) == (1, 1)
    assert (await user.call("GET", "/stats", 200))["waiting"] == 0
    settings = await admin.call("GET", "/settings", 200)
    fits("GET", "/settings", settings)
    assert house.core.settings.signing_key() not in str(settings)
    assert not {"secret_key", "broker_url", "database_url", "redis_url"} & set(settings["settings"])
    first = await admin.call("GET", "/audit?limit=3", 200)
    fits("GET", "/audit", first)
    second = await admin.call("GET", f"/audit?limit=3&cursor={first['next']}", 200)
    numbers = [row["number"] for row in first["items"] + second["items"]]
    assert numbers == sorted(set(numbers), reverse=True)
    of_one = await admin.call("GET", "/audit?subject=A-1", 200)
    assert {row["action"] for row in of_one["items"]} >= {"module.register", "module.approve", "module.edit"}


async def test_the_document_describes_every_call_and_all_it_refers_to(house: House) -> None:
    document = (await house.anybody().http.get("/api/v1/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    described = {(m.upper(), path) for path, row in document["paths"].items() for m in row}
    served = {(row.method, "/api/v1" + row.path.replace(":int}", "}")) for row in OPERATIONS}
    assert described == served
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', str(document).replace("'", '"')):
        assert reference in document["components"]["schemas"]
    names = [row["operationId"] for path in document["paths"].values() for row in path.values()]
    assert len(names) == len(set(names))


async def test_every_refusal_is_a_problem_the_document_names(house: House) -> None:
    document = (await house.anybody().http.get("/api/v1/openapi.json")).json()
    for row in OPERATIONS:
        path = row.path.replace("{id}", "NOBODY").replace("{user:int}", "999").replace("{command}", "x")
        path = path.replace("{name}", "nobody")
        known = document["paths"]["/api/v1" + row.path.replace(":int}", "}")][row.method.lower()]["responses"]
        for caller in (house.anybody(), await house.program("user"), await house.program("admin")):
            reply: httpx.Response = await caller.http.request(row.method, "/api/v1" + path)
            assert str(reply.status_code) in known, (row.method, path, reply.status_code)
            if reply.status_code >= 400:
                assert reply.headers["content-type"] == "application/problem+json"
                assert Problem.model_validate_json(reply.content).status == reply.status_code
