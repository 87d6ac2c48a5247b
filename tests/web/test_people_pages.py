"""Accounts by page: one's own, those of others, invitations, sign-ups and programs."""

import re

import pytest

from gateway.core.access.sessions import COOKIE
from gateway.core.rights import ServiceRole, grants
from tests.web.house import PASSWORD, Caller, House
from web.rightswords import _WORDS, rights_of_role

pytestmark = pytest.mark.anyio
NEW = {"username": "lea", "password": PASSWORD, "again": PASSWORD}


async def open_sign_up(house: House) -> None:
    await house.core.choices.set({"people.sign_up": "approval"}, await house.person("admin"))


# One's own account


async def test_profile_and_sessions(house: House) -> None:
    here, there = await house.browser("user"), await house.browser("user")
    await house.program("user")
    assert "saved" in (await here.done("/account", "/account/profile", name="<i>Lea</i>", email="l@h")).notice
    page = await here.page("/account")
    assert page.form("/account/profile").fields["name"] == ["<i>Lea</i>"]
    ends = [form.action for form in page.forms if form.action.startswith("/account/sessions/")]
    assert len(ends) == 3 and "this one" in page.text
    action = f"/account/sessions/{there.session.id}/end"
    assert "has ended" in (await here.done("/account", action)).notice
    assert (await there.http.get("/")).status_code == 303
    other = await house.browser("admin")
    fields = {"csrf": here.session.csrf}
    foreign = await here.http.post(f"/account/sessions/{other.session.id}/end", data=fields)
    assert foreign.status_code == 404 and (await other.http.get("/")).status_code == 200
    reply = await here.send("/account", f"/account/sessions/{here.session.id}/end")
    assert reply.headers["location"] == "/login" and (await here.http.get("/")).status_code == 303


async def token_of(browser: Caller, **more: str) -> str:
    filled = {"name": "script", "scope": "act", "role": "user", "days": "30"} | more
    page = await browser.done("/account", "/account/tokens", **filled)
    return next(word for word in page.notice.split() if word.startswith("psr_"))


async def test_tokens_are_made_shown_once_and_revoked(house: House) -> None:
    browser = await house.browser("user")
    token = await token_of(browser)
    assert token not in (await browser.http.get("/account")).text
    program = house.anybody(authorization=f"Bearer {token}")
    assert (await program.call("GET", "/account", 200))["username"] == "user"
    number = house.core.accounts.tokens.of((await house.person("user")).id)[0].id
    action = f"/account/tokens/{number}/revoke"
    assert "Tick" in (await browser.refused("/account", action, 400)).notice
    await browser.done("/account", action, confirm="yes")
    await program.call("GET", "/account", 401)
    for wrong in ({"scope": "all"}, {"role": "admin"}, {"days": "9999"}, {"name": " "}):
        filled = {"name": "x", "scope": "read", "role": "user", "days": "30"} | wrong
        page = await browser.send("/account", "/account/tokens", **filled)
        assert page.status_code in (400, 403)


async def test_logging_out_everywhere_takes_tokens_along_when_ticked(house: House) -> None:
    for tick, status in (({}, 200), ({"tokens": "yes"}, 401)):
        browser = await house.browser("user")
        token = await token_of(browser, name=f"script {status}")
        assert (await browser.send("/account", "/account/logout-everywhere", **tick)).status_code == 303
        await house.anybody(authorization=f"Bearer {token}").call("GET", "/account", status)


# Others


async def test_an_admin_says_which_groups_somebody_reaches(house: House) -> None:
    admin, user = await house.browser("admin"), await house.browser("user")
    await house.module("A-1", type=0)
    person = await house.person("user")
    await house.core.registry.edit("A-1", await house.person("admin"), group="Barn")
    action = f"/admin/users/{person.id}"
    filled = {"csrf": admin.session.csrf, "change": "scope", "groups": " Barn, <b>Mill</b>"}
    assert (await admin.http.post(action, data=filled)).status_code == 303
    assert (await user.http.get("/")).status_code == 303, "the session of before has ended"
    scoped = house.core.accounts.people.person(person.id)
    assert (scoped.groups, scoped.acts) == (frozenset({"Barn", "<b>Mill</b>"}), False)
    assert "<b>Mill</b>" in (await admin.page("/admin/people")).text
    program = await house.program("admin")
    wanted = {"groups": ["Barn"], "acts": True}
    found = await program.call("PUT", f"/users/{person.id}/scope", 200, json=wanted)
    assert (found["groups"], found["acts"]) == (["Barn"], True)
    own = (await house.person("admin")).id
    await program.call("PUT", f"/users/{own}/scope", 409, json=wanted)


# Invitations


async def test_an_invitation_from_link_to_account(house: House) -> None:
    admin = await house.browser("admin")
    filled = {"role": "technician", "groups": "Barn", "note": "Lea", "days": "3"}
    page = await admin.done("/admin/people", "/admin/invitations", **filled)
    link = re.search(r"http://gateway\.test/join-us#(\w{43})", page.notice)
    assert link, page.notice
    assert link[1] not in (await admin.http.get("/admin/people")).text
    guest = house.anybody()
    bad = await guest.refused("/join-us", "/join-us", 403, code="x" * 43, **NEW)
    assert bad.form("/join-us").fields["username"] == ["lea"]
    assert bad.form("/join-us").fields["password"] == [""]
    reply = await guest.send("/join-us", "/join-us", code=link[1], **NEW)
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    assert COOKIE in guest.http.cookies
    lea = house.core.accounts.people.named("lea")
    assert (lea.role, lea.groups) == ("technician", frozenset({"Barn"}))
    again = house.anybody()
    assert "not good" in (await again.refused("/join-us", "/join-us", 403, code=link[1], **NEW)).notice


async def test_an_invitation_is_taken_back(house: House) -> None:
    admin = await house.browser("admin")
    filled = {"role": "user", "days": "7", "note": "<b>me</b>"}
    await admin.done("/admin/people", "/admin/invitations", **filled)
    (made,) = house.core.accounts.invitations.all()
    assert "<b>me</b>" in (await admin.page("/admin/people")).text
    await admin.done("/admin/people", f"/admin/invitations/{made.id}/delete")
    assert house.core.accounts.invitations.all() == []
    for wrong in ({"days": "x"}, {"days": "0"}, {"days": "1000"}, {"role": "god"}):
        await admin.refused("/admin/people", "/admin/invitations", 400, **(filled | wrong))


async def test_the_invitation_page_works_alone_and_keeps_the_code_out_of_addresses(house: House) -> None:
    page = await house.anybody().page("/join-us")
    assert page.form("/join-us").method == "post"
    scripts = [at["src"] for tag, at in page.elements if tag == "script" and "src" in at]
    assert "/static/fragment.js" in scripts
    field = next(at for _, at in page.elements if at.get("name") == "code")
    assert "data-fragment" in field and field["type"] == "text"


# Sign-ups


async def test_sign_up_is_closed_unless_opened(house: House) -> None:
    await house.person("admin")
    stranger = house.anybody()
    assert "by invitation" in (await stranger.page("/sign-up", 403)).text
    assert "/sign-up" not in (await stranger.http.get("/login")).text
    form = (await stranger.page("/login")).form("/login")
    data = NEW | {"csrf": form.fields["csrf"][0]}
    assert (await stranger.http.post("/sign-up", data=data)).status_code == 403
    assert house.core.accounts.sign_ups.all() == []


async def test_somebody_asks_and_an_admin_decides(house: House) -> None:
    await open_sign_up(house)
    stranger = house.anybody()
    assert "/sign-up" in (await stranger.http.get("/login")).text
    replies = set()
    for name in ("lea", "admin"):
        reply = await stranger.send("/sign-up", "/sign-up", **(NEW | {"username": name, "note": "<b>hi</b>"}))
        assert reply.status_code == 202 and COOKIE not in stranger.http.cookies
        replies.add(re.sub(r'name="csrf" value="\w+"', "", reply.text))
    assert len(replies) == 1, "the answer tells whether there is a user of that name"
    login = await stranger.send("/login", "/login", username="lea", password=PASSWORD)
    assert login.status_code == 401
    admin = await house.browser("admin")
    page = await admin.page("/admin/people")
    assert "2 wait" in page.text and "<b>hi</b>" in page.text and "a user of this name already" in page.text
    lea, twin = house.core.accounts.sign_ups.all()
    action = f"/admin/sign-ups/{twin.id}"
    await admin.refused("/admin/people", action, 409, decision="approve", role="user")
    assert "rejected" in (await admin.done("/admin/people", action, decision="reject")).notice
    done = await admin.done(
        "/admin/people", f"/admin/sign-ups/{lea.id}", decision="approve", role="technician"
    )
    assert "lea was added as technician." in done.notice
    assert (await stranger.send("/login", "/login", username="lea", password=PASSWORD)).status_code == 303


async def test_what_was_typed_into_a_sign_up_stays_but_for_passwords(house: House) -> None:
    await open_sign_up(house)
    page = await house.anybody().refused(
        "/sign-up", "/sign-up", 400, **(NEW | {"again": "other", "note": "me"})
    )
    form = page.form("/sign-up")
    assert (form.fields["username"], form.fields["note"], form.fields["password"]) == (["lea"], ["me"], [""])


# Programs


@pytest.mark.parametrize("role", list(ServiceRole))
def test_the_words_about_rights_come_from_the_grants(role: ServiceRole) -> None:
    from gateway.core.rights import Service

    program = Service("", role)
    granted = {*grants(program, "subscribe"), *grants(program, "publish")}
    assert granted <= _WORDS.keys(), "a grant without words"
    said = rights_of_role(role, "/".join)
    assert len([right for right in said if right.topic]) == len(granted)
    assert all(right.verb == "May not" for right in said if not right.topic)
    may_command = any(right.verb == "May send" for right in said)
    assert may_command is (role is ServiceRole.CONTROLLER)
    assert any("send commands" in right.what for right in said) is not may_command


async def test_a_program_gets_a_new_token_with_a_tick(house: House) -> None:
    browser = await house.browser("admin")
    page = await browser.done("/admin/people", "/admin/services", name="ha", role="reader")
    old = next(word for word in page.notice.split() if len(word) == 43)
    action = "/admin/services/ha/rotate"
    assert "Tick" in (await browser.refused("/admin/people", action, 400)).notice
    page = await browser.done("/admin/people", action, confirm="yes")
    new = next(word for word in page.notice.split() if len(word) == 43)
    assert house.core.services.authenticate("ha", old) is None
    assert house.core.services.authenticate("ha", new)
    text = (await browser.page("/admin/people")).text
    assert "May read : everything modules publish" in text.replace("May read:", "May read :")
    assert "May not" in text and "Home Assistant" in text and "Node-RED" in text
