"""Who is there, why, and since when; time is simulated."""

from itertools import pairwise

import pytest

from gateway.core.events import Alert, PresenceChanged
from gateway.core.presence import PresenceBook
from tests.gateway.core.heart import TECHNICIAN, application, approved, heard, open_heart

pytestmark = pytest.mark.anyio


def fresh_book(core, clock):
    """A presence book on the test's clock, in place of the core's own."""
    for listeners in core.hub._listeners.values():
        listeners[:] = [each for each in listeners if getattr(each, "__self__", None) is not core.presence]
    return PresenceBook(core.store, core.hub, core.registry, core.types, clock.monotonic)


def now(book, id="MC-1"):
    presence = book.of(id)
    return presence.state, presence.reason


async def test_every_way_on_and_off_says_why_and_since(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        book, events = fresh_book(core, clock), heard(core, PresenceChanged)
        assert now(book) == ("offline", "")
        steps = [
            (lambda: book.heard(module), ("online", "hello")),
            (lambda: book.gone(module, "will"), ("offline", "will")),
            (lambda: book.heard(module), ("online", "hello")),
            (lambda: book.gone(module, "goodbye"), ("offline", "goodbye")),
            (lambda: book.fell_asleep(module, 600), ("sleeping", "goodbye")),
            (lambda: book.session_closed("MC-1", "mqtt", "will"), ("sleeping", "goodbye")),
            (lambda: book.heard(module), ("online", "hello")),
            (lambda: book.session_opened(module, "mqtt"), ("online", "hello")),
            (lambda: book.session_closed("MC-1", "mqtt", "revoked"), ("offline", "revoked")),
        ]
        for step, expected in steps:
            clock.pass_s(1)
            before, since_ms = now(book), book.of("MC-1").since_ms
            step()
            assert now(book) == expected
            assert book.of("MC-1").since_ms == (clock.ms if expected != before else since_ms)
        # One event a change, each from where the last one ended.
        assert len(events) == 7
        assert all(a.after == b.before for a, b in pairwise(events))
        assert [event.since_ms for event in events] == sorted(event.since_ms for event in events)


async def test_silence_ends_it_when_the_time_is_over_and_not_before(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        book = fresh_book(core, clock)
        book.heard(module)
        clock.pass_s(90)
        book.tick()
        assert now(book)[0] == "online"
        # A wall clock that jumps ends nobody.
        clock.ms += 3_600_000
        book.tick()
        assert now(book)[0] == "online"
        clock.pass_s(1)
        book.tick()
        assert now(book) == ("offline", "silence")


async def test_a_sleeper_may_miss_a_wake_and_not_two(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        book = fresh_book(core, clock)
        book.fell_asleep(module, 600)
        clock.pass_s(2 * 600)
        book.tick()
        assert now(book)[0] == "sleeping"
        clock.pass_s(91)
        book.tick()
        assert now(book) == ("offline", "silence")
        book.fell_asleep(module, None)
        clock.pass_s(10**7)
        book.tick()
        assert now(book)[0] == "sleeping"


async def test_after_a_restart_nobody_is_offline_because_we_were(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        for serial in ("ON", "OFF", "NAP"):
            await approved(core, serial)
        core.presence.heard(core.registry.get("ON"))
        core.presence.heard(core.registry.get("OFF"))
        core.presence.gone(core.registry.get("OFF"), "will")
        core.presence.fell_asleep(core.registry.get("NAP"), 600)
        seen_ms, off_since_ms = clock.ms, core.presence.of("OFF").since_ms
    clock.pass_s(86400)
    async with open_heart(tmp_path) as core:
        assert now(core.presence, "ON") == ("unknown", "broker_lost")
        assert core.presence.of("ON").last_seen_ms == seen_ms
        assert now(core.presence, "OFF") == ("offline", "will")
        assert core.presence.of("OFF").since_ms == off_since_ms
        assert now(core.presence, "NAP")[0] == "sleeping"
        book = fresh_book(core, clock)
        await book.load()
        clock.pass_s(91)
        book.tick()
        assert now(book, "ON") == ("offline", "silence")


async def test_who_keeps_coming_and_going_is_unstable_once(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        book, alerts = fresh_book(core, clock), heard(core, Alert)
        for flip in range(20):
            clock.pass_s(10)
            book.gone(module, "will") if flip % 2 else book.heard(module)
            assert book.of("MC-1").unstable == (flip >= 5)
        assert len(alerts) == 1
        clock.pass_s(600)
        assert not book.of("MC-1").unstable


async def test_only_the_approved_are_online_and_a_connected_one_at_once(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        await core.enrolment.register(application(), "10.0.0.1")
        module = core.registry.get("MC-1")
        core.presence.session_opened(module, "mqtt")
        core.presence.heard(module)
        assert now(core.presence)[0] == "offline" and core.status(module) == "pending"
        clock.pass_s(5)
        await core.decisions.approve(["MC-1"], TECHNICIAN)
        assert now(core.presence) == ("online", "hello") and core.presence.of("MC-1").since_ms == clock.ms


async def test_late_words_about_who_is_gone_change_nothing(tmp_path, clock):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core)
        core.presence.heard(module)
        await core.registry.delete("MC-1", TECHNICIAN)
        events = heard(core, PresenceChanged)
        core.presence.session_closed("MC-1", "mqtt", "will")
        core.tick()
        core.presence.save()
        assert events == []
    async with open_heart(tmp_path) as core:
        await approved(core)
        assert core.presence.of("MC-1").last_seen_ms is None
