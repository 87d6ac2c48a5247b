"""Links to images: for one module, one update, a quarter of an hour; all else is refused with a reason."""

import pytest

from firmware.links import LIFETIME_S, SLACK_S, Links
from firmware.values import Job
from gateway.core.errors import Forbidden
from gateway.core.values import Module
from tests.gateway.core.heart import Clock

KEY = "k" * 40


def job(id="j1"):
    return Job(
        id=id, module_number=1, image_id=1, previous="", state="offered", size=1, due_ms=0, since_ms=0,
        created_at_ms=0, by="tom",
    )  # fmt: skip


def module(number=1):
    return Module(
        id=f"MC-{number}",
        number=number,
        uuid="u",
        name="",
        location="",
        type=7,
        life="approved",
        created_at_ms=0,
    )


@pytest.fixture
def links():
    return Links(KEY)


def refused(links, token, of=None, to=None):
    with pytest.raises(Forbidden) as refusal:
        links.check(token, of or job(), to or module())
    return refusal.value.message


def test_a_link_opens_what_it_was_made_for(links):
    url = links.url("http://192.0.2.7:8080", job(), module())
    base, _, token = url.partition("?t=")
    assert base == "http://192.0.2.7:8080/fw/j1"
    links.check(token, job(), module())
    assert links.holder(token, "j1") == 1
    # After a restart too.
    Links(KEY).check(token, job(), module())


def test_another_module_another_update_another_gateway(links):
    token = links.token(job(), module())
    assert "another module" in refused(links, token, to=module(2))
    assert "damaged" in refused(links, token, of=job("j2"))
    assert "damaged" in refused(Links("x" * 40), token)
    # The key is derived: what else is signed with the gateway's key opens nothing here.
    assert KEY not in token


def test_it_expires(links, monkeypatch):
    clock = Clock(monkeypatch)
    token = links.token(job(), module())
    clock.pass_s(LIFETIME_S - 2)
    links.check(token, job(), module())
    clock.pass_s(3)
    assert "expired" in refused(links, token)
    # Another's expired link tells nothing but that.
    assert "expired" in refused(links, token, to=module(2))


def test_a_clock_that_was_set_back_keeps_no_link_alive_for_long(links, monkeypatch):
    clock = Clock(monkeypatch)
    token = links.token(job(), module())
    clock.pass_s(-SLACK_S + 1)
    links.check(token, job(), module())
    clock.pass_s(-3600)
    assert "expired" in refused(links, token)


def test_every_changed_character_is_noticed(links):
    token = links.token(job(), module())
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert "damaged" in refused(links, token[:place] + other + token[place + 1 :])
    for cut in range(len(token)):
        assert "damaged" in refused(links, token[:cut])


@pytest.mark.parametrize(
    "token", ["", ".", "1.2.", "x" * 10_000, "é" * 20, "\udcff.1.2", "\0", "1.9999999999." + "A" * 43]
)
def test_nonsense_is_damaged(links, token):
    assert "damaged" in refused(links, token)
