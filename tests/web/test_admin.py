"""Admin pages: health, settings with their defaults and last changes, statistics, activity."""

import pytest

from gateway.core.core import Core
from tests.web.house import House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio
SETTINGS = "/admin/settings"
PLACES = ("/admin", "/admin/programs", "/admin/statistics", "/admin/activity", SETTINGS, "/admin/backup")


def fields(core: Core, group: str) -> dict[str, str]:
    """A group's form as its page has it."""
    shown = {"group": group}
    for choice in core.choices.declared():
        if choice.group == group:
            value = core.choices[choice.name]
            text = str(value) if not isinstance(value, bool) else "on" if value else "off"
            shown |= {choice.name: text, f"was:{choice.name}": text}
    return shown


async def test_every_place_leads_to_every_other(house: House) -> None:
    browser = await house.browser("admin")
    for place in PLACES:
        page = await browser.page(place)
        links = {at["href"] for tag, at in page.elements if tag == "a" and "href" in at}
        assert set(PLACES) <= links, place
        here = {at["href"] for tag, at in page.elements if tag == "a" and at.get("aria-current") == "page"}
        assert here == {"/admin", place}, place


async def test_the_overview_says_how_the_gateway_is(house: House) -> None:
    page = await (await house.browser("admin")).page("/admin")
    for words in ("MQTT broker", "Database", "Disk", "Audit trail", "Encryption off", "Last backup never"):
        assert words in page.text


async def test_statistics_count_the_house(house: House) -> None:
    module = await house.module("STAT-1", type=7)
    house.core.telemetry.report(module, {"temperature": 21.5})
    page = await (await house.browser("admin")).page("/admin/statistics")
    assert "STAT-1" in page.text
    assert "The first figures come" in page.text or "Messages a second" in page.text


async def test_activity_shows_the_newest_rows_without_scripts(house: House) -> None:
    browser = await house.browser("admin")
    await house.core.maintenance.set(True, "<b>why", await house.person("admin"))
    await house.core.maintenance.set(False, "", await house.person("admin"))
    page = await browser.page("/admin/activity")
    assert "maintenance.on" in page.text
    assert "<b>why" in page.text
    assert not [tag for tag, _ in page.elements if tag == "b"]


async def test_a_setting_is_saved_shown_with_its_author_and_taken_back(house: House) -> None:
    browser = await house.browser("admin")
    page = await browser.done(
        SETTINGS, SETTINGS, **fields(house.core, "History") | {"history.raw_days": "30"}
    )
    assert page.notice == "Saved."
    assert house.core.choices.number("history.raw_days") == 30
    assert "Changed by admin on" in page.text
    assert "Default: 7 days." in page.text
    page = await browser.done(SETTINGS, SETTINGS, reset="history.raw_days")
    assert "is as it came" in page.notice
    assert house.core.choices.number("history.raw_days") == 7
    page = await browser.done(SETTINGS, SETTINGS, **fields(house.core, "History"))
    assert page.notice == "Nothing was changed."


@pytest.mark.parametrize("typed", ["", "0", "-1", "3651", "1e3", "9" * 13, "²", "<b>"])
async def test_what_is_no_value_is_refused_and_stays_in_the_form(house: House, typed: str) -> None:
    browser = await house.browser("admin")
    filled = fields(house.core, "History") | {"history.raw_days": typed, "history.hours_days": "700"}
    page = await browser.refused(SETTINGS, SETTINGS, 400, **filled)
    assert "whole number from 1 to 3650" in page.notice
    assert house.core.choices.number("history.hours_days") == 730
    held = [form for form in page.forms if "history.raw_days" in form.fields]
    assert held[0].fields["history.hours_days"] == ["700"]


async def test_switches_and_lists(house: House) -> None:
    browser = await house.browser("admin")
    filled = fields(house.core, "Modules") | {"modules.proof": "on"}
    await browser.done(SETTINGS, SETTINGS, **filled)
    assert house.core.choices.is_on("modules.proof")
    filled = fields(house.core, "Modules")
    del filled["modules.proof"]
    await browser.done(SETTINGS, SETTINGS, **filled)
    assert not house.core.choices.is_on("modules.proof")
    filled = fields(house.core, "People") | {"people.sign_up": "everybody"}
    await browser.refused(SETTINGS, SETTINGS, 400, **filled)
    await browser.refused(SETTINGS, SETTINGS, 404, reset="no.such")


async def test_the_second_of_two_is_told_what_changed(house: House) -> None:
    browser, admin = await house.browser("admin"), await house.person("admin")
    stale = fields(house.core, "History")
    await house.core.choices.set({"history.raw_days": 14}, admin)
    page = await browser.refused(SETTINGS, SETTINGS, 409, **stale | {"history.raw_days": "21"})
    assert "changed to 14 meanwhile" in page.notice
    assert house.core.choices.number("history.raw_days") == 14
    # What was not touched does not go back to what it was.
    await browser.done(SETTINGS, SETTINGS, **stale | {"history.hours_days": "700"})
    assert house.core.choices.number("history.raw_days") == 14
    assert house.core.choices.number("history.hours_days") == 700


async def test_the_environment_is_shown_without_its_secrets(house: House) -> None:
    page: Page = await (await house.browser("admin")).page(SETTINGS)
    assert "PASSERELLE_HTTP_PORT" in page.text
    assert "secret, kept in the data folder" in page.text
    assert house.core.settings.signing_key() not in page.text
