"""Alerts on pages and over REST: each sees his own, channels are the admin's, secrets never come back."""

import re

import pytest

from gateway.core.errors import Said
from gateway.couriers import employ
from tests.gateway.couriers.receivers import http_receiver
from tests.web.house import House

pytestmark = pytest.mark.anyio
NAUGHTY = '<script>alert("x")</script> \u202e \U0001f980'
MAIL = {
    "name": "Mail", "host": "mail.test", "port": "587", "security": "starttls", "sender": "gw@house.test",
    "receivers": "ann@house.test", "user": "gw", "secret": "mail-password-1", "closings": "yes",
}  # fmt: skip


def alarm(house: House, text: str, module: str = "", kind: str = "offline") -> None:
    known = house.core.registry.known(module) if module else None
    house.core.alerting.book.open(kind, module, Said("%(text)s", text=text), known)


async def test_the_page_shows_what_is_open_and_what_is_over_to_those_who_may_see_it(house: House) -> None:
    await house.module("HERS", owner="user")
    await house.module("NOBODYS")
    alarm(house, NAUGHTY, "HERS")
    alarm(house, "nobody's", "NOBODYS")
    alarm(house, "the disk", kind="disk")
    house.core.alerting.book.close("offline", "HERS", Said("it is back"))
    admin, user = await house.browser("admin"), await house.browser("user")
    page = await admin.page("/notifications")
    for text in (NAUGHTY, "it is back", "nobody's", "the disk"):
        assert text in page.text
    hers = await user.page("/notifications")
    assert NAUGHTY in hers.text and "nobody's" not in hers.text and "the disk" not in hers.text
    assert "Channels and rules" in page.text and "Channels and rules" not in hers.text
    assert "<script>alert" not in (await admin.http.get("/notifications")).text


async def test_the_bell_counts_what_is_new_until_it_is_seen(house: House) -> None:
    await house.module("HERS", owner="user")
    alarm(house, "one", "HERS")
    alarm(house, "two", kind="disk")
    admin, user = await house.browser("admin"), await house.browser("user")
    for caller, count in ((admin, "2 new"), (user, "1 new")):
        assert count in (await caller.page("/account")).text
    up_to = house.core.alerting.book.newest
    form = (await admin.page("/notifications")).form("/notifications/seen")
    assert form.filled()["up_to"] == str(up_to)
    alarm(house, "three", kind="database")
    page = await admin.done("/notifications", "/notifications/seen", up_to=str(up_to))
    assert "marked as seen" in page.text and "1 new" in page.text
    assert "1 new" in (await user.page("/account")).text
    for wrong in ("", "x", "-1", "9" * 40):
        reply = await admin.http.post(
            "/notifications/seen", data={"csrf": admin.session.csrf, "up_to": wrong}
        )
        assert reply.status_code == 400


async def test_an_owner_sees_by_rest_what_he_may(house: House) -> None:
    await house.module("HERS", owner="user")
    await house.module("NOBODYS")
    alarm(house, "hers", "HERS")
    alarm(house, "nobody's", "NOBODYS")
    house.core.alerting.book.close("offline", "HERS", Said("back"))
    user, admin = await house.browser("user"), await house.browser("admin")
    (mine,) = (await user.call("GET", "/notifications", 200))["items"]
    assert (mine["subject"], mine["text"], mine["closing"], mine["seen"]) == ("HERS", "hers", "back", False)
    assert (await user.call("GET", "/notifications?open=true", 200))["items"] == []
    first = await admin.call("GET", "/notifications?limit=1", 200)
    second = await admin.call("GET", f"/notifications?limit=1&cursor={first['next']}", 200)
    assert [one["subject"] for one in first["items"] + second["items"]] == ["NOBODYS", "HERS"]
    assert second["next"] is None
    assert await user.call("POST", "/notifications/seen", 200, json={}) == {"unseen": 0}
    assert (await user.call("GET", "/notifications", 200))["items"][0]["seen"]
    await user.call("POST", "/notifications/seen", 400, json={"up_to": -1})
    await user.call("GET", "/notifications?cursor=%C3%A9", 400)


async def test_an_admin_adds_a_webhook_tests_it_changes_it_and_removes_it(house: House) -> None:
    employ(house.core.alerting.post, "https://gateway.test")
    admin = await house.browser("admin")
    with http_receiver() as receiver:
        form = {"name": "Node-RED", "url": f"{receiver.url}/private-path", "kinds": ["offline"]}
        page = await admin.done("/admin/notifications", "/admin/notifications/webhook", **form)
        secret = re.search(r"[A-Za-z0-9_-]{40,}", page.notice).group()
        again = await admin.page("/admin/notifications")
        assert secret not in again.text
        (channel,) = house.core.alerting.channels.all()
        base = f"/admin/notifications/{channel.id}"
        receiver.secret = secret
        page = await admin.done("/admin/notifications", f"{base}/test")
        assert "was taken" in page.notice and receiver.taken[0]["event"] == "test"
    page = await admin.done("/admin/notifications", f"{base}/test")
    assert "failed" in page.notice and "private-path" not in page.notice and "Fails" in page.text
    edit = {"name": "Flows", "kinds": ["disk", "database"], "quiet_begin": "22:00", "quiet_end": "07:00"}
    await admin.done("/admin/notifications", f"{base}/edit", **edit)
    plan = house.core.alerting.channels.get(channel.id).plan
    assert (plan.name, plan.kinds, plan.quiet.begin) == ("Flows", ("disk", "database"), "22:00")
    assert house.core.alerting.channels.secret(channel.id) == secret
    await admin.refused("/admin/notifications", f"{base}/delete", 400, confirm=None)
    await admin.done("/admin/notifications", f"{base}/delete", confirm="yes")
    assert house.core.alerting.channels.all() == []
    trail = repr(await house.core.audit.rows(limit=100))
    assert secret not in trail and "private-path" not in trail
    for action in ("channel.add", "channel.test", "channel.change", "channel.remove"):
        assert action in trail


async def test_a_form_that_is_not_taken_keeps_what_was_typed(house: House) -> None:
    admin = await house.browser("admin")
    path = "/admin/notifications/email"
    page = await admin.refused("/admin/notifications", path, 400, **MAIL | {"receivers": "no address"})
    again = page.form(path).filled()
    assert again["host"] == "mail.test" and again["receivers"] == "no address"
    assert "mail-password-1" not in page.text and "no e-mail address" in page.notice
    page = await admin.done("/admin/notifications", path, **MAIL)
    assert "mail-password-1" not in page.text and "ann@house.test" in page.text


async def test_rules_by_group(house: House) -> None:
    admin = await house.browser("admin")
    await house.module("A-1")
    await house.core.registry.edit("A-1", await house.person("admin"), group="cellar")
    values = {"default": "15", "minutes": "3"}
    await admin.done("/admin/notifications", "/admin/notifications/rules", **values)
    rules = house.core.alerting.rules
    assert rules.default == 15 and rules.minutes("cellar") == 3 and rules.minutes("garden") == 15
    assert await admin.call("GET", "/notification-rules", 200) == {"default": 15, "groups": {"cellar": 3}}
    await admin.call("PUT", "/notification-rules", 200, json={"groups": {}, "default": 0})
    assert rules.minutes("cellar") == 0
    await admin.call("PUT", "/notification-rules", 400, json={"groups": {"x": -1}})
    await admin.call("PUT", "/notification-rules", 400, json={"groups": {"\n": 1}})


async def test_channels_over_rest(house: House) -> None:
    employ(house.core.alerting.post, "https://gateway.test")
    admin = await house.browser("admin")
    with http_receiver() as receiver:
        body = {"name": "hook", "kind": "webhook", "target": {"url": receiver.url}, "kinds": ["clone"]}
        made = await admin.call("POST", "/notification-channels", 201, json=body)
        path = f"/notification-channels/{made['id']}"
        assert made["secret"] and made["has_secret"]
        await admin.call("POST", "/notification-channels", 409, json=body)
        shown = await admin.call("GET", path, 200)
        assert "secret" not in shown and shown["target"]["url"] == receiver.url
        receiver.secret = made["secret"]
        assert await admin.call("POST", f"{path}/test", 200) == {"taken": True, "fault": ""}
    tested = await admin.call("POST", f"{path}/test", 200)
    assert not tested["taken"] and tested["fault"]
    quiet = {"active": False, "quiet_begin": "1:00", "quiet_end": "2:00"}
    changed = await admin.call("PATCH", path, 200, json=quiet)
    assert (changed["active"], changed["quiet_begin"], changed["kinds"]) == (False, "1:00", ["clone"])
    wrongs = ({}, {"kinds": ["x"]}, {"quiet_begin": "25:00"}, {"secret": ""}, {"target": {"url": "x"}})
    for wrong in wrongs:
        await admin.call("PATCH", path, 400, json=wrong)
    await admin.call("DELETE", path, 204)
    await admin.call("GET", path, 404)
    trail = repr(await house.core.audit.rows(limit=100))
    assert made["secret"] not in trail
