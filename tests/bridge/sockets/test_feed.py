"""The live stream: what a browser knows by adding up what it was told is what it may know, always."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.sockets.audience import Audience, Browser
from bridge.sockets.feed import Feed
from bridge.sockets.telling import Telling
from gateway.core.rights import may_see
from tests.gateway.core.heart import ADMIN, OWNER, STRANGER, TECHNICIAN, approved, open_heart

pytestmark = pytest.mark.anyio


class Tab:
    """A page that keeps the modules it was told of."""

    def __init__(self, house, person, ids=frozenset()):
        self.browser = Browser(f"{person.name}-{len(house.tabs)}", person, 1)
        self.modules, self.seq, self.events, self.ids, self.resuming = {}, None, [], ids, False
        house.tabs.append(self)
        house.audience.enter(self.browser)
        house.feed.watch(self.browser, ids, None)

    def told(self, event, data):
        self.events.append((event, data))
        if event == "modules:snapshot":
            self.modules, self.seq, self.resuming = dict(data["modules"]), data["seq"], False
        elif event == "modules:changes":
            assert self.seq is not None, "changes before the snapshot"
            # Nothing is said twice; only what answers `since` may bring nothing new.
            assert data["seq"] > self.seq or (self.resuming and data["seq"] == self.seq)
            self.resuming = False
            self.seq = data["seq"]
            for id, change in data["modules"].items():
                self.take(id, change)

    def take(self, id, change):
        if change is None:
            self.modules.pop(id, None)
        else:
            known = self.modules.setdefault(id, {})
            telemetry = known.get("telemetry", {}) | change.get("telemetry", {})
            known |= change | {"telemetry": telemetry}

    def shown(self):
        return {id: (m.get("status"), m.get("owner_id"), m["telemetry"]) for id, m in self.modules.items()}


class House:
    """The feed with a speaker that hands over at once, unless a tab is said to be slow."""

    def __init__(self, core):
        self.core, self.tabs, self.slow, self.deaf = core, [], set(), set()
        self.audience = Audience()
        self.feed = Feed(core, self.audience, self)
        self.telling = Telling(core, self.audience, self)

    def say(self, event, data, to):
        for tab in self.tabs:
            if tab.browser.sid in to and tab.browser.sid not in self.deaf:
                tab.told(event, data)

    def on_missed(self, listener):
        self.missed = listener

    def resume(self, sid):
        self.deaf.discard(sid)

    def is_behind(self, sid):
        return sid in self.slow

    def flush(self):
        if self.feed._timer is not None:
            self.feed._timer.cancel()
        self.feed._flush()

    def expected(self, tab):
        return {
            m.id: (self.core.status(m), m.owner_id, self.core.telemetry.latest(m.id))
            for m in self.core.registry.all()
            if may_see(tab.browser.person, m.owner_id) and (not tab.ids or m.id in tab.ids)
        }


ids = st.sampled_from(["A", "B", "C"])
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("report"), ids, st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=3)
        ),
        st.tuples(st.just("owner"), ids, st.sampled_from([None, OWNER.id, STRANGER.id])),
        st.tuples(st.just("presence"), ids, st.sampled_from(["heard", "gone"])),
        st.tuples(st.just("away"), st.integers(0, 4), st.none()),
        st.tuples(st.just("back"), st.integers(0, 4), st.none()),
        st.tuples(st.just("slow"), st.integers(0, 4), st.booleans()),
        st.tuples(st.just("deaf"), st.integers(0, 4), st.none()),
        st.tuples(st.just("flush"), st.none(), st.none()),
        st.tuples(st.just("remove"), ids, st.none()),
    ),
    max_size=25,
)


async def do(house, step, at, value):
    core = house.core
    if step in ("report", "owner", "presence", "remove") and core.registry.known(at) is None:
        await approved(core, at)
        return
    tab = house.tabs[at] if isinstance(at, int) else None
    match step:
        case "report":
            core.telemetry.report(core.registry.get(at), value)
        case "owner":
            await core.registry.edit(at, TECHNICIAN, owner_id=value)
        case "presence" if value == "heard":
            core.presence.heard(core.registry.get(at))
        case "presence":
            core.presence.gone(core.registry.get(at), "will")
        case "remove":
            await core.registry.delete(at, ADMIN)
        case "away":
            house.audience.leave(tab.browser.sid)
        case "back" if house.audience.get(tab.browser.sid) is None:
            tab.browser = Browser(tab.browser.sid, tab.browser.person, 1)
            tab.resuming = True
            house.deaf.discard(tab.browser.sid)
            house.audience.enter(tab.browser)
            house.feed.watch(tab.browser, tab.ids, tab.seq)
        case "slow":
            (house.slow.add if value else house.slow.discard)(tab.browser.sid)
        case "deaf" if house.audience.get(tab.browser.sid) is not None:
            house.slow.add(tab.browser.sid)
            house.deaf.add(tab.browser.sid)
            house.missed(tab.browser.sid)
        case "flush":
            house.flush()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_whoever_watches_ends_up_with_exactly_what_he_may_see(tmp_path_factory, steps):
    async with open_heart(tmp_path_factory.mktemp("feed"), rate_limits=False) as core:
        for id in "ABC":
            await approved(core, id)
        house = House(core)
        for person in (ADMIN, TECHNICIAN, OWNER, STRANGER):
            Tab(house, person)
        Tab(house, OWNER, frozenset({"A"}))
        for step, at, value in steps:
            await do(house, step, at, value)
            for tab in house.tabs:
                # Nobody who is there, and reads, keeps what he may not see.
                if house.audience.get(tab.browser.sid) is not None and not tab.browser.backlog and not (
                    tab.browser.missed or tab.browser.sid in house.slow
                ):
                    owners = {id: core.registry.get(id).owner_id for id in tab.modules}
                    assert all(may_see(tab.browser.person, owner) for owner in owners.values()), owners
        for number in range(len(house.tabs)):
            await do(house, "slow", number, False)
            await do(house, "back", number, None)
        house.flush()
        house.flush()
        for tab in house.tabs:
            assert tab.shown() == house.expected(tab), tab.browser.sid
        assert core.hub.failures == 0
        if house.feed._timer is not None:
            house.feed._timer.cancel()


async def test_snapshot_then_each_change_once(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core, "A")
        house = House(core)
        first = Tab(house, ADMIN)
        core.telemetry.report(module, {"x": 1})
        second = Tab(house, ADMIN)
        assert [event for event, _ in second.events] == ["modules:snapshot"]
        assert second.shown() == first.shown() == {"A": ("offline", None, {"x": 1})}
        core.telemetry.report(module, {"x": 2})
        core.telemetry.report(module, {"x": 3})
        house.flush()
        assert [event for event, _ in second.events] == ["modules:snapshot", "modules:changes"]
        assert second.events[-1][1]["modules"]["A"]["telemetry"] == {"x": 3}


async def test_a_slow_tab_gets_the_newest_of_each_and_holds_little(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core, "A")
        house = House(core)
        tab = Tab(house, ADMIN)
        house.slow.add(tab.browser.sid)
        for number in range(500):
            core.telemetry.report(module, {f"k{number % 5}": number})
            house.flush()
        assert len(tab.events) == 1
        assert {id: len(keys) for id, keys in tab.browser.backlog.items()} == {"A": 5}
        house.slow.clear()
        house.flush()
        assert tab.events[-1][1]["modules"]["A"]["telemetry"] == {f"k{n}": 495 + n for n in range(5)}
        assert len(tab.events) == 2 and not tab.browser.backlog
        house.feed._timer and house.feed._timer.cancel()


async def test_who_was_away_for_too_long_or_comes_from_another_life_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.sockets.feed.MOST_GONE", 2)
    async with open_heart(tmp_path) as core:
        await approved(core, "STAYS")
        house = House(core)
        tab = Tab(house, ADMIN)
        house.audience.leave(tab.browser.sid)
        for since in (-1, 0, tab.seq - 1, tab.seq + 10**6):
            house.audience.enter(tab.browser)
            house.feed.watch(tab.browser, frozenset(), since)
            assert tab.events[-1][0] == "modules:snapshot"
        house.audience.leave(tab.browser.sid)
        for number in range(5):
            await approved(core, f"M{number}")
            await core.registry.delete(f"M{number}", ADMIN)
        house.audience.enter(tab.browser)
        house.feed.watch(tab.browser, frozenset(), tab.seq)
        assert tab.events[-1][0] == "modules:snapshot" and set(tab.modules) == {"STAYS"}


async def test_a_module_that_changes_hands_is_taken_and_given(tmp_path):
    async with open_heart(tmp_path) as core:
        module, _ = await approved(core, "A", owner_id=OWNER.id)
        core.telemetry.report(module, {"x": 1})
        house = House(core)
        old, new = Tab(house, OWNER), Tab(house, STRANGER)
        await core.registry.edit("A", TECHNICIAN, owner_id=STRANGER.id)
        house.flush()
        assert (old.shown(), new.shown()) == ({}, {"A": ("offline", STRANGER.id, {"x": 1})})
        named = [[event for event, _ in tab.events if event.startswith("user:")] for tab in (old, new)]
        assert named == [["user:module:removed"], ["user:module:added"]]
        await anyio.lowlevel.checkpoint()
