"""People, sessions, tokens, invitations, sign-ups and service accounts over REST."""

from typing import Any

import pytest

from gateway.core.rights import ServiceRole
from tests.web.house import PASSWORD, Caller, House

pytestmark = pytest.mark.anyio
LEA = {"username": "lea", "password": PASSWORD}


def bearer(house: House, token: str) -> Caller:
    return house.anybody(authorization=f"Bearer {token}")


async def made(caller: Caller, **more: Any) -> str:
    return str((await caller.call("POST", "/tokens", 201, json={"name": "script"} | more))["token"])


async def test_own_sessions_are_listed_and_ended(house: House) -> None:
    program, browser = await house.program("user"), await house.browser("user")
    listed = (await program.call("GET", "/auth/sessions", 200))["items"]
    assert sorted((item["kind"], item["current"]) for item in listed) == [("api", True), ("browser", False)]
    await program.call("DELETE", f"/auth/sessions/{browser.session.id}", 204)
    assert (await browser.http.get("/")).status_code == 303
    other = await house.browser("admin")
    await program.call("DELETE", f"/auth/sessions/{other.session.id}", 404)
    assert await program.call("DELETE", "/auth/sessions", 200) == {"sessions": 1}
    await program.call("GET", "/account", 401)


async def test_a_token_reads_or_acts_and_never_keeps_logins(house: House) -> None:
    await house.module("A-1", type=0, owner="user")
    login = await house.program("user")
    reader, actor = bearer(house, await made(login)), bearer(house, await made(login, name="b", scope="act"))
    for token in (reader, actor):
        assert [m["id"] for m in (await token.call("GET", "/modules", 200))["items"]] == ["A-1"]
        for method, path, body in (
            ("GET", "/auth/sessions", None), ("GET", "/tokens", None), ("POST", "/tokens", {"name": "c"}),
            ("DELETE", "/tokens/1", None), ("DELETE", "/auth/sessions", None),
        ):  # fmt: skip
            await token.call(method, path, 403, json=body)
        await token.call("GET", "/users", 403)
    on = {"command": "color", "params": {"hex": "#ff0000"}}
    refused = await reader.call("POST", "/modules/A-1/commands", 403, json=on)
    assert "may read" in refused["detail"]
    reply = await actor.http.post("/api/v1/modules/A-1/commands", json=on)
    assert reply.status_code in (202, 400), "let in; whether the parameters fit is another matter"
    await actor.call("PATCH", "/account", 200, json={"name": "Lea"})
    assert (await reader.call("GET", "/account", 200))["name"] == "Lea"
    # Over the pages it is nothing: they know cookies only.
    assert (await reader.http.get("/modules")).status_code == 303


async def test_an_admin_s_token_of_a_lower_role_is_of_that_role(house: House) -> None:
    login = await house.program("admin")
    lower = bearer(house, await made(login, scope="act", role="technician"))
    await lower.call("GET", "/join", 200)
    await lower.call("GET", "/users", 403)
    assert (await login.call("GET", "/tokens", 200))["items"][0]["role"] == "technician"
    technician = await house.program("technician")
    await technician.call("POST", "/tokens", 403, json={"name": "x", "role": "admin"})


async def test_one_user_in_full_and_what_an_admin_does_to_him(house: House) -> None:
    admin, user = await house.program("admin"), await house.program("user")
    path = f"/users/{(await house.person('user')).id}"
    await made(user)
    found = await admin.call("GET", path, 200)
    assert (found["sessions"], found["tokens"], found["second_factor"]) == (1, 1, False)
    assert await admin.call("DELETE", f"{path}/sessions?tokens=true", 200) == {"sessions": 1}
    assert (await admin.call("GET", path, 200))["tokens"] == 0
    await user.call("GET", "/account", 401)
    await admin.call("DELETE", f"{path}/second-factor", 404)
    assert (await admin.call("PATCH", path, 200, json={"active": False}))["active"] is False
    await admin.call("GET", "/users/4711", 404)
    await admin.call("DELETE", "/users/4711/sessions", 404)


async def test_an_invitation_over_rest(house: House) -> None:
    admin, guest = await house.program("admin"), house.anybody()
    new = await admin.call("POST", "/invitations", 201, json={"role": "technician", "groups": ["Barn"]})
    assert new["link"] == f"http://gateway.test/join-us#{new['code']}"
    (listed,) = (await admin.call("GET", "/invitations", 200))["items"]
    assert "code" not in listed and listed["groups"] == ["Barn"]
    await guest.call("POST", "/invitations/accept", 403, json=LEA | {"code": "x"})
    user = await guest.call("POST", "/invitations/accept", 201, json=LEA | {"code": new["code"]})
    assert (user["username"], user["role"]) == ("lea", "technician")
    await guest.call("POST", "/invitations/accept", 403, json=LEA | {"code": new["code"]})
    other = await admin.call("POST", "/invitations", 201, json={})
    await admin.call("DELETE", f"/invitations/{other['id']}", 204)
    await admin.call("DELETE", f"/invitations/{other['id']}", 404)
    await admin.call("POST", "/invitations", 400, json={"days": 91})


async def test_signing_up_over_rest(house: House) -> None:
    admin, guest = await house.program("admin"), house.anybody()
    assert (await guest.call("POST", "/sign-ups", 403, json=LEA))["code"] == "closed"
    await house.core.choices.set({"people.sign_up": "approval"}, await house.person("admin"))
    for name in ("lea", "admin", "mallory"):
        assert await guest.call("POST", "/sign-ups", 202, json=LEA | {"username": name}) == {}
    lea, taken, mallory = (await admin.call("GET", "/sign-ups", 200))["items"]
    assert "password" not in str(lea)
    user = await admin.call("POST", f"/sign-ups/{lea['id']}/approve", 201, json={"role": "user"})
    assert user["username"] == "lea"
    await admin.call("POST", f"/sign-ups/{taken['id']}/approve", 409, json={})
    await admin.call("POST", f"/sign-ups/{taken['id']}/approve", 201, json={"username": "admin2"})
    await admin.call("POST", f"/sign-ups/{mallory['id']}/reject", 204)
    await admin.call("POST", f"/sign-ups/{mallory['id']}/reject", 404)
    assert await guest.call("POST", "/auth/login", 200, json=LEA)


async def test_a_service_account_s_rights_and_its_new_token(house: House) -> None:
    admin, service = await house.program("admin"), await house.service(ServiceRole.READER)
    await service.call("GET", "/modules", 200)
    found = await admin.call("GET", "/service-accounts/reader-1", 200)
    assert any(right.startswith("May read: everything modules publish") for right in found["rights"])
    assert "May not: send commands to modules" in found["rights"]
    token = (await admin.call("POST", "/service-accounts/reader-1/rotate-token", 200))["token"]
    await service.call("GET", "/modules", 401)
    await bearer(house, token).call("GET", "/modules", 200)
    await admin.call("POST", "/service-accounts/nobody/rotate-token", 404)
    await admin.call("GET", "/service-accounts/nobody", 404)


async def test_the_key_of_access_tokens_is_changed_without_logging_anybody_out(house: House) -> None:
    admin = await house.program("admin")
    before = await admin.call("GET", "/auth/key", 200)
    after = await admin.call("POST", "/auth/key/rotate", 200)
    assert before["since"] is None and after["since"] and before["kid"] != after["kid"]
    assert await admin.call("GET", "/auth/key", 200) == after


async def test_each_change_is_one_row_of_the_trail(house: House) -> None:
    admin = await house.program("admin")
    await house.core.choices.set({"people.sign_up": "approval"}, await house.person("admin"))
    await house.anybody().call("POST", "/sign-ups", 202, json=LEA)
    asked = house.core.accounts.sign_ups.all()[0].id
    await house.service(ServiceRole.READER)
    await house.browser("user")
    user = (await house.person("user")).id
    for method, path, status, body, action in (
        ("POST", "/tokens", 201, {"name": "x"}, "token.add"),
        ("DELETE", "/tokens/1", 204, None, "token.revoke"),
        ("POST", "/invitations", 201, {}, "invitation.add"),
        ("DELETE", "/invitations/1", 204, None, "invitation.remove"),
        ("POST", f"/sign-ups/{asked}/approve", 201, {}, "user.add"),
        ("DELETE", f"/users/{user}/sessions", 200, None, "user.log_out"),
        ("POST", "/service-accounts/reader-1/rotate-token", 200, {}, "service.rotate"),
        ("POST", "/auth/key/rotate", 200, {}, "access_key.rotate"),
        ("PATCH", "/account", 200, {"name": "Ann"}, "user.edit"),
        ("DELETE", "/auth/sessions", 200, None, "user.log_out"),
    ):
        rows = await house.audit_rows()
        await admin.call(method, path, status, json=body)
        (row,) = (await house.core.audit.rows(limit=1))[:1]
        assert (row["action"], row["who"], row["number"]) == (action, "admin", rows + 1)
