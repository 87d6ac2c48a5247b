"""REST: settings and choices, figures, limits."""

import pytest

from gateway.core.choices import Choice
from gateway.core.rights import ServiceRole
from tests.web.house import House

pytestmark = pytest.mark.anyio


async def test_choices_are_read_and_changed_all_or_none(house: House) -> None:
    admin = await house.program("admin")
    before = await admin.call("GET", "/settings", 200)
    known = {choice["name"]: choice for choice in before["choices"]}
    assert known["history.raw_days"]["value"] == known["history.raw_days"]["default"] == 7
    assert (known["history.raw_days"]["low"], known["people.sign_up"]["low"]) == (1, None)
    wanted = {"history.raw_days": 14, "modules.proof": True}
    changed = await admin.call("PATCH", "/settings", 200, json=wanted)
    now = {choice["name"]: choice for choice in changed["choices"]}
    assert (now["history.raw_days"]["value"], now["history.raw_days"]["is_set"]) == (14, True)
    for wrong, status in (
        ({}, 400), ({"history.raw_days": 0}, 400), ({"history.raw_days": "9"}, 400), ({"none": 1}, 404),
        ({"history.raw_days": 9, "modules.proof": "yes"}, 400), ({"history.raw_days": None}, 400),
    ):  # fmt: skip
        await admin.call("PATCH", "/settings", status, json=wrong)
    assert house.core.choices.number("history.raw_days") == 14
    (row,) = await house.core.audit.rows(subject="settings")
    assert row["details"]["history.raw_days"] == {"before": 7, "after": 14}
    assert (row["who"], row["role"], row["address"]) == ("admin", "admin", "192.0.2.1")


async def test_secrets_among_the_choices_are_written_and_never_shown(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Choice("x.secret", "X", "Secret", "", secret=True)
    monkeypatch.setitem(house.core.choices._declared, secret.name, secret)
    admin = await house.program("admin")
    reply = await admin.call("PATCH", "/settings", 200, json={"x.secret": "canary-4711"})
    (told,) = [choice for choice in reply["choices"] if choice["name"] == "x.secret"]
    assert (told["value"], told["is_set"]) == (None, True)
    assert house.core.choices.text("x.secret") == "canary-4711"
    assert "canary-4711" not in str(reply) + str(await house.core.audit.rows())


async def test_figures_of_the_gateway_are_for_those_who_keep_it(house: House) -> None:
    await house.module("A-1", owner="user")
    for caller in (await house.program("technician"), await house.service(ServiceRole.READER)):
        told = (await caller.call("GET", "/stats", 200))["gateway"]
        assert told["database_bytes"] > 0 and 0 < told["disk"]["free"] <= told["disk"]["total"]
        assert told["uptime_s"] >= 0 and told["dropped"] == {"writes": 0, "notices": 0}
        assert told["rates"].keys() == {"messages", "readings"}
    user = await (await house.program("user")).call("GET", "/stats", 200)
    assert user["gateway"] is None and user["modules"]["offline"] == 1


async def test_what_one_may_ask_and_what_is_left(house: House) -> None:
    told = await (await house.program("user")).call("GET", "/limits", 200)
    assert told["calls"] == {"enabled": True, "a_minute": 1800, "at_once": 600, "left": 599, "retry_after": 0}
