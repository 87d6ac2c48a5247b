"""Modules that are missed: each after its minutes, and one alert for all that went at the same moment."""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import msgspec

from gateway.core import clock
from gateway.core.choices import ChoiceChanged
from gateway.core.errors import Said
from gateway.core.events import Hub, ModuleChanged, ModuleRemoved, PresenceChanged
from gateway.core.notify.alert_rules import NEVER, AlertRules, RulesChanged
from gateway.core.notify.alerts import Alerts
from gateway.core.presence import PresenceBook
from gateway.core.registry import Registry
from gateway.core.values import Module

OFFLINE, MANY, UNSTABLE = "offline", "many", "unstable"
# More than this many, and more than half, within this time are one outage and not many.
A_FEW, A_QUARTER = 5, 4
SAME_MOMENT_S = 60.0
MINUTE_S = 60.0
ALL = ""


# A storm of alerts is told over several seconds.
MOST_A_TICK = 50
RETRY_S = 5.0
FOREVER_S = float("inf")


class _Missing(msgspec.Struct):
    """`lost_s`: when it was last known to be there; `since_s`: since when it is offline; `look_s`: when to
    look at it next."""

    lost_s: float
    since_s: float
    look_s: float = 0.0


class LostWatch:
    """On the monotonic clock; only over a restart of the gateway the wall clock tells how long it was."""

    def __init__(
        self,
        hub: Hub,
        alerts: Alerts,
        rules: AlertRules,
        registry: Registry,
        presence: PresenceBook,
        now_s: Callable[[], float],
    ) -> None:
        self._alerts = alerts
        self._rules = rules
        self._registry = registry
        self._presence = presence
        self._now_s = now_s
        self._missing: dict[int, _Missing] = {}
        self._unsure: dict[int, float] = {}
        # Of the one alert for many: who is still away, and when they were lost.
        self._members: set[int] = set()
        self._all = 0
        self._together_s = 0.0
        hub.subscribe(PresenceChanged, self._presence_changed)
        hub.subscribe(ModuleRemoved, self._module_removed)
        hub.subscribe(ModuleChanged, self._module_changed)
        hub.subscribe(ChoiceChanged, self._rules_changed)
        hub.subscribe(RulesChanged, self._rules_changed)

    def load(self) -> None:
        """Who was away before the start is still; an alert that is open already is not opened again."""
        now_s, now_ms = self._now_s(), clock.now_ms()
        for module in self._registry.all():
            presence = self._presence.of(module.id)
            if presence.state == "unknown":
                self._unsure[module.number] = now_s
            elif self._is_missed(module):
                away_s = max(0.0, (now_ms - presence.since_ms) / 1000)
                self._missing[module.number] = _Missing(now_s - away_s, now_s - away_s)
        for alert in self._alerts.opened(MANY):
            self._members = {number for number in alert.members if number in self._missing}
            self._members |= {number for number in alert.members if number in self._unsure}
            self._all = len(alert.members)
            self._together_s = now_s - max(0.0, (now_ms - alert.opened_at_ms) / 1000)
        for alert in self._alerts.opened(OFFLINE):
            self._close_if_there(alert.subject)

    def _close_if_there(self, module_id: str) -> None:
        module = self._registry.known(module_id)
        if module is not None and self._presence.of(module.id).state in ("online", "sleeping"):
            self._back(module, None)

    def _is_missed(self, module: Module) -> bool:
        """Whether it is away without anybody having sent it away."""
        presence = self._presence.of(module.id)
        return (
            module.life == "approved"
            and presence.state == "offline"
            and presence.last_seen_ms is not None
            and presence.reason != "revoked"
        )

    # What happens

    def _presence_changed(self, event: PresenceChanged) -> None:
        module = self._registry.known(event.module_id)
        if module is None:
            return
        now_s = self._now_s()
        if event.after == "unknown":
            self._unsure.setdefault(module.number, now_s)
            return
        # Those of whom nobody knew were lost when we were, whenever their silence was long enough.
        lost_s = self._unsure.pop(module.number, now_s)
        if event.after == "offline":
            if self._is_missed(module):
                self._missing[module.number] = _Missing(lost_s, now_s)
        else:
            self._back(module, self._missing.pop(module.number, None))

    def _back(self, module: Module, missing: _Missing | None) -> None:
        minutes = int((self._now_s() - missing.since_s) // MINUTE_S) if missing else 0
        text = Said("%(module)s is back after %(minutes)s minutes.", module=called(module), minutes=minutes)
        if missing is None:
            text = Said("%(module)s is back.", module=called(module))
        self._alerts.close(OFFLINE, module.id, text)
        self._left_the_many(module.number)

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._missing.pop(event.module.number, None)
        self._unsure.pop(event.module.number, None)
        self._left_the_many(event.module.number)

    def _module_changed(self, event: ModuleChanged) -> None:
        """Its group may have another rule."""
        if (missing := self._missing.get(event.after.number)) is not None:
            missing.look_s = 0.0

    def _rules_changed(self, event: object) -> None:
        for missing in self._missing.values():
            missing.look_s = 0.0

    def _left_the_many(self, number: int) -> None:
        if number not in self._members:
            return
        self._members.discard(number)
        if len(self._members) <= min(A_FEW, self._all // A_QUARTER):
            # Whoever is still away is one of few: each has an alert of its own at the next look.
            self._rules_changed(None)
            back = self._all - len(self._members)
            text = Said("%(back)s of the %(all)s modules are back.", back=back, all=self._all)
            self._members.clear()
            self._alerts.close(MANY, ALL, text)

    # What time does

    def tick(self) -> None:
        """Once a second."""
        now_s = self._now_s()
        looked_at = [(number, one) for number, one in self._missing.items() if one.look_s <= now_s]
        due: list[tuple[Module, _Missing]] = []
        for number, missing in looked_at:
            module = self._registry.numbered(number)
            if module is not None and self._is_due(module, missing):
                due.append((module, missing))
        if due:
            self._tell_all(due[:MOST_A_TICK])

    def _is_due(self, module: Module, missing: _Missing) -> bool:
        """Whether to tell of it now; if not, it is noted when to look again."""
        now_s, minutes = self._now_s(), self._rules.minutes(module.group)
        if module.number in self._members or self._alerts.is_open(OFFLINE, module.id) or minutes == NEVER:
            missing.look_s = FOREVER_S
        elif now_s < missing.since_s + minutes * MINUTE_S:
            missing.look_s = missing.since_s + minutes * MINUTE_S
        elif self._alerts.is_open(UNSTABLE, module.id):
            missing.look_s = now_s + RETRY_S
        else:
            return True
        return False

    def _tell_all(self, due: list[tuple[Module, _Missing]]) -> None:
        untold = sorted(
            (one.lost_s, number) for number, one in self._missing.items() if not self._told(number)
        )
        there = self._how_many_there()
        for module, missing in due:
            self._tell(module, missing, untold, there)

    def _tell(self, module: Module, missing: _Missing, untold: list[tuple[float, int]], there: int) -> None:
        if self._alerts.is_open(MANY, ALL):
            if abs(missing.lost_s - self._together_s) <= SAME_MOMENT_S:
                self._members.add(module.number)
                return
        else:
            first = bisect_left(untold, (missing.lost_s - SAME_MOMENT_S, 0))
            behind = bisect_right(untold, (missing.lost_s + SAME_MOMENT_S, sys.maxsize))
            if behind - first > max(A_FEW, there):
                together = tuple(number for _, number in untold[first:behind])
                self._open_many(together, missing.lost_s, behind - first + there)
                return
        minutes = int((self._now_s() - missing.since_s) // MINUTE_S)
        text = Said(
            "%(module)s has been offline for %(minutes)s minutes.", module=called(module), minutes=minutes
        )
        self._alerts.open(OFFLINE, module.id, text, module)

    def _told(self, number: int) -> bool:
        module = self._registry.numbered(number)
        return module is None or self._alerts.is_open(OFFLINE, module.id)

    def _how_many_there(self) -> int:
        states = (self._presence.of(module.id).state for module in self._registry.all())
        return sum(state in ("online", "unknown", "sleeping") for state in states)

    def _open_many(self, members: tuple[int, ...], lost_s: float, there_were: int) -> None:
        text = Said(
            "%(count)s of %(all)s modules went offline at the same moment.",
            count=len(members),
            all=there_were,
        )
        self._members, self._all, self._together_s = set(members), len(members), lost_s
        self._alerts.open(MANY, ALL, text, members=members)


def called(module: Module) -> str:
    """A module as people know it."""
    return f"{module.name} ({module.id})" if module.name and module.name != module.id else module.id
