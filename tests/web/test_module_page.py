"""What a module's page shows, from parts that are all real."""

from time import perf_counter

import pytest

from gateway.core.command_records import insert_command
from gateway.core.events import FirmwareJobChanged
from gateway.core.values import Command
from tests.web.house import House
from tests.web.reader import Page
from web.modulenews import MOMENTS

pytestmark = pytest.mark.anyio


def old_marks(page: Page) -> int:
    return sum(at.get("class") == "old-mark" for _, at in page.elements)


async def test_values_have_their_age_and_old_ones_a_mark(house: House, monkeypatch) -> None:
    module = await house.module("A-1", type=7)
    core, browser = house.core, await house.browser("technician")
    core.presence.heard(module)
    core.telemetry.report(module, {"temperature": 21.5})
    page = await browser.page("/modules/A-1")
    assert "0 s ago" in page.text and old_marks(page) == 0
    now_ms = core.telemetry.times("A-1")["temperature"]
    monkeypatch.setattr("gateway.core.clock.now_ms", lambda: now_ms + 3_600_000)
    core.telemetry.report(module, {"humidity": 40})
    page = await browser.page("/modules/A-1")
    assert "Some of its values are old." in page.text and old_marks(page) == 1
    core.presence.gone(module, "will")
    page = await browser.page("/modules/A-1")
    assert old_marks(page) == 2
    assert "connection lost" in page.text


async def test_a_clock_that_is_wrong_is_said(house: House) -> None:
    module = await house.module("A-1")
    house.core.telemetry.report(module, {"a": 1}, ts_ms=1000)
    page = await (await house.browser("technician")).page("/modules/A-1")
    assert "1 reading came with a time more than a day off" in page.text
    assert "Its clock is wrong" in page.text


async def test_all_keys_with_a_history_are_listed(house: House) -> None:
    module = await house.module("A-1")
    house.core.telemetry.report(module, {"lamp": {"on": True}, "plain": 2})
    page = await (await house.browser("user_one")).page("/modules/A-1", 404)
    page = await (await house.browser("technician")).page("/modules/A-1")
    links = [at["href"] for tag, at in page.elements if tag == "a" and "key=" in at.get("href", "")]
    assert "/modules/A-1?key=lamp.on#plot" in links and "/modules/A-1?key=plain#plot" in links


async def test_presence_shows_how_it_came_and_went(house: House) -> None:
    module = await house.module("A-1")
    presence = house.core.presence
    presence.session_opened(module, "mqtt")
    presence.heard(module)
    browser = await house.browser("technician")
    page = await browser.page("/modules/A-1")
    assert "Connected over MQTT" in page.text
    for _ in range(6):
        presence.gone(module, "silence")
        presence.heard(module)
    page = await browser.page("/modules/A-1")
    assert "silent too long" in page.text and "More of it" in page.text
    page = await browser.page("/modules/A-1?stays=all")
    assert page.text.count("silent too long") >= 6 and "More of it" not in page.text


async def test_the_log_is_text_whatever_is_in_it_and_can_be_filtered(house: House) -> None:
    module = await house.module("A-1")
    for level, text in (("info", b"\x1b[1mstarted"), ("error", b"<script>alert(1)</script>")):
        house.core.device_log.write(module, level, text)
    browser = await house.browser("technician")
    page = await browser.page("/modules/A-1")
    assert "␛[1mstarted" in page.text and "<script>alert(1)</script>" in page.text
    assert not [at for tag, at in page.elements if tag == "script" and "src" not in at and "type" not in at]
    page = await browser.page("/modules/A-1?level=error")
    assert "started" not in page.text
    # A filter that there is not is none.
    assert "started" in (await browser.page("/modules/A-1?level=nonsense&lines=x&before=-1&kind=y")).text


async def test_the_time_line_says_it_in_words_and_goes_on(house: House) -> None:
    await house.module("A-1", owner="user_one")
    admin = await house.person("admin")
    for number in range(15):
        await house.core.registry.edit("A-1", admin, name=f"Lamp {number}")
    job = {"id": "j", "firmware_id": 99, "attempt": 1, "by": "admin", "error": None}
    house.core.hub.publish(FirmwareJobChanged("A-1", job | {"state": "failed", "error": "no room"}))
    browser = await house.browser("user_one")
    page = await browser.page("/modules/A-1")
    assert "Update to deleted image 99 failed" in page.text and "no room" in page.text
    assert "Renamed from “Lamp 13” to “Lamp 14”" in page.text and "by admin" in page.text
    (older,) = [at["href"] for tag, at in page.elements if tag == "a" and "before=" in at.get("href", "")]
    page = await browser.page(older.partition("#")[0])
    assert "Owner changed from nobody to user_one" in page.text and "Asked to join" in page.text
    page = await browser.page("/modules/A-1?kind=access")
    assert "Approved" in page.text and "Renamed" not in page.text


async def test_rights_are_told_in_words(house: House) -> None:
    await house.module("A-1")
    await house.waiting("B-1")
    browser = await house.browser("technician")
    page = await browser.page("/modules/A-1")
    assert "gw/1/A-1/up/#" in page.text and "gw/1/A-1/down/#" in page.text
    page = await browser.page("/modules/B-1")
    assert "A hello, and nothing else, until it is approved." in page.text


async def test_commands_go_back_page_by_page_and_can_be_sent_again(house: House) -> None:
    await house.module("A-1", type=7)
    admin = await house.person("admin")
    for level in range(20):
        command = await house.core.commands.send("A-1", "set", {"values": {"level": level}}, admin)
        await house.core.commands.cancel("A-1", command.id, admin)
    browser = await house.browser("technician")
    page, seen = await browser.page("/modules/A-1"), ""
    for _ in range(3):
        seen += page.text
        found = [at["href"] for tag, at in page.elements if tag == "a" and "older=" in at.get("href", "")]
        if not found:
            break
        page = await browser.page(found[0].partition("#")[0])
    assert all(f'"level":{level}' in seen for level in range(20))
    page = await browser.page("/modules/A-1?older=nonsense")
    assert "Nothing older." in page.text
    sent = await house.core.commands.page("A-1", limit=50)
    (first,) = [command for command in sent if command.params == {"values": {"level": 3}}]
    reply = await browser.http.post(
        f"/modules/A-1/commands/{first.id}/repeat", data={"csrf": browser.session.csrf}
    )
    assert reply.status_code == 303
    newest = (await house.core.commands.page("A-1", limit=1))[0]
    assert (newest.params, newest.by, newest.status) == ({"values": {"level": 3}}, "technician", "queued")


async def test_the_same_over_rest(house: House) -> None:
    module = await house.module("A-1", owner="user_one")
    house.core.device_log.write(module, "warn", b"low battery")
    house.core.presence.heard(module)
    for name, status in (("user_one", 200), ("user_two", 404)):
        program = await house.program(name)
        for what in ("timeline", "log", "sessions"):
            await program.call("GET", f"/modules/A-1/{what}", status)
    program = await house.program("user_one")
    first = await program.call("GET", "/modules/A-1/timeline?limit=2", 200)
    second = await program.call("GET", f"/modules/A-1/timeline?limit=100&cursor={first['next']}", 200)
    told = [(each["kind"], each["what"]) for each in first["items"] + second["items"]]
    assert told == [
        ("presence", "online"), ("change", "owner"), ("access", "approved"), ("access", "registered"),
    ]  # fmt: skip
    assert first["items"][0]["text"] == "Online: said hello"
    (line,) = (await program.call("GET", "/modules/A-1/log?level=warn", 200))["items"]
    assert (line["level"], line["text"]) == ("warn", "low battery")
    (stay,) = (await program.call("GET", "/modules/A-1/sessions", 200))["items"]
    assert (stay["state"], stay["reason"], stay["until"]) == ("online", "hello", None)
    for bad in ("timeline?kind=x", "timeline?cursor=x", "log?level=fatal", "log?cursor=YWJj"):
        await program.call("GET", f"/modules/A-1/{bad}", 400)


async def test_the_card_says_why_no_offer_reaches_a_module_of_another_dialect(house: House) -> None:
    module = await house.module("A-1")
    browser = await house.browser("technician")
    for session, expected in (("esp32 1", True), ("mqtt", False)):
        house.core.presence.session_opened(module, session)
        page = await browser.page("/modules/A-1")
        assert ("no offer reaches it" in page.text) is expected
    assert "Connected over MQTT, WebSocket" in page.text


async def test_the_page_of_a_busy_module_is_quick(house: House) -> None:
    """Two hundred keys, a thousand commands, five thousand moments: the page stays bounded."""
    module = await house.module("A-1")
    core, admin = house.core, await house.person("admin")
    for part in range(4):
        core.telemetry.report(module, {f"key_{part}_{number}": number for number in range(50)})
    await core.store.run(lambda: [insert_command(module.number, old_command(n)) for n in range(1000)])
    await core.desired.set("A-1", {f"s{number}": number for number in range(60)}, 0, admin)
    for number in range(5000):
        core.timeline.note("A-1", "change", "renamed", "ann", before=str(number), after=str(number + 1))
    browser = await house.browser("technician")
    page = await browser.page("/modules/A-1")
    assert sum(at.get("class") == "age" for _, at in page.elements) == 200
    assert page.text.count("Renamed from") == MOMENTS
    taken = []
    for _ in range(10):
        began = perf_counter()
        await browser.http.get("/modules/A-1")
        taken.append(perf_counter() - began)
    # 30 ms on an idle machine; the bench says it exactly.
    assert min(taken) < 0.5


def old_command(number: int) -> Command:
    return Command(
        id=f"c{number}", module_id="A-1", name="set", params={"values": {"a": number}}, status="done",
        created_at_ms=number, expires_at_ms=None, by="ann", history=(("queued", number), ("done", number)),
    )  # fmt: skip
