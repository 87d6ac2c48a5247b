"""The audit page: who did what is found, read, taken home and checked."""

import csv
import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core import audit
from tests.web.house import House

pytestmark = pytest.mark.anyio
NASTY = '<script>alert("x")</script> \u202e =cmd|calc'


async def rows(house: House, *subjects: str, who: str = "tom") -> None:
    for subject in subjects:
        await house.core.store.run(
            lambda subject=subject: audit.write("test.row", subject, who, note=NASTY, before={"note": "old"})
        )


async def test_rows_are_found_and_shown_as_text(house: House) -> None:
    browser = await house.browser("admin")
    await rows(house, "MC-1", "MC-2", NASTY)
    await rows(house, "MC-3", who="ann")
    page = await browser.page("/admin/audit")
    assert all(word in page.text for word in ("MC-1", "MC-2", "MC-3", NASTY.split("\u202e")[0].strip()))
    assert not any(tag == "script" and "src" not in at for tag, at in page.elements)
    assert "before: old" in page.text
    found = await browser.page("/admin/audit?who=ann&action=test.")
    assert "MC-3" in found.text and "MC-1" not in found.text
    assert "No row is like that." in (await browser.page("/admin/audit?text=nobody-says-this")).text
    await browser.page("/admin/audit?from=2020-01-01T00:00&to=2020-01-02T00:00")
    for wrong in ("from=yesterday", "to=%00", "before=x", "before=%F0%9F%92%A9"):
        await browser.page(f"/admin/audit?{wrong}", 400)


async def test_page_by_page_without_gap_or_repeat(house: House) -> None:
    browser = await house.browser("admin")
    await rows(house, *(f"S-{n:03d}" for n in range(120)))
    seen, path = [], "/admin/audit?action=test.row"
    while path:
        page = await browser.page(path)
        seen += [word for word in page.text.split() if word.startswith("S-")]
        path = next((at["href"] for tag, at in page.elements if at.get("rel") == "next"), "")
    assert seen == [f"S-{n:03d}" for n in reversed(range(120))]


async def test_all_of_them_as_csv_that_no_spreadsheet_computes(house: House) -> None:
    browser = await house.browser("admin")
    await rows(house, "=1+1", "plain", *(f"S-{n}" for n in range(1200)))
    reply = await browser.http.get("/admin/audit.csv?action=test.row")
    assert reply.headers["content-type"].startswith("text/csv")
    assert 'filename="audit.csv"' in reply.headers["content-disposition"]
    head, *found = csv.reader(io.StringIO(reply.text))
    assert head[:3] == ["number", "time", "level"] and len(found) == 1202
    assert [row[6] for row in found[:2]] == ["'=1+1", "plain"]
    numbers = [int(row[0]) for row in found]
    assert numbers == sorted(set(numbers))
    program = await house.program("admin")
    assert (await program.http.get("/api/v1/audit.csv?action=test.row")).text == reply.text


async def test_the_button_tells_whether_it_is_whole(house: House, tmp_path: Path) -> None:
    browser, program = await house.browser("admin"), await house.program("admin")
    await rows(house, "MC-1", "MC-2", "MC-3")
    assert "The audit trail is whole" in (await browser.done("/admin/audit", "/admin/audit/verify")).notice
    told = await program.call("POST", "/audit/verify", 200)
    assert told["whole"] is True and told["said"].startswith("The audit trail is whole")
    with closing(sqlite3.connect(tmp_path / "passerelle.db")) as other:
        other.execute("DROP TRIGGER audit_stays")
        other.execute("UPDATE audit SET who = 'eve' WHERE subject = 'MC-2'")
        other.commit()
    page = await browser.done("/admin/audit", "/admin/audit/verify")
    assert "does not fit at row" in page.notice
    told = await program.call("POST", "/audit/verify", 200)
    assert (told["whole"], told["fault"]) == (False, "changed") and told["broken_at"]


async def test_programs_find_by_the_same_words(house: House) -> None:
    program = await house.program("admin")
    await rows(house, "MC-1", "MC-2")
    last = (await program.call("GET", "/audit?limit=1", 200))["items"][0]
    for query in ("who=tom", "action=test.", "subject=MC-2", "text=calc", f"from={last['at']}", "level=info"):
        items = (await program.call("GET", f"/audit?{query}", 200))["items"]
        assert last["number"] in [row["number"] for row in items], query
    assert (await program.call("GET", "/audit?who=nobody", 200)) == {"items": [], "next": None}
    for wrong in ("level=loud", "from=-1", "from=x", "cursor=MTA_", "limit=0", "colour=red"):
        await program.call("GET", f"/audit?{wrong}", 400)
