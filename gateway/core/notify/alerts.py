"""The book of alerts: each opened once and closed once, kept over a restart, seen by each person alone."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import msgspec

from gateway.core import clock
from gateway.core.errors import Said
from gateway.core.events import Hub, ModuleRemoved
from gateway.core.notify import alert_records as records
from gateway.core.notify.alert_values import KINDS, Alert, AlertChanged, AlertsSeen, What, sentence
from gateway.core.registry import Registry
from gateway.core.rights import Person, Principal, may_manage, may_see
from gateway.core.values import Module
from gateway.storage.store import Store

# Closed ones that are kept; the oldest go first.
CLOSED_KEPT = 1000
MOST_UNSEEN = 999
Work = Callable[[], object]


class Alerts:
    """`beside`: who adds work to the transaction in which an alert is opened or closed."""

    def __init__(self, store: Store, hub: Hub, registry: Registry) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._alerts: dict[int, Alert] = {}
        self._open: dict[tuple[str, str], int] = {}
        self._closed: deque[int] = deque()
        self._seen: dict[int, int] = {}
        self._last = 0
        self.beside: Callable[[Alert, What], Work] = lambda alert, what: lambda: None
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        alerts, self._seen = await self._store.run(records.load)
        # A number is never given twice, or what was seen before would hide what is not.
        self._last = max([0, *(alert.id for alert in alerts), *self._seen.values()])
        orphans = [alert.id for alert in alerts if not self._has_subject(alert)]
        if orphans:
            self._store.submit(lambda: records.delete(orphans))
        known = [alert for alert in alerts if self._has_subject(alert)]
        self._alerts = {alert.id: alert for alert in known}
        self._open = {(alert.kind, alert.subject): alert.id for alert in known if alert.is_open}
        self._closed.extend(alert.id for alert in sorted(known, key=_closed_at) if not alert.is_open)

    # Opening and closing

    def open(
        self, kind: str, subject: str, text: Said, module: Module | None = None, members: tuple[int, ...] = ()
    ) -> Alert | None:
        """One alert for one trouble: None when it is open already."""
        if (kind, subject) in self._open:
            return None
        alert = self._new(kind, subject, text, module, members)
        self._open[kind, subject] = alert.id
        self._write(alert, "opened", records.insert)
        return alert

    def close(self, kind: str, subject: str, text: Said) -> Alert | None:
        """None when there is none open."""
        id = self._open.pop((kind, subject), None)
        if id is None:
            return None
        alert = msgspec.structs.replace(self._alerts[id], closing=sentence(text), closed_at_ms=clock.now_ms())
        self._alerts[id] = alert
        self._closed.append(id)
        self._write(alert, "closed", records.close)
        self._prune()
        return alert

    def note(self, kind: str, text: Said) -> Alert:
        """What is over already when it is told: opened and closed at once, told once."""
        alert = msgspec.structs.replace(
            self._new(kind, "", text, None, ()), closing=sentence(text), closed_at_ms=clock.now_ms()
        )
        self._alerts[alert.id] = alert
        self._closed.append(alert.id)
        self._write(alert, "opened", records.insert)
        self._prune()
        return alert

    def _new(
        self, kind: str, subject: str, text: Said, module: Module | None, members: tuple[int, ...]
    ) -> Alert:
        self._last += 1
        alert = Alert(
            id=self._last, kind=kind, subject=subject, severity=KINDS[kind].severity, text=sentence(text),
            opened_at_ms=clock.now_ms(), module_number=module.number if module else None, members=members,
        )  # fmt: skip
        self._alerts[alert.id] = alert
        return alert

    def _write(self, alert: Alert, what: What, write: Callable[[Alert], None]) -> None:
        beside = self.beside(alert, what)

        def work() -> None:
            write(alert)
            beside()

        self._store.submit(work)
        self._hub.publish(AlertChanged(alert, what))

    def _prune(self) -> None:
        gone = [self._closed.popleft() for _ in range(len(self._closed) - CLOSED_KEPT)]
        for id in gone:
            self._alerts.pop(id, None)
        if gone:
            self._store.submit(lambda: records.delete(gone))

    # Looking

    def is_open(self, kind: str, subject: str) -> bool:
        return (kind, subject) in self._open

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def opened(self, kind: str) -> list[Alert]:
        """The open ones of this kind, the oldest first."""
        return [self._alerts[id] for (one, _), id in self._open.items() if one == kind]

    def open_to(self, visitor: Principal) -> list[Alert]:
        """The open ones that somebody may see, the newest first."""
        ids = sorted(self._open.values(), reverse=True)
        return [alert for id in ids if self.may_see(visitor, alert := self._alerts[id])]

    def past(self, visitor: Principal, before: int, limit: int) -> list[Alert]:
        """Closed ones with a number below `before`, the newest first."""
        return self._first(limit, visitor, lambda alert: alert.id < before and not alert.is_open)

    def all_to(self, visitor: Principal, before: int, limit: int) -> list[Alert]:
        """Open and closed ones with a number below `before`, the newest first."""
        return self._first(limit, visitor, lambda alert: alert.id < before)

    def _first(self, limit: int, visitor: Principal, fits: Callable[[Alert], bool]) -> list[Alert]:
        found: list[Alert] = []
        for alert in self._newest_first():
            if len(found) >= limit:
                break
            if fits(alert) and self.may_see(visitor, alert):
                found.append(alert)
        return found

    def _newest_first(self) -> Iterator[Alert]:
        return reversed(self._alerts.values())

    def may_see(self, visitor: Principal, alert: Alert) -> bool:
        if alert.module_number is None:
            # Why a rollout stopped names modules of any group.
            return may_manage(visitor) and (alert.kind != "rollout" or may_see(visitor, None))
        module = self._registry.numbered(alert.module_number)
        return module is not None and may_see(visitor, module.owner_id, module.group)

    # What each person has seen

    @property
    def newest(self) -> int:
        return self._last

    @property
    def seen(self) -> Mapping[int, int]:
        """By person: the number of the newest alert that he has seen."""
        return self._seen

    def unseen(self, person: Person) -> int:
        """How many alerts came since this person looked; no more than a page would ever say."""
        seen, count = self._seen.get(person.id, 0), 0
        for alert in self._newest_first():
            if alert.id <= seen or count >= MOST_UNSEEN:
                break
            count += self.may_see(person, alert)
        return count

    async def see(self, person: Person, up_to: int) -> None:
        """This person has seen everything up to this number; what came later is still to be seen."""
        up_to = min(up_to, self._last)
        if up_to <= self._seen.get(person.id, 0):
            return
        await self._store.run(lambda: records.keep_seen(person.id, up_to))
        self._seen[person.id] = max(up_to, self._seen.get(person.id, 0))
        self._hub.publish(AlertsSeen(person.id, up_to))

    # Within

    def _has_subject(self, alert: Alert) -> bool:
        return alert.module_number is None or self._registry.numbered(alert.module_number) is not None

    def _module_removed(self, event: ModuleRemoved) -> None:
        """Its rows went with it."""
        gone = {id for id, alert in self._alerts.items() if alert.module_number == event.module.number}
        if not gone:
            return
        self._open = {key: id for key, id in self._open.items() if id not in gone}
        self._closed = deque(id for id in self._closed if id not in gone)
        for id in gone:
            alert = self._alerts.pop(id)
            if alert.is_open:
                self._hub.publish(AlertChanged(alert, "closed"))


def _closed_at(alert: Alert) -> tuple[int, int]:
    return alert.closed_at_ms or 0, alert.id
