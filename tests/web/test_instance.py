"""`/node/to/instance` and `/client/to/instance`, and what admins decide about programs."""

import pytest

from gateway.core.mailbox import Party
from tests.web.house import House

pytestmark = pytest.mark.anyio
CLIENT, NODE = "/client/to/instance", "/node/to/instance"


async def ask(house: House, path: str, action: str, status: int = 200, method: str = "PUT", **parameters):
    body = {"action": action, "parameters": parameters}
    reply = await house.anybody().http.request(method, path, json=body)
    assert reply.status_code == status, reply.text
    assert reply.headers["cache-control"] == "no-store"
    return reply.json()


async def test_a_program_registers_updates_and_reads_its_queue(house: House) -> None:
    told = await ask(house, CLIENT, "register", information={"name": "panel"})
    assert set(told) == {"token", "id"}
    token, id = told["token"], told["id"]
    assert await ask(house, CLIENT, "update", method="POST", token=token, information={"name": "new"}) == {}
    assert house.core.clients.get(id).name == "new"
    module = await house.module("MC-1")
    await house.core.mailbox.put(Party("client", id), Party("module", module.number), {"a": 1})
    (row,) = (await ask(house, CLIENT, "login", token=token))["queue"]
    assert (row["sender"], row["parameters"]) == ("MC-1", {"a": 1})
    rest = await ask(house, CLIENT, "processQueue", token=token, queue_id=row["queue_id"])
    assert rest == {"queue": []}
    sent = await ask(house, CLIENT, "queue", token=token, recipient="MC-1", parameters={"b": 2})
    assert sent["recipient"] == "MC-1"
    house.core.presence.heard(module)
    nodes = (await ask(house, CLIENT, "updateNodeList", token=token))["onlineNodes"]
    assert [node["node_id"] for node in nodes] == ["MC-1"]


async def test_a_node_registers_and_waits(house: House) -> None:
    told = await ask(house, NODE, "register", information={"name": "lamp", "serial": "N-1"}, hash="h")
    assert (told["id"], told["status"]) == ("N-1", "pending")
    assert house.core.registry.get("N-1").life == "pending"
    refused = await ask(house, NODE, "login", 403, token=told["token"])
    assert refused["action"] == "login" and "approval" in refused["msg"]
    await house.core.decisions.approve(["N-1"], await house.person("admin"))
    logged = await ask(house, NODE, "login", token=told["token"])
    assert logged == {"information": {"name": "lamp", "serial": "N-1"}, "hash": "h", "queue": []}
    assert house.core.presence.of("N-1").state == "online"


@pytest.mark.parametrize("path", [CLIENT, NODE])
async def test_what_is_refused_says_why_with_a_status(house: House, path: str) -> None:
    http = house.anybody().http
    for content, status in (
        (b"", 400), (b"{", 400), (b"[]", 400), (b'{"action":5}', 400), (b'{"action":"fly"}', 400),
        (b'{"action":"register","parameters":{}}', 400), (b"[" * 9999, 400), (b"\xff", 400),
        (b'{"action":"update","parameters":{"information":{}}}', 401),
        (b'{"action":"update","parameters":{"token":"","information":{}}}', 401),
        (b'{"action":"login","parameters":{"token":"x"}}', 401),
        (b'{"action":"login","parameters":{"token":"x"},"token":"y"}', 400),
    ):  # fmt: skip
        reply = await http.put(path, content=content)
        assert (reply.status_code, set(reply.json())) == (status, {"action", "msg"}), content
    assert (await http.get(path)).status_code == 405
    assert (await http.put(path, content=b"x" * 200_000)).status_code == 413
    foreign = await http.put(path, json={"action": "register"}, headers={"origin": "https://evil.test"})
    assert foreign.status_code == 403 and foreign.json()["msg"]
    await house.core.joining.set("closed", await house.person("admin"))
    told = await ask(house, path, "register", 403, information={})
    assert told["action"] == "register"


async def test_registrations_and_wrong_tokens_are_throttled_by_address(house: House) -> None:
    instance = house.core.instance
    for throttle in (house.core.clients.throttle, instance._tries_of_address):
        throttle._clock = lambda: 1000.0
    statuses = []
    for _ in range(25):
        body = {"action": "register", "parameters": {"information": {}}}
        reply = await house.anybody().http.put(CLIENT, json=body)
        statuses.append(reply.status_code)
    assert statuses == [200] * 20 + [429] * 5 and int(reply.headers["retry-after"]) > 0
    tries = [{"action": "login", "token": "x"}] * 31
    statuses = [(await house.anybody().http.put(CLIENT, json=body)).status_code for body in tries]
    assert statuses == [401] * 30 + [429]
    elsewhere = await house.anybody("192.0.2.77").http.put(CLIENT, json=tries[0])
    assert elsewhere.status_code == 401


async def test_admins_see_programs_give_them_away_and_remove_them(house: House) -> None:
    program, token = await house.core.clients.register({"name": "panel", "x": 1}, "198.51.100.7")
    owner = await house.person("user_one")
    admin = await house.program("admin")
    (item,) = (await admin.call("GET", "/clients", 200))["items"]
    assert item == {
        "id": program.id, "name": "panel", "location": "", "information": {"name": "panel", "x": 1},
        "owner_id": None, "address": "198.51.100.7", "created_at": program.created_at_ms, "last_login": None,
    }  # fmt: skip
    path = f"/clients/{program.id}"
    assert (await admin.call("PATCH", path, 200, json={"owner_id": owner.id}))["owner_id"] == owner.id
    await admin.call("PATCH", path, 404, json={"owner_id": 999})
    await admin.call("PATCH", path, 400, json={})
    await admin.call("PATCH", "/clients/999", 404, json={"owner_id": None})
    assert (await admin.call("PATCH", path, 200, json={"owner_id": None}))["owner_id"] is None
    for name in ("user_one", "technician"):
        await (await house.program(name)).call("DELETE", path, 403)
    await admin.call("DELETE", path, 204)
    await admin.call("DELETE", path, 404)
    assert house.core.clients.by_token(token) is None


async def test_the_admin_page_lists_programs_where_there_are_any(house: House) -> None:
    browser = await house.browser("admin")
    assert "client.to.instance" not in (await browser.page("/admin/programs")).text
    program, _ = await house.core.clients.register({"name": "<b>panel"}, "198.51.100.7")
    await house.core.clients.give(
        program.id, (await house.person("user_one")).id, await house.person("admin")
    )
    page = await browser.page("/admin/programs")
    assert "<b>panel" in page.text and "Programs over client.to.instance" in page.text
    action = f"/admin/clients/{program.id}/delete"
    done = await browser.done("/admin/programs", action)
    assert "was removed" in done.text and house.core.clients.all() == []
    assert "client.to.instance" not in done.text
