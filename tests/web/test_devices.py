"""The devices' HTTP door: `POST /modules/register` and its alias `POST /modules`."""

import pytest

from tests.web.house import House

pytestmark = pytest.mark.anyio
PATHS = ["/modules/register", "/modules"]


def error(reply) -> tuple[int, str, str]:
    (only,) = reply.json()["errors"]
    return reply.status_code, only["error"], only["error_description"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [{"json": {"type": 0}}, {"json": {"type": "0"}}, {"data": {"type": "0"}}])
async def test_a_device_registers_and_waits(house: House, path: str, body: dict) -> None:
    reply = await house.anybody().http.post(path, **body)
    assert reply.status_code == 200
    answer = reply.json()
    assert set(answer) == {"token", "id"}
    assert house.core.registry.get(answer["id"]).life == "pending"
    assert house.core.registry.authenticate(answer["id"], answer["token"]).approved is False


async def test_what_it_says_of_itself_is_kept(house: House) -> None:
    said = {
        "type": 8,
        "serial": "W-1",
        "hardware": "esp32",
        "information": {"name": "Mast", "location": "Roof"},
    }
    await house.anybody("198.51.100.20").http.post("/modules/register", json=said)
    module = house.core.registry.get("W-1")
    assert (module.name, module.location, module.hardware) == ("Mast", "Roof", "esp32")
    assert module.address == "198.51.100.20"


async def test_a_form_may_hold_objects_as_text(house: House) -> None:
    form = {"type": "8", "serial": "W-2", "information": '{"name":"Mast"}'}
    await house.anybody().http.post("/modules/register", data=form)
    assert house.core.registry.get("W-2").name == "Mast"


@pytest.mark.parametrize(
    ("content", "description"),
    [
        (b"", "Module type is required"),
        (b"{}", "Module type is required"),
        (b'{"type":null}', "Module type is required"),
        (b'{"type":"LED"}', "Module type must be an integer"),
        (b'{"type":1.5}', "Module type must be an integer"),
        (b'{"type":true}', "Module type must be an integer"),
        (b'{"type":[0]}', "Module type must be an integer"),
        (b'{"type":-1}', "Module type must be an integer"),
        (b'{"type":9999}', "There is no module type 9999"),
        (b'{"type":0,"serial":5}', "Serial must be a string"),
        (b'{"type":0,"information":"x"}', "Information must be an object"),
        (b'{"type":NaN}', "The body is not valid JSON"),
        (b"{", "The body is not valid JSON"),
        (b"\xff\xfe", "The body is not valid JSON"),
        (b"[" * 15000, "The body is not valid JSON"),
        (b"[0]", "The body must be a JSON object"),
    ],
)
async def test_a_bad_registration_says_what_is_wrong(house: House, content: bytes, description: str) -> None:
    headers = {"content-type": "application/json"}
    reply = await house.anybody().http.post("/modules/register", content=content, headers=headers)
    assert error(reply) == (400, "validation_failed", description)
    assert list(house.core.registry.all()) == []


async def test_a_closed_gateway_takes_nobody(house: House) -> None:
    await house.core.joining.set("closed", await house.person("admin"))
    reply = await house.anybody().http.post("/modules/register", json={"type": 0})
    assert error(reply)[:2] == (403, "access_denied")
    assert list(house.core.registry.all()) == []


async def test_too_many_from_one_address_must_wait(house: House) -> None:
    house.stop_the_clock()
    caller = house.anybody("203.0.113.5")
    replies = [await caller.http.post("/modules/register", json={"type": 0}) for _ in range(70)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert refused
    assert error(refused[0])[1] == "too_many_requests"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert (await house.anybody("203.0.113.6").http.post("/modules", json={"type": 0})).status_code == 200


async def test_a_page_of_another_site_cannot_register_modules(house: House) -> None:
    caller = house.anybody(origin="https://evil.test")
    assert error(await caller.http.post("/modules", data={"type": "0"}))[:2] == (403, "access_denied")


async def test_an_existing_serial_is_not_given_away(house: House) -> None:
    await house.module("KNOWN-1")
    caller = house.anybody("203.0.113.5")
    known = await caller.http.post("/modules/register", json={"type": 7, "serial": "KNOWN-1"})
    unknown = await caller.http.post("/modules/register", json={"type": 7, "serial": "OTHER-1"})
    assert known.status_code == unknown.status_code == 200
    assert set(known.json()) == set(unknown.json())
    assert house.core.registry.get("KNOWN-1").life == "approved"


async def test_get_modules_is_the_page(house: House) -> None:
    assert "Modules" in (await (await house.browser("user")).page("/modules")).text
