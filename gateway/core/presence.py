"""Whether each module is there, why we think so, and since when."""

from collections import deque
from collections.abc import Callable
from time import monotonic

import msgspec

from gateway.core import clock
from gateway.core.errors import NotFound
from gateway.core.events import (
    Alert,
    Hub,
    ModuleChanged,
    ModuleRemoved,
    PresenceChanged,
    SessionOpened,
)
from gateway.core.registry import Registry
from gateway.core.types import SILENCE_S, Types
from gateway.core.values import Module, Presence, State
from gateway.storage.models import PresenceRow, upsert
from gateway.storage.store import Store

SAVE_EVERY_S = 5.0
FLIPS_UNSTABLE = 5
FLIP_WINDOW_S = 600.0
MISSED_WAKES = 2


class _Entry(msgspec.Struct):
    """What is known of one module; `heard_s` is on the monotonic clock, so a stepped clock ends nobody."""

    state: State
    reason: str
    since_ms: int
    last_seen_ms: int | None
    heard_s: float
    timeout_s: float
    sessions: set[str] = msgspec.field(default_factory=set)
    flips: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=FLIPS_UNSTABLE + 1))
    unstable: bool = False
    wake_in_s: float | None = None


class PresenceBook:
    """Memory first; every change is written behind at once, last-seen times every few seconds."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        registry: Registry,
        types: Types,
        monotonic_s: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._types = types
        self._now_s = monotonic_s
        self._entries: dict[str, _Entry] = {}
        self._unsaved: set[str] = set()
        self._gathering = False
        self._saved_s = 0.0
        hub.subscribe(ModuleChanged, self._module_changed)
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        """Nobody is declared offline because the gateway was down: who was online is `unknown` at first."""
        for row in await self._store.run(lambda: list(PresenceRow.select())):
            module = self._registry.numbered(row.module_number)
            if module is not None:
                entry = self._entry(module)
                entry.last_seen_ms = row.last_seen_ms
                entry.state = msgspec.convert(row.state, State)
                entry.reason, entry.since_ms = row.reason, row.since_ms
                if row.state == "online":
                    self._set(module.id, entry, "unknown", "broker_lost")

    def state(self, module_id: str) -> State:
        """As in `of`, for who counts thousands."""
        entry = self._entries.get(module_id) or self._entry(self._registry.get(module_id))
        return entry.state

    def of(self, module_id: str) -> Presence:
        entry = self._entries.get(module_id)
        if entry is None:
            entry = self._entry(self._registry.get(module_id))
        return Presence(
            state=entry.state,
            reason=entry.reason,
            since_ms=entry.since_ms,
            last_seen_ms=entry.last_seen_ms,
            session=bool(entry.sessions),
            sessions=tuple(sorted(entry.sessions)),
            unstable=self._is_unstable(entry),
        )

    # Signs of life

    def heard(self, module: Module, reason: str = "hello") -> None:
        """Any uplink message of an approved module: it is online."""
        entry = self._entries.get(module.id) or self._entry(module)
        entry.heard_s = self._now_s()
        entry.last_seen_ms = clock.now_ms()
        self._unsaved.add(module.id)
        if entry.state != "online" and module.life == "approved":
            entry.wake_in_s = None
            self._set(module.id, entry, "online", reason)

    def session_opened(self, module: Module, session: str, address: str = "") -> None:
        (self._entries.get(module.id) or self._entry(module)).sessions.add(session)
        self._hub.publish(SessionOpened(module.id, address))

    def session_closed(self, module_id: str, session: str, reason: str) -> None:
        """The transport's session ended; a sleeping module stays asleep.

        When it was we who went (`broker_lost`), nobody knows where the module is.
        """
        entry = self._entries.get(module_id)
        if entry is None:
            return
        entry.sessions.discard(session)
        if not entry.sessions and entry.state in ("online", "unknown"):
            state: State = "unknown" if reason == "broker_lost" else "offline"
            self._set(module_id, entry, state, reason)

    def gone(self, module: Module, reason: str) -> None:
        """It said so, or its last will did."""
        entry = self._entry(module)
        if entry.state != "offline":
            self._set(module.id, entry, "offline", reason)

    def fell_asleep(self, module: Module, wake_in_s: float | None) -> None:
        """Sleeping is not offline; only a wake that is missed twice is."""
        entry = self._entry(module)
        entry.heard_s, entry.last_seen_ms, entry.wake_in_s = self._now_s(), clock.now_ms(), wake_in_s
        if entry.state != "sleeping":
            self._set(module.id, entry, "sleeping", "goodbye")

    def tick(self) -> None:
        """Once a second: silence becomes offline; what changed is saved now and then."""
        now_s = self._now_s()
        for module_id, entry in tuple(self._entries.items()):
            if entry.state == "offline":
                continue
            if now_s - entry.heard_s > _patience_s(entry):
                self._set(module_id, entry, "offline", "silence")
        if now_s - self._saved_s >= SAVE_EVERY_S:
            self._saved_s = now_s
            self.save()

    def save(self) -> None:
        """Write behind what is not stored yet: each module once, however often it came and went."""
        if self._unsaved and not self._gathering:
            self._gathering = True
            self._store.gather(self._rows)

    def _rows(self) -> Callable[[], None]:
        unsaved, self._unsaved, self._gathering = self._unsaved, set(), False
        rows = [row for id in unsaved if (row := self._row(id)) is not None]
        return lambda: upsert(PresenceRow, rows)

    # Within

    def _entry(self, module: Module) -> _Entry:
        entry = self._entries.get(module.id)
        if entry is None:
            entry = _Entry("offline", "", module.created_at_ms, None, self._now_s(), self._timeout_s(module))
            self._entries[module.id] = entry
        return entry

    def _timeout_s(self, module: Module) -> float:
        try:
            return self._types.get(module.type).silence_s
        except NotFound:
            return SILENCE_S["mains"]

    def _set(self, module_id: str, entry: _Entry, state: State, reason: str) -> None:
        before, entry.state, entry.reason, entry.since_ms = entry.state, state, reason, clock.now_ms()
        if state == "unknown":
            entry.heard_s = self._now_s()
        self._unsaved.add(module_id)
        self.save()
        self._count_flip(module_id, entry)
        self._hub.publish(PresenceChanged(module_id, before, state, reason, entry.since_ms))

    def _count_flip(self, module_id: str, entry: _Entry) -> None:
        entry.flips.append(self._now_s())
        unstable = self._is_unstable(entry)
        if unstable and not entry.unstable:
            details = {"moduleId": module_id, "changes": len(entry.flips)}
            self._hub.publish(Alert("warning", f"{module_id} keeps coming and going.", details))
        entry.unstable = unstable

    def _is_unstable(self, entry: _Entry) -> bool:
        return len(entry.flips) > FLIPS_UNSTABLE and self._now_s() - entry.flips[0] < FLIP_WINDOW_S

    def _row(self, module_id: str) -> dict[str, object] | None:
        module, entry = self._registry.known(module_id), self._entries.get(module_id)
        if module is None or entry is None:
            return None
        return {
            "module_number": module.number,
            "state": entry.state,
            "reason": entry.reason,
            "since_ms": entry.since_ms,
            "last_seen_ms": entry.last_seen_ms,
        }

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._entries.pop(event.module.id, None)

    def _module_changed(self, event: ModuleChanged) -> None:
        """An approval makes a module that is connected online at once."""
        approved_now = event.after.life == "approved" and event.before.life != "approved"
        entry = self._entry(event.after)
        if approved_now:
            reason = "hello" if entry.sessions else ""
            entry.since_ms, entry.reason = clock.now_ms(), reason
            self._unsaved.add(event.after.id)
            if entry.sessions:
                self.heard(event.after)


def _patience_s(entry: _Entry) -> float:
    if entry.state == "sleeping":
        return float("inf") if entry.wake_in_s is None else MISSED_WAKES * entry.wake_in_s + entry.timeout_s
    return entry.timeout_s
