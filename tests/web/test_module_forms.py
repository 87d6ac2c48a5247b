"""Two people at one module: nobody writes over the other unseen, and what was typed stays."""

import pytest

from tests.web.house import Caller, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio
EDIT, SETTINGS = "/modules/A-1/edit", "/modules/A-1/settings"


async def form_of(caller: Caller, action: str, **where: str) -> dict:
    """The fields of the form with this action that holds these values already."""
    page = await caller.page("/modules/A-1")
    for form in page.forms:
        if form.action == action and all(form.fields.get(k) == [v] for k, v in where.items()):
            return form.filled()
    raise AssertionError(f"no form {action} with {where}")


async def send(caller: Caller, action: str, fields: dict, status: int) -> Page:
    reply = await caller.http.post(action, data=fields)
    assert reply.status_code == status, reply.text
    return Page(reply.text) if status != 303 else await caller.page(reply.headers["location"])


async def test_of_two_who_rename_the_second_is_told_and_keeps_what_was_typed(house: House) -> None:
    await house.module("A-1")
    ann, tom = await house.browser("admin"), await house.browser("technician")
    mine, his = await form_of(ann, EDIT), await form_of(tom, EDIT)
    await send(ann, EDIT, mine | {"name": "Lamp", "location": "Roof"}, 303)
    page = await send(tom, EDIT, his | {"name": "Light"}, 409)
    assert "admin has changed the name to “Lamp” meanwhile; you typed “Light”." in page.notice
    again = page.form(EDIT).filled()
    assert again["name"] == "Light"
    # The place, which he did not touch, is as it is by now.
    assert house.core.registry.get("A-1").name == "Lamp"
    await send(tom, EDIT, again | {"location": "Roof"}, 303)
    module = house.core.registry.get("A-1")
    assert (module.name, module.location) == ("Light", "Roof")


async def test_two_who_change_different_fields_both_get_theirs(house: House) -> None:
    await house.module("A-1")
    ann, tom = await house.browser("admin"), await house.browser("technician")
    mine, his = await form_of(ann, EDIT), await form_of(tom, EDIT)
    await send(ann, EDIT, mine | {"name": "Lamp"}, 303)
    await send(tom, EDIT, his | {"location": "Cellar", "group": "north"}, 303)
    module = house.core.registry.get("A-1")
    assert (module.name, module.location, module.group) == ("Lamp", "Cellar", "north")
    page = await send(tom, EDIT, await form_of(tom, EDIT), 303)
    assert page.notice == "Nothing was changed."


async def test_the_second_who_gives_it_away_is_told_whose_it_is(house: House) -> None:
    await house.module("A-1")
    one, two = await house.person("user_one"), await house.person("user_two")
    ann, tom = await house.browser("admin"), await house.browser("technician")
    action = "/modules/A-1/give"
    mine, his = await form_of(ann, action), await form_of(tom, action)
    await send(ann, action, mine | {"owner_id": str(one.id)}, 303)
    page = await send(tom, action, his | {"owner_id": str(two.id)}, 409)
    assert "admin has changed the owner meanwhile: it belongs to user_one." in page.notice
    assert house.core.registry.get("A-1").owner_id == one.id


async def test_settings_are_set_removed_and_shown_beside_what_the_module_says(house: House) -> None:
    module = await house.module("A-1")
    browser = await house.browser("technician")
    add = await form_of(browser, SETTINGS, key="")
    page = await send(browser, SETTINGS, add | {"key": "interval", "value": "30"}, 303)
    assert page.notice == "interval: the module is told." and "Waiting" in page.text
    house.core.desired.report(module, {"interval": 60, "uptime": 5}, 1)
    page = await browser.page("/modules/A-1")
    assert "Refused" in page.text and "Its own" in page.text
    assert "It did not take all of its settings." in page.text
    house.core.desired.report(module, {"interval": 30}, 1)
    assert "In step" in (await browser.page("/modules/A-1")).text
    remove = await form_of(browser, f"{SETTINGS}/remove", key="interval")
    await send(browser, f"{SETTINGS}/remove", remove, 303)
    assert house.core.desired.of("A-1").desired == {}


@pytest.mark.parametrize("typed, value", [
    ("30", 30), ("true", True), ("eco", "eco"), ('"30"', "30"), ('{"a": [1]}', {"a": [1]}), ("1.5", 1.5),
])  # fmt: skip
async def test_what_is_typed_becomes_a_value(house: House, typed: str, value: object) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    add = await form_of(browser, SETTINGS, key="")
    await send(browser, SETTINGS, add | {"key": "k", "value": typed}, 303)
    assert house.core.desired.of("A-1").desired == {"k": value}
    # The form to change it shows what would make the same value.
    change = await form_of(browser, SETTINGS, key="k")
    await send(browser, SETTINGS, change, 303)
    assert house.core.desired.of("A-1").desired == {"k": value}


@pytest.mark.parametrize("fields", [
    {"key": "", "value": "1"}, {"key": "no name", "value": "1"}, {"key": "k", "value": ""},
    {"key": "k", "value": "{broken"}, {"key": "k", "value": "1", "version": "x"},
])  # fmt: skip
async def test_what_cannot_be_set_is_refused_and_stays_typed(house: House, fields: dict) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    page = await send(browser, SETTINGS, await form_of(browser, SETTINGS, key="") | fields, 400)
    assert page.notice
    kept = page.form(SETTINGS).filled()
    assert (kept["key"], kept["value"]) == (fields["key"], fields["value"])


async def test_of_two_who_set_the_same_key_the_second_is_told(house: House) -> None:
    await house.module("A-1")
    admin = await house.person("admin")
    await house.core.desired.set("A-1", {"a": 1, "b": 1}, 0, admin)
    tom = await house.browser("technician")
    a, b = await form_of(tom, SETTINGS, key="a"), await form_of(tom, SETTINGS, key="b")
    await house.core.desired.change("A-1", "a", 5, 1, admin)
    page = await send(tom, SETTINGS, a | {"value": "9"}, 409)
    assert "admin set a to 5 since you looked. Nothing was changed." in page.notice
    kept = next(form for form in page.forms if form.fields.get("key") == ["a"] and "value" in form.fields)
    assert kept.fields["value"] == ["9"]
    await send(tom, SETTINGS, b | {"value": "7"}, 303)
    await send(tom, SETTINGS, kept.filled(), 303)
    assert house.core.desired.of("A-1").desired == {"a": 9, "b": 7}


async def test_a_viewer_sees_no_forms(house: House) -> None:
    await house.module("A-1", owner="user_one")
    browser = await house.browser("user_one")
    page = await browser.page("/modules/A-1")
    assert not [form for form in page.forms if form.action.endswith(("/revoke", "/give", "/delete"))]
    assert page.form(SETTINGS) and page.form(EDIT)
