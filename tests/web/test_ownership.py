"""Claiming on pages and in REST: the form, the card, the labels, what a QR code holds, and who sees what."""

import re

import pytest
import segno

from gateway.core.ownership import plain
from tests.web.house import House
from tests.web.reader import Page
from tests.web.test_api import fits
from web.qr import MARGIN, qr_code

pytestmark = pytest.mark.anyio
CODE = re.compile(r"[A-HJKMNP-Z2-9]{4}-[A-HJKMNP-Z2-9]{4}")


def codes(page: Page) -> list[str]:
    return CODE.findall(page.text)


def drawn(path: str, size: int) -> list[list[int]]:
    """The cells that an SVG path of runs makes dark, without the margin."""
    grid = [[0] * size for _ in range(size)]
    for x, y, length, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path):
        assert length == back
        for cell in range(int(length)):
            grid[int(y)][int(x) + cell] = 1
    return [row[MARGIN:-MARGIN] for row in grid[MARGIN:-MARGIN]]


def qr_paths(text: str) -> list[tuple[int, str]]:
    found = re.findall(r'<svg class="qr" viewBox="0 0 (\d+) \1"[^>]*><path d="([^"]+)"/></svg>', text)
    return [(int(size), path) for size, path in found]


async def test_a_person_claims_with_a_form_and_lands_on_the_module(house: House) -> None:
    await house.module("A-1")
    staff, user = await house.browser("technician"), await house.browser("user")
    (code,) = set(codes(await staff.page("/modules/A-1")))
    await user.page("/modules/A-1", 404)
    form = (await user.page(f"/claim?code={plain(code).lower()}")).form("/claim")
    assert form.fields["code"] == [code]
    reply = await user.http.post("/claim", data=form.filled())
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/modules/A-1?")
    page = await user.page(reply.headers["location"])
    assert page.notice == "A-1 is yours now."
    assert codes(page) == []
    page = await staff.page("/modules/A-1")
    assert codes(page) == []
    assert "Owner user" in page.text


@pytest.mark.parametrize("code", ["WRNG-CODE", "", "<b>x</b>", "x" * 300])
async def test_a_code_that_fits_nothing_stays_typed(house: House, code: str) -> None:
    await house.module("A-1")
    user = await house.browser("user")
    page = await user.refused("/claim", "/claim", 404, code=code)
    assert page.notice.startswith("No module can be claimed with this code.")
    assert page.form("/claim").fields["code"] == [code]


async def test_wrong_used_and_foreign_codes_look_the_same(house: House) -> None:
    await house.module("A-1")
    await house.module("B-1", owner="user_two")
    staff = await house.program("technician")
    one, two = await house.program("user_one"), await house.program("user_two")
    code = (await staff.call("GET", "/modules/A-1/claim-code", 200))["code"]
    await two.call("POST", "/modules/claim", 200, json={"code": code})
    said = [await one.call("POST", "/modules/claim", 404, json={"code": c}) for c in (code, "WRNG-CODE", "")]
    assert said[0] == said[1] == said[2]


async def test_guessing_is_slowed_for_form_and_rest_together(house: House) -> None:
    house.core.ownership._tries._clock = lambda: 1000.0
    await house.module("A-1")
    user, program = await house.browser("user"), await house.program("user")
    for _ in range(3):
        await user.refused("/claim", "/claim", 404, code="WRNG-CODE")
    for _ in range(2):
        await program.call("POST", "/modules/claim", 404, json={"code": "WRNG-CODE"})
    reply = await program.http.post("/api/v1/modules/claim", json={"code": "WRNG-CODE"})
    assert reply.status_code == 429
    assert 0 < int(reply.headers["retry-after"]) <= 61
    page = await user.refused("/claim", "/claim", 429, code="WRNG-CODE")
    assert "Try again in" in page.notice


async def test_the_life_of_ownership_in_rest(house: House) -> None:
    await house.module("A-1")
    staff, user, other = [await house.program(name) for name in ("technician", "user", "user_other")]
    first = await staff.call("GET", "/modules/A-1/claim-code", 200)
    fits("GET", "/modules/{id}/claim-code", first)
    assert first["url"] == f"http://gateway.test/claim?code={plain(first['code'])}"
    await user.call("GET", "/modules/A-1/claim-code", 403)
    module = await user.call("POST", "/modules/claim", 200, json={"code": first["code"].lower()})
    fits("POST", "/modules/claim", module)
    assert (module["id"], module["owner_id"]) == ("A-1", (await house.person("user")).id)
    await staff.call("GET", "/modules/A-1/claim-code", 409)
    await user.call("GET", "/modules/A-1/claim-code", 403)
    await other.call("POST", "/modules/A-1/unclaim", 404)
    second = await user.call("POST", "/modules/A-1/unclaim", 200)
    fits("POST", "/modules/{id}/unclaim", second)
    assert second["code"] != first["code"]
    await user.call("GET", "/modules/A-1", 404)
    assert await staff.call("GET", "/modules/A-1/claim-code", 200) == second
    await other.call("POST", "/modules/claim", 200, json={"code": second["code"]})
    third = await staff.call("POST", "/modules/A-1/unclaim", 200)
    await staff.call("POST", "/modules/A-1/unclaim", 409)
    assert len({answer["code"] for answer in (first, second, third)}) == 3


async def test_an_owner_hands_over_and_sees_the_new_code_once(house: House) -> None:
    await house.module("A-1", owner="user_one")
    one, two = await house.browser("user_one"), await house.browser("user_two")
    page = await one.refused("/modules/A-1", "/modules/A-1/unclaim", 400)
    assert "Tick the box" in page.notice
    reply = await one.send("/modules/A-1", "/modules/A-1/unclaim", confirm="yes")
    place = reply.headers["location"]
    page = await one.page(place)
    (code,) = codes(page)
    assert code not in place
    assert "You gave up A-1" in page.notice
    assert codes(await one.page(place)) == []
    await one.page("/modules/A-1", 404)
    page = await two.done("/claim", "/claim", code=code)
    assert "yours now" in page.notice


async def test_staff_give_and_take_back(house: House) -> None:
    await house.module("A-1")
    lea = await house.person("user_lea")
    staff = await house.browser("technician")
    before = codes(await staff.page("/modules/A-1"))
    page = await staff.done("/modules/A-1", "/modules/A-1/give", owner_id=str(lea.id))
    assert page.notice == "A-1 belongs to user_lea now."
    page = await staff.done("/modules/A-1", "/modules/A-1/unclaim", confirm="yes")
    assert page.notice == "A-1 belongs to nobody now."
    assert codes(page)
    assert codes(page) != before
    for bad in ("", "x", "1" * 12):
        page = await staff.refused("/modules/A-1", "/modules/A-1/give", 400, owner_id=bad)
        assert "Choose from the list" in page.notice
    await staff.refused("/modules/A-1", "/modules/A-1/give", 404, owner_id="999")


async def test_who_may_not_see_it_does_nothing_with_it(house: House) -> None:
    await house.module("A-1", owner="user_one")
    two = await house.browser("user_two")
    csrf = two.session.csrf
    reply = await two.http.post("/modules/A-1/unclaim", data={"csrf": csrf, "confirm": "yes"})
    assert reply.status_code == 404
    assert (await two.http.post("/modules/A-1/give", data={"csrf": csrf, "owner_id": "1"})).status_code == 403
    assert house.core.registry.get("A-1").owner_id == (await house.person("user_one")).id


async def test_approving_tells_the_code_of_one_and_prints_those_of_many(house: House) -> None:
    for serial in ("A-1", "A-2", "A-3"):
        await house.waiting(serial)
    staff = await house.browser("technician")
    page = await staff.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve")
    (code,) = codes(page)
    assert f"Approved A-1. Its claim code is {code}." in page.notice
    assert ("a", {"href": "/modules/A-1#owner"}) in page.elements
    assert code in (await staff.page("/modules/A-1")).text
    page = await staff.done("/waiting", "/waiting/decide", id=["A-2", "A-3"], decision="approve")
    assert codes(page) == []
    assert ("a", {"href": "/modules/labels?ids=A-2,A-3"}) in page.elements


async def test_a_code_is_told_only_where_there_is_one(house: House) -> None:
    await house.waiting("A-1")
    await house.waiting("A-2")
    lea = await house.person("user_lea")
    await house.core.registry.edit("A-1", await house.person("admin"), owner_id=lea.id)
    staff = await house.browser("technician")
    page = await staff.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve")
    assert page.notice == "Approved A-1."
    page = await staff.done("/waiting", "/waiting/decide", id=["A-2"], decision="reject")
    assert page.notice == "Rejected A-2."


async def test_labels_hold_a_code_and_its_link_for_each_module(house: House) -> None:
    await house.module("A-1", information={"name": "Garland", "location": "Attic"})
    await house.module("A-2")
    await house.module("A-3", owner="user")
    await house.waiting("A-4")
    staff = await house.browser("technician")
    reply = await staff.http.get("/modules/labels?ids=a-1,A-2&ids=A-3,NOBODY,A-4,A-1")
    page = Page(reply.text)
    found = codes(page)
    assert len(found) == 2
    assert "3 of those chosen have no code" in page.text
    assert all(word in page.text for word in ("Garland", "Attic", "A-2"))
    expected = [await staff.call("GET", f"/modules/{id}/claim-code", 200) for id in ("A-1", "A-2")]
    assert found == [one["code"] for one in expected]
    for (size, path), one in zip(qr_paths(reply.text), expected, strict=True):
        matrix = segno.make_qr(one["url"], error="m").matrix
        assert size == len(matrix) + 2 * MARGIN
        assert drawn(path, size) == [list(row) for row in matrix]
    assert set(codes(await staff.page("/modules/labels"))) == set(found)
    assert codes(await staff.page("/modules/labels?ids=NOBODY")) == []


async def test_labels_are_bounded(house: House) -> None:
    entries = [{"serial": f"M-{n:04d}", "type": 8} for n in range(230)]
    await house.core.decisions.declare(entries, "test", with_token=True)
    page = await (await house.browser("technician")).page("/modules/labels")
    assert len(set(codes(page))) == 200
    assert "30 more do not fit" in page.text


async def test_the_link_names_the_public_address(house: House) -> None:
    await house.module("A-1")
    object.__setattr__(house.core.settings, "public_url", "https://home.example/")
    staff = await house.program("technician")
    url = (await staff.call("GET", "/modules/A-1/claim-code", 200))["url"]
    assert url.startswith("https://home.example/claim?code=")


async def test_a_stranger_with_a_code_logs_in_first_and_comes_back(house: House) -> None:
    stranger = house.anybody()
    reply = await stranger.http.get("/claim?code=ABCD2345")
    assert reply.headers["location"] == "/login?next=%2Fclaim%3Fcode%3DABCD2345"


def test_a_qr_code_has_room_around_it_and_holds_any_address() -> None:
    for text in ("http://a/claim?code=ABCD2345", "https://" + "x" * 200 + ".example/claim?code=ABCD2345"):
        code = qr_code(text)
        assert drawn(code.path, code.size) == [list(row) for row in segno.make_qr(text, error="m").matrix]
