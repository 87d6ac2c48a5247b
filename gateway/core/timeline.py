"""The time line of each module: what happened, when, and by whom, newest first.

It is one table of its own, not a union of the audit trail, commands, updates and logs: half of what it
tells (presence, events, alerts) is kept nowhere else, one index gives any page of it in one look, it can be
thinned without a hole in the audit trail, and the core needs to know nothing of the floors above, which
publish what they do. The price: moments are written behind, so those of the last half second before a crash
may be missing here. The audit trail has them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec

from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.events import Event, Hub, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.values import Module
from gateway.storage.models_timeline import MomentRow
from gateway.storage.store import Store

KINDS = ("access", "change", "presence", "command", "update", "setting", "event", "log", "alert")
# What a module brings about by itself may fill only so much, so that it cannot push out what people did.
MOST, MOST_OF_KIND = 5_000, {"presence": 400, "event": 1_000, "log": 1_000, "alert": 500}
KEPT_MS = 180 * 86_400_000
THIN_EVERY = 100
# Of these, so many in so many seconds; the rest is counted, and the count is told.
PACED = frozenset({"event", "log", "alert"})
PACE, PACE_S = 30, 60.0
MAX_DETAILS = 2_000
MAX_PAGE = 500
INSERT = "INSERT INTO moment (module_number, at_ms, kind, what, who, details) (VALUES)"


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """`kind` is one of `KINDS`, `what` says it in a word; `who` is empty for the module itself."""

    number: int
    at_ms: int
    kind: str
    what: str
    who: str = ""
    details: dict[str, Any] = {}


class Stay(msgspec.Struct, frozen=True, kw_only=True):
    """How long a module was in one state, and why it came into it; `until_ms` None: it still is."""

    state: str
    reason: str
    since_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class MomentNoted(Event):
    """The time line of this module has a new entry of this kind."""

    module_id: str
    kind: str


class _Pace(msgspec.Struct):
    """Of one module and kind within the running minute."""

    since_s: float
    count: int = 0
    left_out: int = 0


class Timeline:
    """`left_out` counts moments that came too fast, or that the database could not take."""

    def __init__(
        self, store: Store, hub: Hub, registry: Registry, monotonic_s: Callable[[], float] = monotonic
    ) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._now_s = monotonic_s
        self._since_thinned: dict[int, int] = {}
        self._paces: dict[tuple[int, str], _Pace] = {}
        self.left_out = 0
        hub.subscribe(ModuleRemoved, self._module_removed)

    def note(self, module_id: str, kind: str, what: str, who: str = "", **details: Any) -> None:
        """Keep what happened; nothing for a module that is not there (any more)."""
        module = self._registry.known(module_id)
        if module is None or (kind in PACED and not self._in_pace(module, kind)):
            return
        self._append(module, kind, what, who, details)
        self._hub.publish(MomentNoted(module.id, kind))

    def _append(self, module: Module, kind: str, what: str, who: str, details: dict[str, Any]) -> None:
        text = msgspec.json.encode(details).decode()
        if len(text) > MAX_DETAILS:
            text = "{}"
        if not self._store.append(INSERT, (module.number, clock.now_ms(), kind, what[:64], who[:200], text)):
            self.left_out += 1
        # The first after a start thins too, as nobody knows how many came before it.
        count = self._since_thinned.get(module.number, THIN_EVERY) + 1
        if count > THIN_EVERY:
            count, number, now_ms = 0, module.number, clock.now_ms()
            self._store.submit(lambda: thin(number, now_ms - KEPT_MS))
        self._since_thinned[module.number] = count

    def _in_pace(self, module: Module, kind: str) -> bool:
        now_s, key = self._now_s(), (module.number, kind)
        pace = self._paces.get(key)
        if pace is None or now_s - pace.since_s >= PACE_S:
            if pace is not None and pace.left_out:
                self._append(module, kind, "left_out", "", {"count": pace.left_out})
            pace = self._paces[key] = _Pace(now_s)
        pace.count += 1
        if pace.count <= PACE:
            return True
        pace.left_out += 1
        self.left_out += 1
        return False

    async def page(
        self, module: Module, *, kind: str = "", before: int | None = None, limit: int = 50
    ) -> list[Moment]:
        """The newest first; `before` is the number of the last one of the page before."""
        if kind and kind not in KINDS:
            raise Invalid("A kind is one of %(kinds)s.", kinds=", ".join(KINDS))
        most = max(1, min(limit, MAX_PAGE))
        return await self._store.read(lambda: _page(module.number, kind, before, most))

    async def stays(self, module: Module, limit: int = 200) -> list[Stay]:
        """Its last states, the present one first, and why it came into each."""
        found = await self.page(module, kind="presence", limit=limit)
        untils = [None, *(moment.at_ms for moment in found)]
        return [
            Stay(state=each.what, reason=_text(each, "reason"), since_ms=each.at_ms, until_ms=until)
            for each, until in zip(found, untils, strict=False)
        ]

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._since_thinned.pop(event.module.number, None)
        for key in [key for key in self._paces if key[0] == event.module.number]:
            del self._paces[key]


def _text(moment: Moment, name: str) -> str:
    return str(moment.details.get(name, ""))


def _page(module_number: int, kind: str, before: int | None, limit: int) -> list[Moment]:
    query = MomentRow.select().where(MomentRow.module_number == module_number)
    if kind:
        query = query.where(MomentRow.kind == kind)
    if before is not None:
        query = query.where(MomentRow.number < before)
    return [_moment(row) for row in query.order_by(MomentRow.number.desc()).limit(limit)]


def _moment(row: MomentRow) -> Moment:
    names = ("number", "at_ms", "kind", "what", "who")
    known = {name: getattr(row, name) for name in names}
    return Moment(**known, details=msgspec.json.decode(row.details))


def thin(module_number: int, oldest_ms: int) -> None:
    """Within the bounds again: of each chatty kind, of age, of all; inside a transaction."""
    own = MomentRow.module_number == module_number
    for kind, most in MOST_OF_KIND.items():
        _keep_newest(own & (MomentRow.kind == kind), most)
        old = own & (MomentRow.kind == kind) & (MomentRow.at_ms < oldest_ms)
        MomentRow.delete().where(old).execute()
    _keep_newest(own, MOST)


def _keep_newest(which: Any, most: int) -> None:
    newest = MomentRow.select(MomentRow.number).where(which).order_by(MomentRow.number.desc())
    first_too_many = newest.offset(most).limit(1).scalar()
    if first_too_many is not None:
        MomentRow.delete().where(which & (MomentRow.number <= first_too_many)).execute()
