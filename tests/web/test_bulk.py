"""Many modules at once: one page says what will happen to which, and one what became of each."""

import httpx
import pytest

from tests.web.house import Caller, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio
PATH = "/modules/bulk"


async def sent(browser: Caller, **values: object) -> httpx.Response:
    form = (await browser.page("/modules")).form(PATH)
    return await browser.http.post(PATH, data=form.filled(**values))


async def asked(browser: Caller, **values: object) -> Page:
    """The page that names what will happen."""
    reply = await sent(browser, **values)
    assert reply.status_code == 200, reply.text
    return Page(reply.text)


async def confirmed(browser: Caller, page: Page, status: int = 303, **values: object) -> Page:
    reply = await browser.http.post(PATH, data=page.form(PATH).filled(**({"confirm": "yes"} | values)))
    assert reply.status_code == status, reply.text
    return await browser.page(reply.headers["location"]) if status == 303 else Page(reply.text)


async def test_chosen_newcomers_are_approved_and_the_rest_is_left_out(house: House) -> None:
    for serial in ("A-1", "A-2", "A-3"):
        await house.waiting(serial)
    await house.module("B-1")
    browser = await house.browser("technician")
    page = await asked(browser, id=["A-1", "A-3", "B-1", "X-9"], action="approve")
    assert "Approve 2 modules" in page.text
    for words in ("B-1 It does not wait for approval.", "X-9 There is no such module."):
        assert words in page.text
    page = await confirmed(browser, page)
    assert page.notice == "Done: 2 modules."
    lives = {module.id: module.life for module in house.core.registry.all()}
    assert lives == {"A-1": "approved", "A-2": "pending", "A-3": "approved", "B-1": "approved"}


async def test_nothing_is_done_without_the_tick(house: House) -> None:
    await house.module("B-1")
    browser = await house.browser("technician")
    page = await asked(browser, id=["B-1"], action="revoke")
    assert "Their sessions end within 2 seconds" in page.text
    refused = await confirmed(browser, page, 400, confirm="")
    assert "Tick the box" in refused.notice
    assert house.core.registry.digests(house.core.registry.get("B-1")).token
    assert (await confirmed(browser, refused)).notice == "Done: 1 module."
    assert not house.core.registry.digests(house.core.registry.get("B-1")).token


async def test_all_that_match_get_a_group_even_those_on_other_pages(house: House) -> None:
    entries = [{"serial": f"M-{n:03d}", "type": 8, "name": f"Module {n}"} for n in range(250)]
    await house.core.decisions.declare(entries, "test", with_token=True)
    await house.module("L-1", type=0)
    browser = await house.browser("technician")
    form = (await browser.page("/modules?type=8")).form(PATH)
    page = Page((await browser.http.post(PATH, data=form.filled(all="yes", action="group"))).text)
    assert "Set the group of 250 modules" in page.text
    page = await confirmed(browser, page, group="Hall <9>")
    assert page.notice == "Done: 250 modules."
    groups = {module.group for module in house.core.registry.all() if module.type == 8}
    assert groups == {"Hall <9>"} and house.core.registry.get("L-1").group == ""
    assert page.elements[0] and "/modules?type=8" in {at.get("href") for _, at in page.elements}


async def test_firmware_is_chosen_then_named_and_assigned_to_those_it_fits(house: House) -> None:
    await house.module("A-1")
    await house.module("L-1", type=0)
    await house.waiting("N-1")
    image = await house.image("fw-1")
    browser = await house.browser("technician")
    page = await asked(browser, id=["A-1", "L-1", "N-1"], action="firmware")
    assert "confirm" not in page.form(PATH).fields and "Choose the image" in page.text
    page = await confirmed(browser, page, 200, image=str(image.id))
    assert "Assign fw-1 to 1 module" in page.text and "N-1 It is not approved." in page.text
    page = await confirmed(browser, page)
    assert page.notice == "Done: 1 module."
    assert house.core.registry.get("A-1").assigned_firmware == "fw-1"
    assert house.core.registry.get("L-1").assigned_firmware == ""


async def test_a_command_that_all_know_is_sent_to_each(house: House) -> None:
    for serial in ("L-1", "L-2"):
        await house.module(serial, type=0)
    await house.module("W-1", type=8)
    browser = await house.browser("technician")
    page = await asked(browser, id=["L-1", "L-2"], action="command")
    page = await confirmed(browser, page, 200, command="color")
    assert "param.red" in page.form(PATH).fields
    colour = {"param.red": "255", "param.green": "0", "param.blue": "0"}
    done = await confirmed(browser, page, **colour)
    assert done.notice == "Done: 2 modules."
    page = await confirmed(browser, page, **(colour | {"param.red": "999"}))
    assert "Failed: 2 modules." in page.notice and "Done: 0" in page.notice
    reply = await sent(browser, id=["L-1", "W-1"], action="command")
    assert "There is no command that all of these modules know." in Page(reply.text).notice


async def test_what_fails_is_said_with_its_reason(house: House) -> None:
    for serial in ("A-1", "A-2"):
        await house.waiting(serial)
    browser = await house.browser("technician")
    page = await asked(browser, id=["A-1", "A-2"], action="approve")
    await house.core.registry.remove(house.core.registry.get("A-2"), "test", await house.person("admin"))
    form = page.form(PATH).filled(confirm="yes")
    reply = await browser.http.post(PATH, data=form)
    page = await browser.page(reply.headers["location"])
    assert page.notice == "Done: 1 module."
    other = await house.browser("technician_two")
    assert (await other.http.get(reply.headers["location"])).status_code == 303


@pytest.mark.parametrize("values", [{"action": "approve"}, {"id": ["A-1"], "action": "eat"}])
async def test_an_unclear_wish_shows_the_list_again(house: House, values: dict) -> None:
    await house.waiting("A-1")
    reply = await sent(await house.browser("technician"), **values)
    assert reply.status_code == 400
    assert Page(reply.text).notice.startswith("Choose")


async def test_where_codes_are_asked_for_many_are_not_approved_at_once(house: House) -> None:
    await house.core.choices.set({"modules.proof": True}, await house.person("admin"))
    await house.waiting("A-1")
    reply = await sent(await house.browser("technician"), id=["A-1"], action="approve")
    assert reply.status_code == 409 and "in the waiting room" in Page(reply.text).notice
