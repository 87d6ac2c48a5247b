"""How updates and rollouts get on, to the browsers that may know: the newest of each, merged where slow."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

from bridge.sockets.audience import Audience, Browser
from bridge.sockets.speaker import Speaker
from gateway.core.core import Core
from gateway.core.events import FirmwareJobChanged, ModuleRemoved, RolloutChanged
from gateway.core.rights import Role

JOB, ROLLOUT = "firmware:job:updated", "firmware:rollout:updated"
PERIOD_S = 0.25
# What is remembered for tabs that were slow, and how much of it one of them gets at once.
MOST_KNOWN = 5_000
MOST_AT_ONCE = 200
Key = tuple[str, Any]
Keys = dict[Key, None]


class UpdatesNews:
    """`_known` holds the newest of each job and rollout; the modules of each tell who may hear of it."""

    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        self._known: OrderedDict[Key, tuple[dict[str, Any], str, Collection[int]]] = OrderedDict()
        self._changed: Keys = {}
        self._backlogs: dict[str, Keys] = {}
        self._timer: asyncio.Handle | None = None
        self._flushed_s = 0.0
        self.forgotten = 0
        core.hub.subscribe(FirmwareJobChanged, self._job_changed)
        core.hub.subscribe(RolloutChanged, self._rollout_changed)
        core.hub.subscribe(ModuleRemoved, self._module_removed)

    def _job_changed(self, event: FirmwareJobChanged) -> None:
        self._mark((JOB, event.job["id"]), event.job, event.module_id, ())

    def _rollout_changed(self, event: RolloutChanged) -> None:
        # A plan may name thousands of modules and never changes: whoever shows the rollout has it.
        news = {key: value for key, value in event.rollout.items() if key != "plan"}
        self._mark((ROLLOUT, event.rollout["id"]), news, "", event.modules)

    def _module_removed(self, event: ModuleRemoved) -> None:
        """Another one may get its id."""
        gone = [key for key, (_, module_id, _) in self._known.items() if module_id == event.module.id]
        for key in gone:
            del self._known[key]

    def _mark(self, key: Key, data: dict[str, Any], module_id: str, numbers: Collection[int]) -> None:
        self._known[key] = (data, module_id, numbers)
        self._known.move_to_end(key)
        self._changed[key] = None
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
            self.forgotten += 1
        self._soon()

    def _soon(self) -> None:
        """At once when nothing was sent lately, otherwise when the period is over."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._flushed_s + PERIOD_S - loop.time())
            self._timer = loop.call_later(wait_s, self._flush)

    def _flush(self) -> None:
        changed, self._changed = self._changed, {}
        self._timer = None
        self._flushed_s = asyncio.get_running_loop().time()
        backlogs, self._backlogs = self._backlogs, {}
        hearing: dict[Key, list[str]] = {}
        for browser in self._audience.all():
            for key in self._due(browser, backlogs.get(browser.sid, {}) | changed):
                hearing.setdefault(key, []).append(browser.sid)
        for key, sids in hearing.items():
            self._speaker.say(key[0], self._known[key][0], sids)
        if self._backlogs or hearing:
            # Once more, as what was just said may not have reached a tab.
            self._soon()
        elif not self._audience:
            self._known.clear()

    def _due(self, browser: Browser, keys: Keys) -> list[Key]:
        """What this tab gets now; the rest waits in its backlog, where newer words replace it."""
        if browser.missed or self._speaker.is_behind(browser.sid):
            self._wait(browser, keys)
            return []
        if browser.missed_updates:
            # It was told things that never reached it, and nobody noted which.
            browser.missed_updates = False
            keys = dict.fromkeys(self._known)
        seen = [key for key in keys if key in self._known and self._sees(browser, key)]
        self._wait(browser, dict.fromkeys(seen[MOST_AT_ONCE:]))
        return seen[:MOST_AT_ONCE]

    def _wait(self, browser: Browser, keys: Keys) -> None:
        if keys or browser.missed_updates:
            self._backlogs[browser.sid] = {key: None for key in keys if key in self._known}

    def _sees(self, browser: Browser, key: Key) -> bool:
        if key[0] == ROLLOUT:
            return browser.person.role is not Role.USER and self._sees_all(browser, self._known[key][2])
        module = self._core.registry.known(self._known[key][1])
        return module is not None and browser.may_see(module.owner_id, module.group)

    def _sees_all(self, browser: Browser, numbers: Collection[int]) -> bool:
        # Who sees what belongs to nobody and is in no group sees everything.
        return browser.may_see(None) or all(
            browser.may_see(module.owner_id, module.group)
            for number in numbers
            if (module := self._core.registry.numbered(number)) is not None
        )
