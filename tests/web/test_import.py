"""Devices entered from a list: checked line by line, all or none, their secrets given out once."""

import csv
import io
from time import perf_counter

import pytest

from gateway.core.rights import Person
from tests.web.house import Caller, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio
PATH = "/modules/import"
GOOD = "serial,type,name,group\nMC-1,7,Lamp,Attic\nMC-2,8,Wëather,\n"


async def sent(browser: Caller, text: str, step: str = "check", **more: str) -> Page:
    """The form with this text, as a browser sends it; the page that comes back."""
    form = (await browser.page(PATH)).form(PATH)
    fields = {"csrf": form.fields["csrf"][0], "csv": text, "step": step, "means": "token"} | more
    reply = await browser.http.post(PATH, data=fields, files={"file": ("", b"")})
    return Page(reply.text)


def faults(page: Page) -> list[str]:
    cells = page.text.partition("What is wrong")[2].partition("The list, as CSV")[0]
    return cells.split(". ") if cells else []


async def test_a_good_list_is_checked_then_entered_and_its_tokens_fetched_once(house: House) -> None:
    browser = await house.browser("technician")
    page = await sent(browser, GOOD)
    assert "2 devices can be entered" in page.text
    assert not list(house.core.registry.all())
    page = await sent(browser, GOOD, "enter")
    assert "2 devices were entered." in page.text
    form = page.form("/modules/import/secrets")
    reply = await browser.http.post(form.action, data=form.filled())
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["cache-control"] == "no-store"
    tokens = {row["id"]: row["token"] for row in csv.DictReader(io.StringIO(reply.text))}
    for id in ("MC-1", "MC-2"):
        assert house.core.registry.authenticate(id, tokens[id]).approved
    module = house.core.registry.get("MC-2")
    assert (module.name, module.type, module.group) == ("Wëather", 8, "")
    assert (await browser.http.post(form.action, data=form.filled())).status_code == 404
    other = await house.browser("technician_two")
    assert (await other.http.post(form.action, data=form.filled(csrf=other.session.csrf))).status_code == 404


async def test_every_wrong_line_is_named_and_nothing_is_entered(house: House) -> None:
    await house.module("Known")
    text = (
        "serial;type;name\nMC-1;7;a\na b;7;b\nMC-3;99;c\n\nmc-1;7;d\nKNOWN;7;e\nMC-7;7;f;g\nMC-8;7;"
        + "x" * 201
    )
    browser = await house.browser("technician")
    for step in ("check", "enter"):
        page = await sent(browser, text, step)
        assert "6 lines are wrong; nothing was entered" in page.text
        rows = [at for tag, at in page.elements if tag == "td" and at.get("class") == "num"]
        assert len(rows) == 6
        for words in (
            "3 'a b' is no serial", "4 '99' is no known type", "6 'mc-1' stands in entry 1 already",
            "7 there is a module 'KNOWN' already", "8 it has 4 columns", "9 the name must be one line",
        ):  # fmt: skip
            assert words in page.text
    assert [module.id for module in house.core.registry.all()] == ["Known"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first line must name the columns, and serial, type is missing"),
        ("serial,name\nMC-1,x", "type is missing"), ("serial,type,colour\n", "'colour' is no column"),
        ("serial,type,serial\n", "twice"), ("serial,type\n", "There is no device in this list"),
        ("serial,type\n\x00,7\n", "is no serial"), ('serial,type\n"MC-1,7\n', "is no serial"),
        ("serial,type\n<b>,7\n", "'<b>' is no serial"), ("serial,type\n=cmd(),7", "'=cmd()' is no serial"),
    ],
)  # fmt: skip
async def test_strange_lists_are_refused_in_words(house: House, text: str, words: str) -> None:
    browser = await house.browser("admin")
    assert words in (await sent(browser, text, "enter")).text
    assert not list(house.core.registry.all())


async def test_a_file_is_read_whatever_spreadsheet_wrote_it(house: House) -> None:
    browser = await house.browser("technician")
    form = (await browser.page(PATH)).form(PATH)
    fields = {"csrf": form.fields["csrf"][0], "step": "enter", "means": "key"}
    for name, data in (
        ("a.csv", "\ufeffSerial;Type;Name\r\nMC-1;7;é\r\n".encode()),
        ("b.csv", "serial\ttype\tname\nMC-2\t7\té\n".encode("cp1252")),
    ):
        reply = await browser.http.post(PATH, data=fields, files={"file": (name, data)})
        assert "1 device was entered." in reply.text
    assert [module.name for module in house.core.registry.all()] == ["é", "é"]
    assert (
        await browser.http.post(PATH, data=fields | {"csrf": "x"}, files={"file": ("a", b"")})
    ).status_code == 403


async def test_listed_devices_come_in_by_themselves_while_a_window_is_open(house: House) -> None:
    browser = await house.browser("technician")
    page = await sent(browser, "serial,type\nMC-1,7\nMC-2,7\nMC-3,8\n", "enter", means="window")
    assert page.notice == "" and len(list(house.core.registry.all())) == 3
    device = house.anybody("203.0.113.4")

    async def ask(serial: str, type: int = 7) -> str:
        reply = await device.http.post("/modules/register", json={"type": type, "serial": serial})
        return str(reply.json().get("token", ""))

    def is_in(serial: str, token: str) -> bool:
        known = house.core.registry.authenticate(serial, token)
        return known is not None and known.approved

    early = await ask("MC-1")
    assert not is_in("MC-1", early) and house.core.registry.waiting() == 1
    await house.core.joining.set("window", await house.person("technician"), seconds=60, type=7)
    assert is_in("MC-1", await ask("MC-1"))
    assert not is_in("MC-1", await ask("MC-1")), "the second of the same serial waits"
    assert not is_in("MC-3", await ask("MC-3", 8)), "the window is for another type"
    await house.core.registry.revoke("MC-2", await house.person("admin"))
    assert not is_in("MC-2", await ask("MC-2")), "what was revoked is not listed any more"


async def test_while_codes_are_asked_for_no_window_lets_anybody_in(house: House) -> None:
    admin = await house.person("admin")
    await house.core.choices.set({"modules.proof": True}, admin)
    await sent(await house.browser("admin"), "serial,type\nMC-1,7\n", "enter", means="window")
    await house.core.joining.set("window", admin, seconds=60)
    await house.anybody().http.post("/modules/register", json={"type": 7, "serial": "MC-1"})
    assert [claim.module_id for claim in house.core.registry.claims()] == ["MC-1"]


async def test_five_thousand_lines_are_checked_and_entered_in_good_time(house: House) -> None:
    browser = await house.browser("technician")
    text = "serial,type,name,group\n" + "".join(f"MC-{n},7,Module {n},Hall {n % 9}\n" for n in range(5000))
    began_s = perf_counter()
    assert "5000 devices can be entered" in (await sent(browser, text)).text
    assert "5000 devices were entered" in (await sent(browser, text, "enter")).text
    assert perf_counter() - began_s < 60
    assert len(list(house.core.registry.all())) == 5000


async def test_only_those_who_manage_enter_lists(house: House) -> None:
    lea: Person = await house.person("user_lea")
    browser = await house.browser("user_lea")
    assert (await browser.http.get(PATH)).status_code == 403
    assert house.core.accounts.people.get(lea.id).username == "user_lea"
