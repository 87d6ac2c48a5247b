"""The types' pages: own types declared, changed and removed in a form, with nothing but a browser."""

import json

import msgspec
import pytest

from gateway.core.types import builtin
from tests.web.house import House
from tests.web.reader import Page
from web.typeform import draft_of, plain_data

pytestmark = pytest.mark.anyio
PUMP = {
    "code": 120, "name": "Pump", "keys": {"flow": {"kind": "number", "unit": "l/min", "min": 0, "max": 90}},
    "commands": {"run": {"keep": True, "params": {"seconds": {"kind": "integer", "min": 1, "default": 5}}}},
    "events": {"dry": {"params": {"why": {"kind": "string", "choices": ["air", "leak"]}}}},
    "restore": [["run"]], "keep": {"raw_days": 3},
}  # fmt: skip


@pytest.mark.parametrize("kind", builtin(), ids=lambda kind: kind.name)
def test_the_form_loses_nothing_of_a_declaration(kind: object, anyio_backend: str) -> None:
    data = plain_data(draft_of(kind))
    assert msgspec.convert(data, type(kind)) == kind


async def test_a_type_is_declared_row_by_row(house: House) -> None:
    browser = await house.browser("admin")
    form = (await browser.page("/types/new")).form("/types")
    typed = {"key.0.name": "flow", "key.0.unit": "l/min", "do": "add:key"}
    fields = form.filled(name="Pump", code="120") | typed
    reply = await browser.http.post("/types", data=fields)
    assert reply.status_code == 200
    form = Page(reply.text).form("/types")
    assert form.fields["key.0.name"] == ["flow"]
    assert form.fields["key.1.name"] == [""]
    fields = form.filled() | {"key.1.name": "junk", "do": "add:command"}
    form = Page((await browser.http.post("/types", data=fields)).text).form("/types")
    fields = form.filled() | {"command.0.name": "run", "command.0.flag": "yes", "do": "add:command.0.param"}
    form = Page((await browser.http.post("/types", data=fields)).text).form("/types")
    typed = {"command.0.param.0.name": "seconds", "do": "drop:key.1", "command.0.flag": "yes"}
    fields = form.filled() | typed
    form = Page((await browser.http.post("/types", data=fields)).text).form("/types")
    assert "key.1.name" not in form.fields
    reply = await browser.http.post("/types", data=form.filled() | {"do": "save", "command.0.flag": "yes"})
    assert reply.headers["location"].startswith("/types/120")
    made = house.core.types.get(120)
    assert list(made.keys) == ["flow"] and made.commands["run"].keep
    assert list(made.commands["run"].params) == ["seconds"]
    assert "Pump" in (await browser.page("/types")).text


async def test_what_was_wrong_is_said_and_what_was_typed_stays(house: House) -> None:
    browser = await house.browser("admin")
    for wrong, said in (
        ({"name": ""}, "has a name"),
        ({"key.0.min": "low"}, "no number"),
        ({"key.0.min": "5", "key.0.max": "4"}, "above the highest"),
        ({"key.0.pattern": "("}, "pattern cannot be read"),
        ({"key.0.name": "a b"}, "is no name"),
        ({"code": "7"}, "built-in"),
        ({"code": "x"}, "no whole number"),
        ({"restore": "run"}, "cannot be restored"),
        ({"raw_days": "0"}, "no type declaration"),
        ({"key.0.kind": "colour"}, "no type declaration"),
    ):
        form = (await browser.page("/types/new")).form("/types")
        fields = form.filled(name="Pump", code="120") | {"key.0.name": "flow"} | wrong
        reply = await browser.http.post("/types", data=fields)
        assert reply.status_code == 400, wrong
        assert said in reply.text, wrong
        assert 'value="flow"' in reply.text or "a b" in reply.text
    assert 120 not in [kind.code for kind in house.core.types.all()]


async def test_a_type_in_use_may_grow_and_not_shrink(house: House) -> None:
    admin, browser = await house.person("admin"), await house.browser("admin")
    await house.core.own_types.add(PUMP, admin)
    await house.module("P-1", type=120)
    house.core.telemetry.report(house.core.registry.get("P-1"), {"flow": 4})
    await browser.done("/types/120", "/types/120", **{"key.0.label": "Through the pump"})
    assert "Through the pump" in (await browser.page("/modules/P-1")).text
    page = await browser.refused("/types/120", "/types/120", 409, **{"key.0.name": "stream"})
    assert "the key 'flow' would go" in page.notice
    program = await house.program("admin")
    await program.call("DELETE", "/types/120", 409)
    await house.core.registry.delete("P-1", admin)
    await browser.done("/types/120", "/types/120", **{"key.0.name": "stream"})
    await browser.done("/types/120", "/types/120/delete", confirm="yes")
    await program.call("GET", "/types/120", 404)


async def test_two_who_change_the_same_type(house: House) -> None:
    admin, browser = await house.person("admin"), await house.browser("admin")
    await house.core.own_types.add(PUMP, admin)
    form = (await browser.page("/types/120")).form("/types/120")
    await house.core.own_types.edit(120, PUMP | {"name": "Other"}, admin)
    reply = await browser.http.post("/types/120", data=form.filled(name="Mine"))
    assert reply.status_code == 409
    assert "Somebody else has changed this type" in reply.text
    assert 'value="Mine"' in reply.text
    assert house.core.types.get(120).name == "Other"


async def test_export_and_import(house: House) -> None:
    admin, browser = await house.person("admin"), await house.browser("admin")
    made = await house.core.own_types.add(PUMP, admin)
    reply = await browser.http.get("/types/120/export")
    assert "type-120.json" in reply.headers["content-disposition"]
    await house.core.own_types.remove(120, admin)
    page = await browser.send("/types", "/types/import", json=reply.text)
    form = Page(page.text).form("/types")
    boxes = {"command.0.flag": "yes", "command.0.param.0.required": "yes", "event.0.param.0.required": "yes"}
    assert (await browser.http.post("/types", data=form.filled() | boxes)).status_code == 303
    assert house.core.types.get(120) == made
    for wrong in ("", "{", "[]", '{"code": 5, "name": "x"}', json.dumps(PUMP | {"more": 1})):
        assert (await browser.send("/types", "/types/import", json=wrong)).status_code == 400


async def test_types_over_rest(house: House) -> None:
    program = await house.program("admin")
    made = await program.call("POST", "/types", 201, json=PUMP)
    assert made["own"] and made["keep"] == {"raw_days": 3}
    change = {"name": "Better", "keys": PUMP["keys"], "version": made["version"]}
    changed = await program.call("PUT", "/types/120", 200, json=change)
    assert (changed["name"], changed["commands"]) == ("Better", {})
    await program.call("PUT", "/types/120", 409, json=change)
    await program.call("PUT", "/types/7", 403, json={"name": "Mine"})
    await program.call("DELETE", "/types/7", 403)
    await program.call("DELETE", "/types/120", 204)
    await program.call("PUT", "/types/120", 404, json={"name": "Gone"})
    actions = [row["action"] for row in await house.core.audit.rows(subject="120")]
    assert actions == ["type.remove", "type.change", "type.add"]


async def test_a_technician_looks_and_does_not_touch(house: House) -> None:
    browser = await house.browser("technician")
    for path in ("/types", *(f"/types/{kind.code}" for kind in builtin())):
        page = await browser.page(path)
        assert not [form for form in page.forms if form.action.startswith("/types")]
