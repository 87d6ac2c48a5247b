"""Language, zone and colours follow a person from browser to browser, and a browser before a log-in."""

import pytest

from gateway.core.access.preferences import Preference
from tests.web.house import House

pytestmark = pytest.mark.anyio


async def test_what_somebody_likes_is_kept_and_audited(house: House) -> None:
    browser = await house.browser("user")
    wanted = {"language": "fr", "zone": "Europe/Paris", "theme": "dark"}
    page = await browser.done("/account", "/account/preferences", **wanted)
    assert page.elements[0] == ("html", {"lang": "fr", "data-theme": "dark", "data-zone": "Europe/Paris"})
    assert "Europe/Paris" in page.text
    person = await house.person("user")
    assert house.core.preferences.of(person.id) == Preference("fr", "Europe/Paris", "dark")
    (row,) = [row for row in await house.core.audit.rows(limit=5) if row["action"] == "user.preferences"]
    assert (row["who"], row["details"]["after"]) == ("user", wanted)
    # On another browser, in another language.
    other = await house.browser("user")
    reply = await other.http.get("/account", headers={"accept-language": "en"})
    assert '<html lang="fr" data-theme="dark" data-zone="Europe/Paris">' in reply.text
    again = type(house.core.preferences)(house.core.store, house.core.hub)
    await again.load()
    assert again.of(person.id).zone == "Europe/Paris"


@pytest.mark.parametrize(
    "wrong", [{"language": "xx"}, {"zone": "Mars/Base"}, {"zone": "../../etc/passwd"}, {"theme": "pink"}]
)
async def test_what_is_no_choice_is_refused(house: House, wrong: dict[str, str]) -> None:
    browser = await house.browser("user")
    await browser.refused("/account", "/account/preferences", 400, **wrong)
    assert house.core.preferences.of((await house.person("user")).id) == Preference()


async def test_the_switches_work_for_anybody(house: House) -> None:
    caller = house.anybody()
    page = await caller.page("/login")
    form = page.form("/language")
    reply = await caller.http.post("/language", data=form.filled(language="fr"))
    assert (reply.status_code, reply.headers["location"]) == (303, "/login")
    assert '<html lang="fr"' in (await caller.http.get("/login")).text
    # One that we do not have changes nothing.
    await caller.http.post("/language", data=form.filled(language="xx"))
    assert '<html lang="fr"' in (await caller.http.get("/login")).text


async def test_the_switches_are_kept_for_who_is_logged_in(house: House) -> None:
    browser = await house.browser("user")
    await browser.http.post("/language", data={"csrf": browser.session.csrf, "language": "fr"})
    await browser.http.post("/theme", data={"csrf": browser.session.csrf, "theme": "light"})
    liked = house.core.preferences.of((await house.person("user")).id)
    assert (liked.language, liked.theme) == ("fr", "light")


async def test_times_go_by_the_zone_of_who_looks(house: House) -> None:
    module = await house.module("a-1")
    at_ms = module.created_at_ms
    browser = await house.browser("admin")
    assert "Times are UTC." in (await browser.http.get("/modules")).text
    # What a browser says of itself, until somebody chooses.
    browser.http.cookies.set("passerelle_zone", "Asia/Tokyo")
    assert "Times are Asia/Tokyo." in (await browser.http.get("/modules")).text
    browser.http.cookies.set("passerelle_zone", "<b>x</b>")
    assert "Times are UTC." in (await browser.http.get("/modules")).text
    await house.core.preferences.change(await house.person("admin"), zone="Pacific/Kiritimati")
    assert "Times are Pacific/Kiritimati." in (await browser.http.get("/modules")).text
    assert at_ms > 0
