"""Every route that changes something writes exactly one row of the audit trail; exceptions have a reason."""

import json
import re
from typing import Any

import httpx
import pytest

from gateway.core.audit import GATEWAY
from gateway.core.audit_rows import Wanted
from tests.web import acts_calls, acts_pages
from tests.web.house import PASSWORD, Caller, House
from tests.web.reader import Page
from tests.web.stage import Act, Stage
from web.api import OPERATIONS
from web.pages import PAGES

pytestmark = pytest.mark.anyio
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
FORMS = {f"{page.method} {page.path}" for page in PAGES if page.method in UNSAFE}
CALLS = {f"{row.method} {row.path}" for row in OPERATIONS if row.method in UNSAFE}
# A reply's fields that hold what nobody else may learn.
SECRET = {"token", "key", "shared_key", "secret", "access_token", "refresh_token", "code", "url"}

SHOWN = re.compile(r"<(?:code|pre)[^>]*data-secret[^>]*>([^<]+)<")


def test_the_tables_name_every_route(anyio_backend: str) -> None:
    for routes, table in ((FORMS, acts_pages), (CALLS, acts_calls)):
        known = table.ACTS.keys() | table.NONE.keys()
        assert routes - known == set(), "a route that changes something needs an act here, or a reason"
        assert known - routes == set(), "this route is no more"
        assert not table.ACTS.keys() & table.NONE.keys()


async def send_form(caller: Caller, act: Act) -> httpx.Response:
    if act.form_at:
        return await caller.send(act.form_at, act.path, **act.body)
    assert caller.session
    if "files" in act.body:
        body = {"csrf": caller.session.csrf, **act.body["fields"]}
        return await caller.http.post(act.path, data=body, files=act.body["files"])
    return await caller.http.post(act.path, data={"csrf": caller.session.csrf, **act.body})


async def send_call(caller: Caller, method: str, act: Act) -> httpx.Response:
    headers = {"X-CSRF-Token": caller.session.csrf} if caller.session else {}
    body: dict[str, Any] = {"json": act.body or None}
    if act.body and "files" in act.body:
        body = {"data": act.body["fields"], "files": act.body["files"]}
    return await caller.http.request(method, f"/api/v1{act.path}", headers=headers, **body)


def secrets_in(reply: httpx.Response) -> set[str]:
    is_json = reply.headers.get("content-type", "").startswith("application/json")
    told = reply.json() if is_json else None
    found = told.items() if isinstance(told, dict) else ()
    return {value for name, value in found if name in SECRET and isinstance(value, str)}


async def done(stage: Stage, key: str, act: Act, *, page: bool) -> tuple[list[dict[str, Any]], set[str]]:
    """The rows that were written for one act, and what it told that nobody else may learn."""
    house = stage.house
    caller = act.caller or await (house.browser("admin") if page else house.program("admin"))
    before = await house.audit_rows()
    reply = await (send_form(caller, act) if page else send_call(caller, key.split()[0], act))
    said = Page(reply.text).notice if page and reply.status_code >= 400 else reply.text[:500]
    assert reply.status_code < 400, f"{reply.status_code} {said}"
    rows = await house.core.audit.rows_after(before, Wanted(), 50)
    if "/rollouts" in key:
        # Each update that a rollout starts has a row of its own, when its turn comes.
        rows = [row for row in rows if row["action"].startswith("rollout.")]
    # What follows from it by itself (an update that ends with its rollout) is the gateway's own act.
    return [row for row in rows if row["who"] != GATEWAY], secrets_in(reply) | await shown_once(caller, reply)


async def shown_once(caller: Caller, reply: httpx.Response) -> set[str]:
    if "notice=" not in reply.headers.get("location", ""):
        return set()
    return set(SHOWN.findall((await caller.http.get(reply.headers["location"])).text))


@pytest.mark.parametrize("page", [True, False], ids=["pages", "REST"])
async def test_each_act_writes_its_row_and_no_secret(shared: House, page: bool) -> None:
    stage = Stage(shared, await shared.person("admin"), "p" if page else "r")
    table: Any = acts_pages if page else acts_calls
    wrong, secrets = [], {PASSWORD, acts_pages.NEW_PASSWORD}
    for key, recipe in table.ACTS.items():
        try:
            act = await recipe(stage)
            rows, told = await done(stage, key, act, page=page)
        except Exception as error:
            wrong.append(f"{key}: {type(error).__name__} {error}")
            continue
        secrets |= told
        expected, _ = table.ROWS.get(key, (1, ""))
        if len(rows) != expected:
            wrong.append(f"{key}: {[(row['action'], row['subject'], row['who']) for row in rows]}")
        wrong += [f"{key}: {row}" for row in rows if not row["address"] or not row["who"]]
    assert not wrong, "\n".join(wrong)
    everything = json.dumps(await shared.core.audit.rows_after(0, Wanted(), 100_000))
    assert [secret for secret in secrets if secret in everything] == []
    assert len(secrets) > 5
