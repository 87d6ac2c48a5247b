"""The list of modules: searched, filtered, sorted, paged; for each visitor what he may see."""

from time import perf_counter

import pytest

from tests.web.house import Caller, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio


def ids(page: Page) -> list[str]:
    return [at["data-module"] for tag, at in page.elements if tag == "tr" and at.get("data-module")]


async def rows(caller: Caller, query: str = "") -> dict:
    reply = await caller.http.get(f"/modules/rows{query}")
    assert reply.status_code == 200
    return reply.json()


async def filled(house: House) -> Caller:
    await house.module("W-2", type=8, information={"name": "Lamp 10", "location": "Roof"})
    await house.module("W-1", type=8, information={"name": "Lamp 2"}, owner="user_lea")
    await house.module("L-1", type=0, information={"name": "Garland"})
    await house.waiting("N-1", information={"name": "newcomer"})
    admin = await house.person("admin")
    await house.core.registry.edit("W-1", admin, group="Attic")
    await house.core.registry.edit("L-1", admin, group="Barn")
    house.core.presence.heard(house.core.registry.get("L-1"))
    return await house.browser("technician")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["L-1", "W-1", "W-2", "N-1"]), ("?sort=-name", ["N-1", "W-2", "W-1", "L-1"]),
        ("?sort=group", ["W-1", "L-1", "W-2", "N-1"]), ("?sort=status", ["L-1", "W-1", "W-2", "N-1"]),
        ("?sort=-type", ["W-1", "W-2", "L-1", "N-1"]), ("?sort=owner", ["W-1", "L-1", "W-2", "N-1"]),
        ("?sort=last_seen", ["L-1", "W-1", "W-2", "N-1"]), ("?sort=nonsense", ["L-1", "W-1", "W-2", "N-1"]),
        ("?q=barn", ["L-1"]), ("?group=Attic", ["W-1"]), ("?group=-", ["W-2", "N-1"]),
        ("?owner=-&type=8", ["W-2"]), ("?status=pending", ["N-1"]), ("?group=nowhere", []),
    ],
)  # fmt: skip
async def test_page_and_rows_agree_on_what_is_listed_and_in_which_order(
    house: House, query: str, found: list[str]
) -> None:
    browser = await filled(house)
    assert ids(await browser.page(f"/modules{query}")) == found
    told = await rows(browser, query)
    assert [row[0] for row in told["rows"]] == found
    assert (told["total"], told["of"]) == (len(found), 4)


async def test_the_page_says_how_it_is_sorted_and_how_many_there_are_of_each(house: House) -> None:
    browser = await filled(house)
    page = await browser.page("/modules?sort=-group&type=8")
    heads = {at.get("data-column"): at.get("aria-sort") for tag, at in page.elements if tag == "th"}
    assert heads["group"] == "descending" and heads["name"] is None
    links = {at["data-sort-by"]: at["href"] for tag, at in page.elements if "data-sort-by" in at}
    assert links["group"] == "/modules?type=8&sort=group"
    assert links["name"] == "/modules?type=8"
    table = next(at for tag, at in page.elements if tag == "table")
    assert table["aria-rowcount"] == "3"
    for words in ("Attic (1)", "No group (2)", "Weather (2)", "Online (1)", "user_lea (1)", "Nobody (3)"):
        assert words in page.text


async def test_an_owner_sees_his_own_and_chooses_nothing(house: House) -> None:
    await filled(house)
    lea = await house.browser("user_lea")
    page = await lea.page("/modules")
    assert ids(page) == ["W-1"]
    assert not [at for tag, at in page.elements if at.get("type") == "checkbox"]
    assert "Owner" not in page.text
    assert (await rows(lea, "?owner=-"))["rows"] == []
    assert (await rows(lea))["of"] == 1
    assert (await house.anybody().http.get("/modules/rows")).status_code == 303


async def test_names_from_outside_are_text(house: House) -> None:
    evil = "<script>alert(1)</script>"
    await house.waiting("E-1", information={"name": evil, "location": "\u202etxt\u202c \U0001f3a1"})
    browser = await house.browser("technician")
    reply = await browser.http.get("/modules?q=" + "%3Cscript%3E")
    assert evil not in reply.text and "&lt;script&gt;" in reply.text
    assert (await rows(browser))["rows"][0][1] == evil


async def test_groups_are_counted_for_programs(house: House) -> None:
    browser = await filled(house)
    items = (await browser.call("GET", "/groups", 200))["items"]
    assert [tuple(item.values()) for item in items] == [("Attic", 1, 0), ("Barn", 1, 1)]
    lea = await house.browser("user_lea")
    assert [item["name"] for item in (await lea.call("GET", "/groups", 200))["items"]] == ["Attic"]


async def test_many_modules_come_a_page_at_a_time(house: House) -> None:
    entries = [{"serial": f"M-{n:04d}", "type": 8, "name": f"Module {n}"} for n in range(1000)]
    await house.core.decisions.declare(entries, "test", with_token=True)
    for module in list(house.core.registry.all()):
        house.core.telemetry.report(module, {"temperature": 20.5, "humidity": 40, "pressure": 1013})
    browser = await house.browser("technician")
    started_s = perf_counter()
    page = await browser.page("/modules")
    assert perf_counter() - started_s < 10
    assert ids(page) == [f"M-{n:04d}" for n in range(200)]
    following = next(at["href"] for tag, at in page.elements if "start=200" in at.get("href", ""))
    page = await browser.page(following)
    assert ids(page)[0] == "M-0200"
    assert page.elements.index(("a", {"class": "button", "href": "/modules"}))
    indexes = [at["aria-rowindex"] for tag, at in page.elements if tag == "tr" and at.get("data-module")]
    assert indexes[0] == "202"
    part = await rows(browser, "?start=950&count=100")
    assert [row[0] for row in part["rows"]] == [f"M-{n:04d}" for n in range(950, 1000)]
    assert part["rows"][0][-1][0] == ["temperature", "Temperature", "20.5", "°C"]
    for strange in ("?start=-1", "?start=99999999999", "?count=x", "?start=²"):
        assert (await browser.http.get(f"/modules/rows{strange}")).status_code == 200
