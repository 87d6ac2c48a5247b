"""REST: bodies are JSON, refusals are problems, and nobody calls too often."""

import httpx
import pytest

from gateway.core.rights import ServiceRole
from tests.web.house import House
from web.api.models import Problem

pytestmark = pytest.mark.anyio


def is_problem(reply: httpx.Response, status: int, code: str) -> Problem:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(reply.content)
    assert (found.status, found.code) == (status, code)
    return found


async def test_bodies_are_json_and_say_so(house: House) -> None:
    admin = await house.program("admin")
    pump = b'{"code": 120, "name": "Pump"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x", ""):
        reply = await admin.http.post("/api/v1/types", content=pump, headers={"content-type": kind})
        is_problem(reply, 415, "unsupported_media_type")
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        reply = await admin.http.post("/api/v1/types", content=pump, headers={"content-type": kind})
        assert reply.status_code in (201, 409)
    await house.waiting("A-1")
    reply = await admin.http.post("/api/v1/modules/A-1/approve", headers={"content-type": "text/plain"})
    assert reply.status_code == 200


@pytest.mark.parametrize("path", [
    "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/modules/A/B/C", "/api/v1/users/99999999999999999999",
    "/api/v2/x", "/fw/x/y",
])  # fmt: skip
async def test_what_is_not_there_is_a_problem(house: House, path: str) -> None:
    reply = await (await house.program("admin")).http.get(path, headers={"accept": "application/json"})
    is_problem(reply, 404, "not_found")


async def test_a_method_that_is_not_taken_names_those_that_are(house: House) -> None:
    admin = await house.program("admin")
    reply = await admin.http.delete("/api/v1/types")
    is_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD, POST"
    is_problem(await admin.http.get("/devices"), 405, "method_not_allowed")
    assert (await admin.http.get("/devices")).headers["allow"] == "POST"


async def test_bodies_that_are_no_json_object_or_too_large(house: House) -> None:
    admin = await house.program("admin")
    json = {"content-type": "application/json"}
    wrong = (b"{", b"[]", b"5", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"code": NaN}', b'{"a":1e999}')
    for body in wrong:
        is_problem(await admin.http.post("/api/v1/types", content=body, headers=json), 400, "invalid")
    large = b'{"name": "' + b"x" * 2_000_000 + b'"}'
    is_problem(await admin.http.post("/api/v1/types", content=large, headers=json), 413, "too_large")


async def test_a_fault_of_ours_tells_nothing_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await house.program("admin")
    monkeypatch.setattr("gateway.core.core.Core.describe", lambda *_: 1 / 0)
    await house.module("A-1")
    found = is_problem(await admin.http.get("/api/v1/modules/A-1"), 500, "fault")
    assert "division" not in found.model_dump_json()


async def test_nobody_calls_too_often_and_one_at_the_limit_holds_up_no_other(house: House) -> None:
    admin = await house.person("admin")
    await house.core.choices.set({"rest.calls_a_minute": 60}, admin)
    user, reader = await house.program("user"), await house.service(ServiceRole.READER)
    told = await user.call("GET", "/limits", 200)
    assert (told["calls"]["a_minute"], told["calls"]["at_once"], told["calls"]["left"]) == (60, 20, 19)
    for _ in range(60):
        reply = await user.http.get("/api/v1/types")
        if reply.status_code != 200:
            break
    is_problem(reply, 429, "too_many")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    await reader.call("GET", "/types", 200)
    await (await house.program("user_two")).call("GET", "/types", 200)
    strangers = [await house.anybody().http.get("/api/v1/types") for _ in range(130)]
    assert {reply.status_code for reply in strangers} == {401, 429}
    assert (await house.anybody("192.0.2.9").http.get("/api/v1/types")).status_code == 401
    await house.core.choices.set({"rest.calls_a_minute": 600}, admin)
    await user.call("GET", "/types", 200)


async def test_a_module_that_lost_its_token_is_let_in_again_or_not(house: House) -> None:
    await house.module("A-1", owner="user")
    program = await house.program("technician")
    for act, status in (("reject", 204), ("approve", 200)):
        await house.waiting("A-1")
        (claim,) = (await program.call("GET", "/claims", 200))["items"]
        assert (claim["module_id"], claim["address"]) == ("A-1", "198.51.100.7")
        await program.call("POST", f"/claims/{claim['number']}/{act}", status)
        await program.call("POST", f"/claims/{claim['number']}/{act}", 409)
    assert (await program.call("GET", "/claims", 200))["items"] == []
    await house.waiting("B-1")
    await program.call("POST", "/modules/B-1/unreject", 409)
    await program.call("POST", "/modules/B-1/reject", 200)
    await program.call("POST", "/modules/B-1/unreject", 204)
    await program.call("GET", "/modules/B-1", 404)
