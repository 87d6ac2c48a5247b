"""Every route there is, by enumeration: who may use it, and that no other site can make a browser use it."""

import httpx
import pytest
from starlette.routing import Mount, Route

from gateway.core.rights import ServiceRole
from tests.web.house import Caller, House
from web.api import OPERATIONS
from web.pages import PAGES

pytestmark = pytest.mark.anyio
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
FILL = {
    "{id}": "A-1", "{command}": "color", "{number:int}": "1", "{user:int}": "1", "{name}": "grafana",
    "{code:int}": "1", "{job}": "0123456789abcdef",
}  # fmt: skip

# Whoever is not named is refused. Spelled out here a second time on purpose.
EVERYBODY = {"nobody", "user", "technician", "admin", "reader", "controller"}
PEOPLE = {"user", "technician", "admin"}
STAFF = {"technician", "admin"}
READERS = PEOPLE | {"reader", "controller"}
ACTORS = PEOPLE | {"controller"}
SUPPLIERS = STAFF | {"controller"}
MAY = {
    "GET /setup": EVERYBODY, "POST /setup": EVERYBODY, "GET /login": EVERYBODY, "POST /login": EVERYBODY,
    "POST /language": EVERYBODY, "POST /account/preferences": PEOPLE,
    "POST /theme": EVERYBODY, "POST /logout": PEOPLE, "GET /": PEOPLE, "GET /modules": PEOPLE,
    "GET /modules/import": STAFF, "POST /modules/import": STAFF, "POST /modules/import/secrets": STAFF,
    "GET /modules/rows": PEOPLE, "GET /modules/bulk": STAFF, "POST /modules/bulk": STAFF,
    "GET /modules/{id}": PEOPLE, "GET /account": PEOPLE, "POST /account/password": PEOPLE,
    "POST /account/logout-everywhere": PEOPLE, "POST /modules/{id}/edit": PEOPLE,
    "POST /modules/{id}/commands/{command}": PEOPLE, "POST /modules/{id}/commands/{command}/cancel": PEOPLE,
    "POST /join": STAFF, "GET /waiting": STAFF, "POST /waiting/decide": STAFF,
    "POST /waiting/claims/{number:int}": STAFF, "POST /modules/{id}/unreject": STAFF,
    "POST /modules/{id}/rotate-token": STAFF, "POST /modules/{id}/revoke": STAFF,
    "POST /modules/{id}/delete": STAFF, "GET /admin": {"admin"}, "GET /admin/audit": {"admin"},
    "GET /admin/audit.csv": {"admin"}, "POST /admin/audit/verify": {"admin"},
    "GET /admin/programs": {"admin"},
    "GET /admin/settings": {"admin"}, "POST /admin/settings": {"admin"}, "GET /admin/backup": {"admin"},
    "POST /admin/backup": {"admin"}, "GET /admin/statistics": {"admin"}, "GET /admin/activity": {"admin"},
    "GET /admin/people": {"admin"}, "POST /admin/users": {"admin"},
    "POST /admin/users/{number:int}": {"admin"}, "POST /admin/services": {"admin"},
    "POST /admin/services/{name}/delete": {"admin"}, "POST /admin/maintenance": {"admin"},
    "POST /admin/clients/{number:int}/delete": {"admin"},
    "POST /admin/bootstrap": {"admin"}, "POST /admin/bootstrap/{number:int}/delete": {"admin"},
    "GET /login/code": EVERYBODY, "POST /login/code": EVERYBODY, "GET /join-us": EVERYBODY,
    "POST /join-us": EVERYBODY, "GET /sign-up": EVERYBODY, "POST /sign-up": EVERYBODY,
    "POST /account/profile": PEOPLE, "POST /account/sessions/{number:int}/end": PEOPLE,
    "POST /account/tokens": PEOPLE, "POST /account/tokens/{number:int}/revoke": PEOPLE,
    "GET /account/second-factor": PEOPLE, "POST /account/second-factor": PEOPLE,
    "POST /account/second-factor/confirm": PEOPLE, "POST /account/second-factor/codes": PEOPLE,
    "POST /account/second-factor/off": PEOPLE, "POST /admin/services/{name}/rotate": {"admin"},
    "POST /admin/invitations": {"admin"}, "POST /admin/invitations/{number:int}/delete": {"admin"},
    "POST /admin/sign-ups/{number:int}": {"admin"},
    "GET /claim": PEOPLE, "POST /claim": PEOPLE, "GET /modules/labels": STAFF,
    "POST /modules/{id}/give": STAFF, "POST /modules/{id}/unclaim": PEOPLE,
    "POST /modules/{id}/commands/{command}/repeat": PEOPLE, "POST /modules/{id}/settings": PEOPLE,
    "POST /modules/{id}/settings/remove": PEOPLE, "GET /resume": PEOPLE,
    "POST /waiting/declare": STAFF, "GET /firmware": STAFF, "POST /firmware": STAFF,
    "GET /firmware/{number:int}": STAFF, "POST /firmware/{number:int}/assign": STAFF,
    "POST /firmware/{number:int}/delete": STAFF,
    "POST /firmware/policy": {"admin"}, "POST /firmware/keys": {"admin"},
    "POST /firmware/keys/{name}/delete": {"admin"}, "POST /modules/{id}/firmware": STAFF,
    "POST /modules/{id}/firmware/cancel": STAFF, "POST /modules/{id}/firmware/retry": STAFF,
    "POST /modules/{id}/firmware/unassign": STAFF,
    "GET /rollouts": STAFF, "GET /rollouts/new": STAFF, "POST /rollouts": STAFF,
    "GET /rollouts/{number:int}": STAFF, "POST /rollouts/{number:int}/pause": STAFF,
    "POST /rollouts/{number:int}/resume": STAFF, "POST /rollouts/{number:int}/cancel": STAFF,
    "POST /rollouts/{number:int}/retry": STAFF, "POST /rollouts/{number:int}/revert": STAFF,
    "GET /notifications": PEOPLE, "POST /notifications/seen": PEOPLE, "GET /admin/notifications": {"admin"},
    "POST /admin/notifications/webhook": {"admin"}, "POST /admin/notifications/email": {"admin"},
    "POST /admin/notifications/ntfy": {"admin"}, "POST /admin/notifications/rules": {"admin"},
    "POST /admin/notifications/{number:int}/edit": {"admin"},
    "POST /admin/notifications/{number:int}/test": {"admin"},
    "POST /admin/notifications/{number:int}/delete": {"admin"},
}  # fmt: skip
MAY |= {
    "GET /types": STAFF, "GET /types/new": {"admin"}, "GET /types/{code:int}": STAFF,
    "GET /types/{code:int}/export": STAFF, "POST /types": {"admin"}, "POST /types/import": {"admin"},
    "POST /types/{code:int}": {"admin"}, "POST /types/{code:int}/delete": {"admin"},
}  # fmt: skip
MAY_CALL = {
    "GET /notifications": READERS, "POST /notifications/seen": PEOPLE,
    "GET /notification-channels": {"admin"}, "POST /notification-channels": {"admin"},
    "GET /notification-channels/{number:int}": {"admin"},
    "PATCH /notification-channels/{number:int}": {"admin"},
    "DELETE /notification-channels/{number:int}": {"admin"},
    "POST /notification-channels/{number:int}/test": {"admin"},
    "GET /notification-rules": {"admin"}, "PUT /notification-rules": {"admin"},
    "POST /auth/login": EVERYBODY, "POST /auth/refresh": EVERYBODY, "POST /auth/logout": PEOPLE,
    "GET /groups": READERS,
    "GET /auth/sessions": PEOPLE, "DELETE /auth/sessions": PEOPLE,
    "DELETE /auth/sessions/{number:int}": PEOPLE, "GET /auth/key": {"admin"},
    "POST /auth/key/rotate": {"admin"}, "GET /account": PEOPLE, "PATCH /account": PEOPLE,
    "GET /tokens": PEOPLE, "POST /tokens": PEOPLE, "DELETE /tokens/{number:int}": PEOPLE,
    "GET /invitations": {"admin"}, "POST /invitations": {"admin"},
    "DELETE /invitations/{number:int}": {"admin"}, "POST /invitations/accept": EVERYBODY,
    "GET /sign-ups": {"admin"}, "POST /sign-ups": EVERYBODY,
    "POST /sign-ups/{number:int}/approve": {"admin"}, "POST /sign-ups/{number:int}/reject": {"admin"},
    "GET /users/{user:int}": {"admin"}, "PUT /users/{user:int}/scope": {"admin"},
    "DELETE /users/{user:int}/sessions": {"admin"},
    "DELETE /users/{user:int}/second-factor": {"admin"}, "GET /service-accounts/{name}": {"admin"},
    "POST /service-accounts/{name}/rotate-token": {"admin"},
    "GET /modules": READERS, "GET /modules/{id}": READERS, "PATCH /modules/{id}": PEOPLE,
    "DELETE /modules/{id}": STAFF, "POST /modules/{id}/approve": STAFF, "POST /modules/{id}/reject": STAFF,
    "POST /modules/{id}/revoke": STAFF, "POST /modules/{id}/rotate-token": STAFF,
    "POST /modules/{id}/commands": ACTORS, "GET /modules/{id}/commands": READERS,
    "GET /modules/{id}/commands/{command}": READERS, "POST /modules/{id}/commands/{command}/cancel": ACTORS,
    "GET /modules/{id}/desired": READERS, "PUT /modules/{id}/desired": PEOPLE,
    "GET /modules/{id}/timeline": READERS, "GET /modules/{id}/log": READERS,
    "GET /modules/{id}/sessions": READERS,
    "GET /modules/{id}/telemetry": READERS, "GET /modules/{id}/telemetry.csv": READERS,
    "GET /modules/{id}/telemetry.jsonl": READERS,
    "GET /join": PEOPLE, "PUT /join": STAFF, "GET /types": READERS, "POST /types": {"admin"},
    "GET /types/{code:int}": READERS, "PUT /types/{code:int}": {"admin"},
    "DELETE /types/{code:int}": {"admin"},
    "GET /stats": READERS, "GET /settings": {"admin"}, "GET /audit": {"admin"}, "GET /audit.csv": {"admin"},
    "POST /audit/verify": {"admin"}, "PATCH /settings": {"admin"}, "GET /limits": READERS,
    "GET /users": {"admin"},
    "POST /users": {"admin"}, "PATCH /users/{user:int}": {"admin"}, "GET /service-accounts": {"admin"},
    "POST /service-accounts": {"admin"}, "DELETE /service-accounts/{name}": {"admin"},
    "GET /claims": STAFF, "POST /claims/{number:int}/approve": STAFF,
    "POST /claims/{number:int}/reject": STAFF, "POST /modules/{id}/unreject": STAFF,
    "POST /modules/claim": PEOPLE, "POST /modules/{id}/unclaim": PEOPLE,
    "GET /modules/{id}/claim-code": STAFF, "GET /maintenance": READERS, "PUT /maintenance": {"admin"},
    "GET /clients": {"admin"}, "PATCH /clients/{number:int}": {"admin"},
    "DELETE /clients/{number:int}": {"admin"},
    "GET /types/{code:int}/bootstrap-key": {"admin"}, "PUT /types/{code:int}/bootstrap-key": {"admin"},
    "DELETE /types/{code:int}/bootstrap-key": {"admin"},
    "POST /firmware": SUPPLIERS, "GET /firmware": SUPPLIERS, "GET /firmware/{number:int}": SUPPLIERS,
    "DELETE /firmware/{number:int}": STAFF, "GET /firmware/policy": STAFF, "PUT /firmware/policy": {"admin"},
    "POST /firmware/keys": {"admin"}, "DELETE /firmware/keys/{name}": {"admin"},
    "PUT /modules/{id}/firmware": SUPPLIERS, "GET /firmware/jobs": READERS,
    "GET /firmware/jobs/{job}": READERS, "POST /firmware/jobs/{job}/cancel": STAFF,
    "POST /firmware/jobs/{job}/retry": STAFF, "POST /rollouts": STAFF, "GET /rollouts": STAFF,
    "GET /rollouts/{number:int}": STAFF, "POST /rollouts/{number:int}/pause": STAFF,
    "POST /rollouts/{number:int}/resume": STAFF, "POST /rollouts/{number:int}/cancel": STAFF,
    "POST /rollouts/{number:int}/retry": STAFF, "POST /rollouts/{number:int}/revert": STAFF,
}  # fmt: skip
# Answered without asking who it is: they change nothing, or are the devices' own door.
OPEN_ROUTES = {
    "GET /healthz", "GET /readyz", "GET /metrics", "GET /api/docs", "GET /limits",
    "GET /api/v1/openapi.json", "GET /ca.pem",
    "POST /modules/register", "POST /modules", "PUT /node/to/instance", "POST /node/to/instance",
    "PUT /client/to/instance", "POST /client/to/instance", "POST /registration", "GET /fw/probe",
}  # fmt: skip
# Opened by a link's or a module's own token.
IMAGES = {"GET /fw/{job}"}
# The documented REST of devices, whose answers are its own.
DOCUMENTED = {
    "POST /devices", "POST /authenticate", "PATCH /devices/{uuid}", "PATCH /device/{uuid}",
}  # fmt: skip


def filled(path: str) -> str:
    for mark, value in FILL.items():
        path = path.replace(mark, value)
    return path


def test_the_tables_here_name_every_route(anyio_backend: str) -> None:
    assert {f"{page.method} {page.path}" for page in PAGES} == set(MAY)
    assert {f"{row.method} {row.path}" for row in OPERATIONS} == set(MAY_CALL)


async def test_the_application_has_no_other_routes(shared: House) -> None:
    known = set(MAY) | {key.replace(" ", " /api/v1", 1) for key in MAY_CALL} | OPEN_ROUTES
    known |= DOCUMENTED | IMAGES
    for route in shared.app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, Route)
        methods = route.methods - {"HEAD"}
        assert {f"{method} {route.path}" for method in methods} <= known


async def callers(house: House) -> dict[str, Caller]:
    found = {role: await house.browser(role) for role in sorted(PEOPLE)}
    found |= {str(role): await house.service(role) for role in ServiceRole}
    return found | {"nobody": house.anybody()}


async def ask(caller: Caller, method: str, path: str, page: bool) -> httpx.Response:
    """Without a CSRF token, so that whoever may do it is stopped there, and nothing is done in this test."""
    return await caller.http.request(method, filled(path) if page else "/api/v1" + filled(path))


def let_in(reply: httpx.Response, *, page: bool) -> bool:
    """Whether the role was accepted, whatever was then wrong with the request."""
    if page:
        to_login = reply.status_code == 303 and reply.headers["location"].startswith("/login")
        return not to_login and "Your role does not allow this" not in reply.text
    return reply.status_code != 401 and "Your role does not allow this" not in reply.text


async def test_every_route_lets_in_the_roles_it_should_and_no_other(shared: House) -> None:
    await shared.module("A-1", type=0, owner="user")
    everybody = await callers(shared)
    wrong = []
    for table, page in ((MAY, True), (MAY_CALL, False)):
        for key, roles in table.items():
            method, path = key.split(" ")
            # A service account is a program: pages do not know it.
            for role, caller in everybody.items():
                expected = role in roles and key != "POST /auth/logout"
                if page and role in ("reader", "controller"):
                    expected = "nobody" in roles
                if "/auth/" in path and page is False:
                    continue
                if let_in(await ask(caller, method, path, page), page=page) is not expected:
                    wrong.append(f"{role}: {key} should be {'let in' if expected else 'refused'}")
    assert not wrong, "\n".join(wrong)


async def test_nothing_is_done_for_another_site(shared: House) -> None:
    """No token, a wrong one, somebody else's; a foreign origin with the right one: all refused, no trace."""
    browser, other = await shared.browser("admin"), await shared.browser("technician")
    right = browser.session.csrf
    tries = [
        ({}, {}),
        ({"csrf": "wrong"}, {"x-csrf-token": "wrong"}),
        ({"csrf": other.session.csrf}, {"x-csrf-token": other.session.csrf}),
        ({"csrf": right}, {"x-csrf-token": right, "origin": "https://evil.test"}),
        ({"csrf": right}, {"x-csrf-token": right, "sec-fetch-site": "cross-site"}),
        ({"csrf": right}, {"x-csrf-token": right, "sec-fetch-site": "same-site"}),
    ]
    rows, before = await shared.audit_rows(), list(shared.core.registry.all())
    unsafe = [(page.method, filled(page.path)) for page in PAGES if page.method in UNSAFE]
    unsafe += [(row.method, "/api/v1" + filled(row.path)) for row in OPERATIONS if row.method in UNSAFE]
    assert len(unsafe) > 30
    let_through = []
    for method, path in unsafe:
        for data, headers in tries:
            body = {"json": {}} if path.startswith("/api") else {"data": data}
            reply = await browser.http.request(method, path, headers=headers, **body)
            if reply.status_code not in (403, 404):
                let_through.append(f"{method} {path} {headers}: {reply.status_code}")
    assert not let_through, "\n".join(let_through)
    assert (await shared.audit_rows(), list(shared.core.registry.all())) == (rows, before)
    assert shared.core.accounts.sessions.find(browser.http.cookies["passerelle_session"])


async def test_a_form_without_a_session_needs_its_own_cookie(shared: House) -> None:
    form = (await shared.anybody().page("/login")).form("/login")
    stranger = shared.anybody()
    reply = await stranger.http.post("/login", data=form.filled(username="admin", password="x"))
    assert reply.status_code == 403
    assert "out of date" in reply.text


async def test_our_own_pages_pass_whatever_browsers_send_with_them(shared: House) -> None:
    browser = await shared.browser("user")
    for headers in (
        {"origin": "http://gateway.test", "sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "null"},
    ):
        data = {"csrf": browser.session.csrf, "theme": "dark"}
        assert (await browser.http.post("/theme", data=data, headers=headers)).status_code == 303


async def test_a_user_sees_own_modules_only(shared: House) -> None:
    for serial, owner in (("OWN-1", "user_one"), ("OWN-2", "user_two"), ("OWN-3", "")):
        await shared.module(serial, type=0, owner=owner)
    browser, program = await shared.browser("user_one"), await shared.program("user_one")
    page = await browser.page("/modules")
    assert "OWN-1" in page.text
    assert "OWN-2" not in page.text
    assert "OWN-3" not in page.text
    assert [m["id"] for m in (await program.call("GET", "/modules", 200))["items"]] == ["OWN-1"]
    for serial in ("OWN-2", "OWN-3", shared.core.registry.get("OWN-2").uuid):
        await browser.page(f"/modules/{serial}", 404)
        for method, rest, body in (
            ("GET", "", None), ("PATCH", "", {"name": "x"}), ("GET", "/commands", None),
            ("POST", "/commands", {"command": "color"}), ("GET", "/telemetry?key=on", None),
            ("GET", "/telemetry.csv?key=on", None), ("GET", "/commands/1", None), ("GET", "/desired", None),
            ("PUT", "/desired", {"version": 0, "values": {}}),
        ):  # fmt: skip
            await program.call(method, f"/modules/{serial}{rest}", 404, json=body)
    for action in ("edit", "commands/color", "commands/1/cancel"):
        fields = {"csrf": browser.session.csrf, "name": "x"}
        assert (await browser.http.post(f"/modules/OWN-2/{action}", data=fields)).status_code == 404
    assert shared.core.registry.get("OWN-2").name == ""
