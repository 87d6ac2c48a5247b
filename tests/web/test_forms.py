"""Every form, sent as its page renders it: what it does, and what it says when it cannot."""

import re

import pytest

from gateway.core import clock
from tests.web.house import PASSWORD, House
from tests.web.reader import Page

pytestmark = pytest.mark.anyio


async def test_one_or_many_are_approved_in_one_form(house: House) -> None:
    for serial in ("A-1", "A-2", "A-3"):
        await house.waiting(serial)
    browser = await house.browser("technician")
    page = await browser.done("/waiting", "/waiting/decide", id=["A-1", "A-3"], decision="approve")
    assert page.notice == "Approved A-1, A-3. Print labels with their claim codes"
    lives = {module.id: module.life for module in house.core.registry.all()}
    assert lives == {"A-1": "approved", "A-2": "pending", "A-3": "approved"}


async def test_a_rejection_keeps_its_reason_and_can_be_taken_back(house: House) -> None:
    await house.waiting("A-1")
    browser = await house.browser("technician")
    filled = {"id": ["A-1"], "decision": "reject", "reason": "Whose is <this>?"}
    page = await browser.done("/waiting", "/waiting/decide", **filled)
    assert "Rejected A-1." in page.notice
    assert "Whose is <this>?" in page.text
    page = await browser.done("/waiting", "/modules/A-1/unreject")
    assert "may ask again" in page.notice
    assert house.core.registry.known("A-1") is None


async def test_of_two_technicians_the_second_hears_who_was_first(house: House) -> None:
    await house.waiting("A-1")
    first, second = await house.browser("technician_one"), await house.browser("technician_two")
    form = (await second.page("/waiting")).form("/waiting/decide")
    await first.done("/waiting", "/waiting/decide", id=["A-1"], decision="approve")
    filled = form.filled(id=["A-1"], decision="reject", reason="No room")
    reply = await second.http.post("/waiting/decide", data=filled)
    assert reply.status_code == 409
    assert "A-1 was approved by technician_one at" in Page(reply.text).notice


async def test_of_many_each_is_decided_by_itself(house: House) -> None:
    await house.waiting("A-1")
    await house.module("A-2")
    browser = await house.browser("technician")
    page = await browser.done("/waiting", "/waiting/decide", id=["A-1", "A-2", "A-9"], decision="approve")
    assert "Approved A-1." in page.notice
    assert "A-2 was approved by admin" in page.notice
    assert "no module 'A-9'" in page.notice


@pytest.mark.parametrize(
    "filled", [{"decision": "approve"}, {"id": ["A-1"], "decision": "eat"}, {"id": ["A-1"]}]
)
async def test_an_unclear_decision_does_nothing_and_loses_nothing(house: House, filled: dict) -> None:
    await house.waiting("A-1")
    browser = await house.browser("technician")
    page = await browser.refused("/waiting", "/waiting/decide", 400, reason="typed", **filled)
    assert page.form("/waiting/decide").fields["reason"] == ["typed"]
    assert page.form("/waiting/decide").fields.get("id") == filled.get("id")
    assert house.core.registry.get("A-1").life == "pending"


async def test_a_module_that_lost_its_token_gets_its_place_back(house: House) -> None:
    await house.module("A-1", information={"name": "Old name"})
    await house.core.registry.edit("A-1", await house.person("admin"), name="Garland")
    reply = await house.anybody("203.0.113.4").http.post(
        "/modules/register", json={"type": 7, "serial": "A-1", "hardware": "esp32-c3"}
    )
    (claim,) = house.core.registry.claims()
    browser = await house.browser("technician")
    page = await browser.page("/waiting")
    assert all(word in page.text for word in ("Garland", "203.0.113.4", "198.51.100.7", "esp32-c3"))
    page = await browser.done("/waiting", f"/waiting/claims/{claim.number}", decision="approve")
    assert "has its place back" in page.notice
    module = house.core.registry.get("A-1")
    assert (module.name, module.hardware) == ("Garland", "esp32-c3")
    assert house.core.registry.authenticate("A-1", reply.json()["token"]).approved


async def test_a_false_claim_is_rejected_and_the_module_untouched(house: House) -> None:
    before = await house.module("A-1")
    await house.anybody("203.0.113.4").http.post("/modules/register", json={"type": 7, "serial": "A-1"})
    (claim,) = house.core.registry.claims()
    browser = await house.browser("technician")
    action = f"/waiting/claims/{claim.number}"
    assert "untouched" in (await browser.done("/waiting", action, decision="reject")).notice
    assert house.core.registry.get("A-1") == before
    csrf = browser.session.csrf
    gone = await browser.http.post(action, data={"csrf": csrf, "decision": "approve"})
    assert gone.status_code == 409
    assert "A-1 was rejected by technician at" in Page(gone.text).notice


@pytest.mark.parametrize("back", ["/", "/waiting", "/admin"])
async def test_the_window_opens_counts_down_and_closes(house: House, back: str) -> None:
    browser = await house.browser("admin")
    filled = {"mode": "window", "seconds": "900", "type": "8", "quota": "3"}
    page = await browser.done(back, "/join", **filled)
    assert page.notice == "The window is open."
    join = house.core.joining.join
    assert (join.mode, join.type, join.quota_left) == ("window", 8, 3)
    assert 0 < join.until_ms - clock.now_ms() <= 900_000
    closes = r"closes in 1[45]:\d\d or after 3 more devices\. Only for devices of type Weather\."
    assert re.search(closes, page.text)
    page = await browser.done(back, "/join", mode="closed")
    assert "turned away" in page.text
    assert house.core.joining.join.mode == "closed"


@pytest.mark.parametrize(
    "filled", [{"mode": "ajar"}, {"mode": "window", "seconds": "5"}, {"mode": "window", "quota": "many"}]
)
async def test_a_window_out_of_bounds_is_refused(house: House, filled: dict[str, str]) -> None:
    browser = await house.browser("admin")
    await browser.done("/", "/join", **filled)
    assert house.core.joining.join.mode == "open"


async def test_name_place_and_owner_are_changed(house: House) -> None:
    await house.module("A-1")
    lea = await house.person("user_lea")
    browser = await house.browser("technician")
    filled = {"name": " Garland ", "location": "Attic"}
    page = await browser.done("/modules/A-1", "/modules/A-1/edit", **filled)
    assert page.notice == "Saved."
    page = await browser.done("/modules/A-1", "/modules/A-1/give", owner_id=str(lea.id))
    assert page.notice == "Garland belongs to user_lea now."
    module = house.core.registry.get("A-1")
    assert (module.name, module.location, module.owner_id) == ("Garland", "Attic", lea.id)
    owner = await house.browser("user_lea")
    assert "/modules/A-1/give" not in [form.action for form in (await owner.page("/modules/A-1")).forms]
    await owner.done("/modules/A-1", "/modules/A-1/edit", name="Mine", owner_id="")
    module = house.core.registry.get("A-1")
    assert (module.name, module.owner_id) == ("Mine", lea.id)


async def test_a_name_too_long_is_refused_and_stays_typed(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    page = await browser.refused("/modules/A-1", "/modules/A-1/edit", 400, name="x" * 201)
    assert page.form("/modules/A-1/edit").fields["name"] == ["x" * 201]


async def test_a_command_is_sent_with_typed_parameters_and_shown(house: House) -> None:
    await house.module("LED-1", type=0)
    browser = await house.browser("technician")
    colour = {"red": "255", "green": "0", "blue": "7"}
    page = await browser.done("/modules/LED-1", "/modules/LED-1/commands/color", **colour)
    assert page.notice == "Colour: waits for the module."
    (command,) = house.core.commands.of("LED-1")
    assert command.params == {"red": 255, "green": 0, "blue": 7}
    assert "red 255, green 0, blue 7" in page.text
    cancel = f"/modules/LED-1/commands/{command.id}/cancel"
    assert "cancelled" in (await browser.done("/modules/LED-1", cancel)).notice
    assert house.core.commands.of("LED-1")[0].status == "canceled"


@pytest.mark.parametrize(
    ("red", "said"),
    [
        ("256", "must be at most 255"),
        ("1.5", "not what this field takes"),
        ("", "needs 'red'"),
        ("<b>", "<b>"),
    ],
)
async def test_a_command_that_does_not_fit_is_refused_with_what_was_typed(
    house: House, red: str, said: str
) -> None:
    await house.module("LED-1", type=0)
    browser = await house.browser("technician")
    action = "/modules/LED-1/commands/color"
    page = await browser.refused("/modules/LED-1", action, 400, red=red, green="1", blue="2")
    assert said in page.notice
    form = page.form(action)
    assert [form.fields[name] for name in ("red", "green", "blue")] == [[red], ["1"], ["2"]]
    assert house.core.commands.of("LED-1") == []


async def test_parameters_of_every_kind_reach_the_command(house: House) -> None:
    fields = {
        "n": {"kind": "number"}, "i": {"kind": "integer"}, "b": {"kind": "boolean"}, "s": {"kind": "string"},
        "o": {"kind": "object"}, "a": {"kind": "array"}, "c": {"kind": "string", "choices": ["x", "y"]},
        "late": {"kind": "string", "required": False},
    }  # fmt: skip
    declared = {"code": 100, "name": "All", "commands": {"do": {"params": fields}}}
    await house.core.own_types.add(declared, await house.person("admin"))
    await house.module("ALL-1", type=100)
    browser = await house.browser("technician")
    typed = {"n": "1.5", "i": "2", "b": "false", "s": "<i>", "o": '{"k":[1]}', "a": "[1,2]", "c": "y"}
    await browser.done("/modules/ALL-1", "/modules/ALL-1/commands/do", **typed)
    (command,) = house.core.commands.of("ALL-1")
    assert command.params == {
        "n": 1.5, "i": 2, "b": False, "s": "<i>", "o": {"k": [1]}, "a": [1, 2], "c": "y"
    }  # fmt: skip


async def test_a_new_token_is_shown_once(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    reply = await browser.send("/modules/A-1", "/modules/A-1/rotate-token")
    place = reply.headers["location"]
    other = await house.browser("technician")
    assert not [at for _, at in (await other.page(place)).elements if "data-secret" in at]
    page = await browser.page(place)
    token = next(word for word in page.notice.split() if len(word) == 43)
    assert token not in place
    assert house.core.registry.authenticate("A-1", token)
    assert token not in (await browser.page(place)).text


async def test_revoking_and_deleting_need_the_tick(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    for action in ("revoke", "delete"):
        page = await browser.refused("/modules/A-1", f"/modules/A-1/{action}", 400)
        assert "nothing was done" in page.notice
    page = await browser.done("/modules/A-1", "/modules/A-1/revoke", confirm="yes")
    assert "was revoked" in page.notice
    page = await browser.done("/modules/A-1", "/modules/A-1/delete", confirm="yes")
    assert "A-1 and its history were deleted." in page.notice
    assert house.core.registry.known("A-1") is None
    await browser.page("/modules/A-1", 404)


async def test_an_admin_keeps_the_people(house: House) -> None:
    browser = await house.browser("admin")
    filled = {"username": "lea", "password": PASSWORD, "role": "technician"}
    added = await browser.done("/admin/people", "/admin/users", **filled)
    assert "lea was added as technician." in added.notice
    lea = house.core.accounts.people.named("lea")
    action = f"/admin/users/{lea.id}"
    demoted = await browser.done("/admin/people", action, change="role", role="user")
    assert "lea is user now" in demoted.notice
    assert "locked" in (await browser.done("/admin/people", action, change="lock")).notice
    assert house.core.accounts.people.person(lea.id) is None
    assert "may log in again" in (await browser.done("/admin/people", action, change="unlock")).notice


@pytest.mark.parametrize(
    ("filled", "status"),
    [
        ({"username": "admin", "password": PASSWORD, "role": "user"}, 409),
        ({"username": "<b>", "password": PASSWORD, "role": "user"}, 400),
        ({"username": "lea", "password": "short", "role": "user"}, 400),
        ({"username": "lea", "password": PASSWORD, "role": "god"}, 400),
    ],
)
async def test_a_person_that_cannot_be_added_stays_typed(house: House, filled: dict, status: int) -> None:
    browser = await house.browser("admin")
    page = await browser.refused("/admin/people", "/admin/users", status, **filled)
    assert page.form("/admin/users").fields["username"] == [filled["username"]]
    assert page.form("/admin/users").fields["password"] == [""]


async def test_an_admin_keeps_the_programs(house: House) -> None:
    browser = await house.browser("admin")
    page = await browser.done("/admin/people", "/admin/services", name="home-assistant", role="controller")
    token = next(word for word in page.notice.split() if len(word) == 43)
    assert house.core.services.authenticate("home-assistant", token)
    page = await browser.done("/admin/people", "/admin/services/home-assistant/delete", confirm="yes")
    assert "was removed" in page.notice
    assert house.core.services.authenticate("home-assistant", token) is None


async def test_an_outdated_form_does_nothing_and_keeps_what_was_typed(house: House) -> None:
    await house.module("A-1")
    browser = await house.browser("technician")
    fields = {"csrf": "outdated", "name": "Typed with care"}
    reply = await browser.http.post("/modules/A-1/edit", data=fields)
    page = Page(reply.text)
    assert (reply.status_code, house.core.registry.get("A-1").name) == (403, "")
    assert "out of date" in page.notice
    form = page.form("/modules/A-1/edit")
    assert form.fields["name"] == ["Typed with care"]
    assert (await browser.http.post("/modules/A-1/edit", data=form.filled())).status_code == 303
    assert house.core.registry.get("A-1").name == "Typed with care"
