"""Bootstrap keys over REST, in the admin page, and at the devices' doors."""

import pytest

from tests.web.house import House

pytestmark = pytest.mark.anyio
AT = "/types/1/bootstrap-key"


async def send(house: House, path: str, body: dict, status: int) -> dict:
    reply = await house.anybody().http.post(path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_an_admin_allows_a_new_device_comes_in_and_he_forbids(house: House) -> None:
    admin = await house.program("admin")
    assert await admin.call("GET", AT, 200) == {"allowed": False, "since": None}
    await admin.call("DELETE", AT, 404)
    made = await admin.call("PUT", AT, 200)
    shown = await admin.call("GET", AT, 200)
    assert shown == {"allowed": True, "since": made["since"]}
    key = made["key"]

    # The type is said here...
    body = {"type": 1, "serial": "NEW-1", "shared_key": key}
    answer = await send(house, "/modules/register", body, 200)
    assert house.core.registry.by_token(answer["token"]).approved
    # ...and not here.
    proof = {"device_serial": "NEW-2", "shared_key": key, "current_firmware_serial": "fw-1"}
    answer = await send(house, "/registration", proof, 200)
    assert (answer["id"], answer["type_id"], answer["status"]) == ("NEW-2", 1, "approved")
    assert house.core.registry.by_token(answer["token"]).approved

    second = (await admin.call("PUT", AT, 200))["key"]
    assert second != key
    await send(house, "/registration", {"device_serial": "NEW-3", "shared_key": key}, 401)
    await admin.call("DELETE", AT, 204)
    await send(house, "/registration", {"device_serial": "NEW-3", "shared_key": second}, 401)
    assert {module.id for module in house.core.registry.all()} == {"NEW-1", "NEW-2"}
    for type in ("4711", "999999999999"):
        for method in ("GET", "PUT", "DELETE"):
            await admin.call(method, f"/types/{type}/bootstrap-key", 404)


async def test_nothing_shows_which_serials_there_are(house: House) -> None:
    admin = await house.program("admin")
    key = (await admin.call("PUT", AT, 200))["key"]
    await house.module("IN-1", type=1)
    await house.waiting("WAITS-1", type=1)
    answers, documented = set(), set()
    for serial, given in (("IN-1", key), ("IN-1", "x"), ("WAITS-1", key), ("NEW-1", "x"), ("a/b", key),
                          ("", key), ("NEW-1", key[:-1]), ("NEW-1", key + "x")):  # fmt: skip
        body = {"type": 1, "serial": serial, "shared_key": given}
        reply = await house.anybody().http.post("/modules/register", json=body)
        answers.add((reply.status_code, reply.text))
        reply = await house.anybody().http.post(
            "/registration", json={"device_serial": serial, "shared_key": given}
        )
        documented.add((reply.status_code, reply.json()["detail"]))
    assert len(answers) == 1
    assert documented == {(401, "Serial or shared key is wrong.")}
    assert len(list(house.core.registry.all())) == 2
    # A door that is closed is closed to the key too.
    await house.core.joining.set("closed", await house.person("admin"))
    await send(house, "/registration", {"device_serial": "NEW-1", "shared_key": key}, 403)
    await send(house, "/registration", {"device_serial": "NEW-1", "shared_key": "x"}, 401)


async def test_only_digests_are_kept_and_every_change_is_in_the_trail(house: House) -> None:
    admin = await house.program("admin")
    key = (await admin.call("PUT", AT, 200))["key"]
    await admin.call("DELETE", AT, 204)
    rows = await house.core.audit.rows(subject="1")
    assert [(row["action"], row["who"]) for row in rows] == [
        ("bootstrap.forbid", "admin"), ("bootstrap.allow", "admin"),
    ]  # fmt: skip
    for path in house.core.settings.data.iterdir():
        if path.is_file():
            assert key.encode() not in path.read_bytes()


async def test_the_admin_page_shows_a_key_once(house: House) -> None:
    browser = await house.browser("admin")
    page = await browser.done("/admin/programs", "/admin/bootstrap", type="1")
    kind = house.core.types.get(1)
    assert f"The bootstrap key of {kind.name}:" in page.text
    (key,) = [word for word in page.text.split() if house.core.bootstrap.opens(1, word)]
    again = await browser.page("/admin/programs")
    assert key not in again.text
    page = await browser.done("/admin/programs", "/admin/bootstrap/1/delete")
    assert "lets nobody in any more" in page.text
    assert house.core.bootstrap.allowed() == {}
    data = {"csrf": browser.session.csrf, "type": "x"}
    reply = await browser.http.post("/admin/bootstrap", data=data)
    assert "Choose a type from the list." in reply.text
