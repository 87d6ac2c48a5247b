"""The live stream of modules to browsers: a snapshot, then merged changes, each with a sequence number.

What a reading costs does not depend on how many browsers watch: it marks keys as changed. What a browser
costs does not depend on how many readings come: at most four batches a second, with the newest values.
A browser that does not keep up gets merged values later, and is never cut.
"""

import asyncio
from collections import defaultdict
from typing import Any

from bridge.sockets import states
from bridge.sockets.audience import LIVE_PAGES, Audience, Browser
from bridge.sockets.speaker import Speaker
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.events import ModuleAdded, ModuleChanged, ModuleRemoved, PresenceChanged, TelemetryChanged
from gateway.core.values import Module

PERIOD_S = 0.25
MOST_GONE = 10_000
# Stand among telemetry keys, which have no blanks.
FACTS = "the facts"
GONE = "it is gone"
_FACTS = ("name", "location", "group", "type", "owner_id", "status", "reason", "since", "unstable")
Changes = dict[str, Any]


class Feed:
    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        # Above every number of an earlier run, so that a browser from before a restart starts anew.
        self._first_seq = self.seq = clock.now_ms()
        self._seq_of: dict[str, dict[str, int]] = {}
        # By module, and by owner and group, which decide who was told of it.
        self._gone: dict[tuple[str, int | None, str], int] = {}
        self._changed: dict[str, set[str]] = defaultdict(set)
        # Marked for a new owner alone: whoever sees all has these values already.
        self._handed_over: dict[str, set[str]] = {}
        self._timer: asyncio.Handle | None = None
        self._flushed_s = 0.0
        speaker.on_missed(self._missed)
        core.hub.subscribe(TelemetryChanged, self._telemetry_changed)
        core.hub.subscribe(PresenceChanged, self._presence_changed)
        core.hub.subscribe(ModuleAdded, self._module_added)
        core.hub.subscribe(ModuleChanged, self._module_changed)
        core.hub.subscribe(ModuleRemoved, self._module_removed)

    # Marks

    def _telemetry_changed(self, event: TelemetryChanged) -> None:
        if event.module_id in self._handed_over:
            self._handed_over[event.module_id] -= event.values.keys()
        self._mark(event.module_id, event.values)

    def _presence_changed(self, event: PresenceChanged) -> None:
        self._mark(event.module_id, (FACTS,))

    def _module_added(self, event: ModuleAdded) -> None:
        self._mark(event.module.id, (FACTS,))

    def _module_changed(self, event: ModuleChanged) -> None:
        keys = [FACTS]
        before, after = event.before, event.after
        if (before.owner_id, before.group) != (after.owner_id, after.group):
            self._take_away(event.before, event.after)
            # Who sees it from here on has seen nothing of it yet.
            latest = self._core.telemetry.latest(event.after.id)
            # Of two owners in one period the first one's marks are no changes either.
            new = self._changed[event.after.id] - self._handed_over.get(event.after.id, set())
            self._handed_over[event.after.id] = latest.keys() - new
            keys += latest
        self._mark(event.after.id, keys)

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._changed.pop(event.module.id, None)
        self._seq_of.pop(event.module.id, None)
        self._note_gone(event.module)
        self._tell_gone(event.module.id, self._watchers(event.module))

    def _take_away(self, before: Module, after: Module) -> None:
        """It has another owner or group now; for those who saw it by the old one it is gone."""
        self._note_gone(before)
        lose = [b for b in self._watchers(before) if not b.may_see(after.owner_id, after.group)]
        self._tell_gone(before.id, lose)

    def _note_gone(self, module: Module) -> None:
        self.seq += 1
        place = (module.id, module.owner_id, module.group)
        self._gone.pop(place, None)
        self._gone[place] = self.seq
        if len(self._gone) > MOST_GONE:
            # Whoever was away for longer than we remember starts anew.
            self._first_seq = self._gone.pop(next(iter(self._gone)))

    def _tell_gone(self, module_id: str, watchers: list[Browser]) -> None:
        at_once = [b for b in watchers if not (b.backlog or b.missed or self._speaker.is_behind(b.sid))]
        for browser in watchers:
            if browser not in at_once:
                # In its turn: with this number it would otherwise claim to know what still waits for it.
                browser.backlog[module_id] = {GONE}
                self._retry()
        batch = {"seq": self.seq, "modules": {module_id: None}}
        self._speaker.say("modules:changes", batch, [browser.sid for browser in at_once])

    def _mark(self, module_id: str, keys: Any) -> None:
        """Telemetry keys by their names, and FACTS for what else is shown of the module."""
        self._changed[module_id].update(keys)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = self._flushed_s + PERIOD_S - loop.time()
            # At once when nothing was sent lately, otherwise when the period is over.
            self._timer = loop.call_later(wait_s, self._flush) if wait_s > 0 else loop.call_soon(self._flush)

    # Batches

    def _flush(self) -> None:
        changed, self._changed = self._changed, defaultdict(set)
        self._timer = None
        self._flushed_s = asyncio.get_running_loop().time()
        self.seq += 1
        for module_id, keys in changed.items():
            seqs = self._seq_of.setdefault(module_id, {})
            for key in keys:
                seqs[key] = self.seq
        if self._audience:
            self._send(changed)
        self._handed_over = {}
        if any(browser.backlog or browser.missed for browser in self._audience.all()):
            self._retry()

    def _retry(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._flush)

    def _send(self, changed: dict[str, set[str]]) -> None:
        """Browsers that see the same share one event, which is made and encoded once."""
        batches: dict[Any, tuple[Changes, list[str]]] = {}
        named: dict[Any, tuple[Browser, dict[str, set[str]], list[str]]] = {}
        for browser in self._audience.all():
            if browser.missed:
                self._make_good(browser)
                continue
            if browser.watching is None and browser.page not in LIVE_PAGES:
                continue
            mine = _merged(browser.backlog, changed) if browser.backlog else changed
            if self._speaker.is_behind(browser.sid):
                browser.backlog = {id: keys - self._known(browser, id) for id, keys in mine.items()}
                continue
            browser.backlog = {}
            sees = "all" if browser.may_see(None) else browser.person.id
            sight = (browser.sid if mine is not changed else "", sees)
            if browser.page in LIVE_PAGES:
                named.setdefault(sight, (browser, mine, []))[2].append(browser.sid)
            if browser.watching is not None:
                self._sort_in(batches, sight, browser, mine)
        for browser, mine, sids in named.values():
            self._say_named(browser, mine, sids)
        for modules, sids in batches.values():
            if modules:
                self._speaker.say("modules:changes", {"seq": self.seq, "modules": modules}, sids)

    def _sort_in(
        self,
        batches: dict[Any, tuple[Changes, list[str]]],
        sight: Any,
        browser: Browser,
        mine: dict[str, set[str]],
    ) -> None:
        if any(GONE in keys and self._sees(browser, id) for id, keys in mine.items()):
            # What it knows of a module that went and came back is not to be merged with.
            self._say_snapshot(browser)
            return
        group = (sight, browser.watching)
        if group not in batches:
            batches[group] = (self._visible(browser, mine), [])
        batches[group][1].append(browser.sid)

    def _sees(self, browser: Browser, module_id: str) -> bool:
        module = self._core.registry.known(module_id)
        return module is not None and browser.watches(module_id, module.owner_id, module.group)

    def _visible(self, browser: Browser, changed: dict[str, set[str]]) -> Changes:
        found: Changes = {}
        for module_id, keys in changed.items():
            module = self._core.registry.known(module_id)
            if module is not None and browser.watches(module_id, module.owner_id, module.group):
                found[module_id] = self._changes(module, keys)
            elif GONE in keys:
                found[module_id] = None
        return found

    def _changes(self, module: Module, keys: set[str]) -> Changes:
        changes: Changes = {"last_seen": self._core.presence.of(module.id).last_seen_ms}
        if FACTS in keys:
            described = self._core.describe(module)
            changes |= {name: described[name] for name in _FACTS}
        latest = self._core.telemetry.latest(module.id)
        values = {key: latest[key] for key in keys if key in latest}
        return changes | {"telemetry": values} if values else changes

    def _say_named(self, browser: Browser, changed: dict[str, set[str]], sids: list[str]) -> None:
        """One event a module, for pages written for the documented real-time API."""
        for module_id, keys in changed.items():
            module = self._core.registry.known(module_id)
            if module is None or not browser.may_see(module.owner_id, module.group):
                continue
            latest = self._core.telemetry.latest(module_id)
            known = self._known(browser, module_id)
            values = {key: latest[key] for key in keys if key in latest and key not in known}
            if values:
                update = states.telemetry(self._core, module, values)
                self._speaker.say("module:telemetry:updated", update, sids)

    def _known(self, browser: Browser, module_id: str) -> set[str]:
        """The keys that are marked for a new owner alone, to somebody who saw them before."""
        return self._handed_over.get(module_id, set()) if browser.may_see(None) else set()

    # Slow ones

    def _missed(self, sid: str) -> bool:
        """A browser that holds too much hears nothing until it has read that, and then how things are."""
        browser = self._audience.get(sid)
        if browser is None:
            return False
        browser.missed = browser.missed_updates = True
        self._retry()
        return True

    def _make_good(self, browser: Browser) -> None:
        if self._speaker.is_behind(browser.sid):
            return
        self._speaker.resume(browser.sid)
        browser.missed = False
        self._speaker.say("module_states_sync", states.all_states(self._core, browser), [browser.sid])
        if browser.watching is not None:
            self._say_snapshot(browser)

    # Watching

    def watch(self, browser: Browser, ids: frozenset[str], since: int | None) -> None:
        """Snapshot (or what came after `since`), then changes; nothing between them is lost or repeated."""
        if self._timer is not None and self._changed:
            self._timer.cancel()
            self._flush()
        browser.watching = ids
        browser.backlog = {}
        if since is not None and self._first_seq <= since <= self.seq and not self._came_back(browser, since):
            batch = {"seq": self.seq, "modules": self._since(browser, since)}
            self._speaker.say("modules:changes", batch, [browser.sid])
        else:
            self._say_snapshot(browser)

    def _say_snapshot(self, browser: Browser) -> None:
        browser.backlog = {}
        modules = {
            module.id: self._core.describe(module)
            for module in self._core.registry.all()
            if browser.watches(module.id, module.owner_id, module.group)
        }
        self._speaker.say("modules:snapshot", {"seq": self.seq, "modules": modules}, [browser.sid])

    def _came_back(self, browser: Browser, since: int) -> bool:
        """Whether a module went since and is there again, so that what is known of it must not be kept."""
        return any(
            seq > since and browser.watches(*place) and self._sees(browser, place[0])
            for place, seq in self._gone.items()
        )

    def _since(self, browser: Browser, since: int) -> Changes:
        found: Changes = {
            place[0]: None
            for place, seq in self._gone.items()
            if seq > since and browser.watches(*place)
        }
        for module in self._core.registry.all():
            keys = {key for key, seq in self._seq_of.get(module.id, {}).items() if seq > since}
            if keys and browser.watches(module.id, module.owner_id, module.group):
                found[module.id] = self._changes(module, keys)
        return found

    def _watchers(self, module: Module) -> list[Browser]:
        return [b for b in self._audience.all() if b.watches(module.id, module.owner_id, module.group)]


def _merged(old: dict[str, set[str]], new: dict[str, set[str]]) -> dict[str, set[str]]:
    return {id: old.get(id, set()) | new.get(id, set()) for id in old.keys() | new.keys()}
