"""Idempotency keys: what was done is not done again, whatever happens in between."""

import asyncio
from pathlib import Path

import pytest

from firmware.house import open_firmware
from gateway.core.core import open_core
from gateway.settings import Settings
from gateway.storage.models_rest import AnswerRow
from tests.web.house import PASSWORD, House
from web import kept
from web.app import create_app

pytestmark = pytest.mark.anyio
PUMP = {"code": 120, "name": "Pump"}


async def post(caller, path, key, body=None, **headers):
    return await caller.http.post(f"/api/v1{path}", json=body, headers={"Idempotency-Key": key, **headers})


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("passerelle.db*"))


async def test_the_first_answer_comes_again_and_nothing_is_done_twice(house: House) -> None:
    await house.module("S-1", type=1)
    technician = await house.program("technician")
    first = await post(technician, "/modules/S-1/commands", "k1", {"command": "start"})
    again = await post(technician, "/modules/S-1/commands", "k1", {"command": "start"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json() and again.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers and again.headers["idempotent-replayed"] == "true"
    assert len(house.core.commands.of("S-1")) == 1
    other = await post(technician, "/modules/S-1/commands", "k2", {"command": "start"})
    assert other.json()["id"] != first.json()["id"]


async def test_a_refusal_is_kept_too_and_a_slip_is_not(house: House) -> None:
    admin = await house.program("admin")
    assert (await post(admin, "/types", "slip", {"code": 1})).status_code == 400
    assert (await post(admin, "/types", "slip", PUMP)).status_code == 201
    assert (await post(admin, "/types", "other", PUMP)).status_code == 409
    again = await post(admin, "/types", "other", PUMP)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (409, "true")
    assert again.headers["content-type"] == "application/problem+json"


async def test_a_key_belongs_to_one_caller_route_and_request(house: House) -> None:
    await house.module("S-1", type=1)
    await house.module("S-2", type=1)
    technician, admin = await house.program("technician"), await house.program("admin")
    start = {"command": "start"}
    first = await post(technician, "/modules/S-1/commands", "k", start)
    for path, body in (
        ("/modules/S-1/commands", {"command": "estop"}), ("/modules/S-2/commands", start),
        ("/modules/S-1/commands", {**start, "params": {}}),
    ):  # fmt: skip
        reply = await post(technician, path, "k", body)
        assert (reply.status_code, reply.json()["code"]) == (422, "key_reused")
    assert (await post(admin, "/modules/S-1/commands", "k", start)).json()["id"] != first.json()["id"]
    assert (await post(technician, "/modules/S-1/revoke", "k", {})).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "caf\u00e9", "a\tb"])
async def test_what_is_no_key_is_refused(house: House, key: str) -> None:
    admin = await house.program("admin")
    headers = {"Idempotency-Key": key.encode("latin-1")}
    assert (await admin.http.post("/api/v1/types", json=PUMP, headers=headers)).status_code == 400
    assert all(kind.code != 120 for kind in house.core.types.all())


async def test_one_that_comes_while_the_first_is_answered_is_told_to_wait(house: House) -> None:
    admin = await house.program("admin")
    lea = {"username": "lea", "password": PASSWORD}
    replies = await asyncio.gather(*(post(admin, "/users", "k", lea) for _ in range(5)))
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409, 409]
    waiting = next(reply for reply in replies if reply.status_code == 409)
    assert (waiting.json()["code"], waiting.headers["retry-after"]) == ("in_progress", "1")


async def test_secrets_in_answers_are_kept_so_that_only_the_gateway_can_read_them(
    house: House, tmp_path: Path
) -> None:
    admin = await house.program("admin")
    wanted = {"name": "ha", "role": "reader"}
    token = (await post(admin, "/service-accounts", "k", wanted)).json()["token"]
    assert (await post(admin, "/service-accounts", "k", wanted)).json()["token"] == token
    await post(admin, "/users", "k", {"username": "lea", "password": PASSWORD})
    written = on_disk(tmp_path)
    assert token.encode() not in written and PASSWORD.encode() not in written


async def test_a_restart_forgets_no_answer_and_a_death_in_between_is_told(
    anyio_backend: str, tmp_path: Path
) -> None:
    async def life() -> None:
        async with open_core(Settings(data=tmp_path)) as core, open_firmware(core) as firmware:
            house = House(core, create_app(core, firmware), firmware)
            found = core.accounts.people.named("admin")
            house.people |= {"admin": found.person} if found else {}
            admin = await house.program("admin")
            done.append(await post(admin, "/types", "k", PUMP))
            if len(done) == 1:
                # As kill -9 leaves it: begun, and no answer.
                await core.store.run(lambda: AnswerRow.update(status=0, answer=b"").execute())

    done: list = []
    await life()
    await life()
    assert done[0].status_code == 201
    assert (done[1].status_code, done[1].json()["code"]) == (409, "outcome_unknown")
    assert "retry-after" not in done[1].headers


async def test_keys_are_kept_for_a_day_and_not_without_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.module("S-1", type=1)
    program = await house.program("technician")
    first = await post(program, "/modules/S-1/commands", "k", {"command": "start"})
    day = kept.KEPT_MS + 1
    await house.core.store.run(
        lambda: AnswerRow.update(created_at_ms=AnswerRow.created_at_ms - day).execute()
    )
    later = await post(program, "/modules/S-1/commands", "k", {"command": "start"})
    assert later.json()["id"] != first.json()["id"]
    monkeypatch.setattr("web.kept.MAX_OF_CALLER", 5)
    monkeypatch.setattr("web.kept.THIN_EVERY", 2)
    for n in range(20):
        await post(program, "/modules/S-1/commands", f"n{n}", {"command": "start"})
    assert await house.core.store.read(lambda: AnswerRow.select().count()) <= 8
    again = await post(program, "/modules/S-1/commands", "n19", {"command": "start"})
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_may_not_be_done_is_not_told_again_either(house: House) -> None:
    """A role that was taken away takes the kept answers with it."""
    admin, other = await house.program("admin"), await house.person("admin_two")
    lea = {"username": "lea", "password": PASSWORD}
    assert (await post(admin, "/users", "k", lea)).status_code == 201
    await house.core.accounts.people.edit(house.people["admin"].id, other, active=False)
    assert (await post(admin, "/users", "k", lea)).status_code == 401
    assert (await post(house.anybody(), "/users", "k", lea)).status_code == 401


async def test_a_token_of_ones_own_hears_no_answer_to_a_login(house: House) -> None:
    admin = await house.program("admin")
    person = await house.person("admin")
    _, secret = await house.core.accounts.tokens.add(person, "thief", "act")
    new = {"name": "another", "scope": "act"}
    made = await post(admin, "/tokens", "same", new)
    assert made.status_code == 201
    stolen = await post(house.anybody(authorization=f"Bearer {secret}"), "/tokens", "same", new)
    assert stolen.status_code == 403 and made.json()["token"] not in stolen.text
