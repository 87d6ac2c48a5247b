"""What modules should have (`desired`) against what they say they have (`reported`), each with a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core import audit, clock
from gateway.core.errors import Conflict, Invalid
from gateway.core.events import DesiredChanged, Event, Hub, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.rights import Person
from gateway.core.shadow import MAX_REPORTED, Mark, Shadow, check_desired, difference
from gateway.core.values import Module
from gateway.storage.models import DesiredRow, upsert
from gateway.storage.models_timeline import DesiredMarksRow
from gateway.storage.store import Store

__all__ = ["Desired", "DesiredSet", "ReportedInStep", "Shadow"]
MAX_SHOWN = 80


@dataclass(frozen=True, slots=True)
class DesiredSet(Event):
    """Somebody changed what a module should have; `changed` is each new value as short text."""

    module_id: str
    version: int
    by: str
    changed: dict[str, str]
    removed: list[str]


@dataclass(frozen=True, slots=True)
class ReportedInStep(Event):
    """A module says that it has dealt with this version of what it should have."""

    module_id: str
    version: int


class _Kept(msgspec.Struct):
    """What is kept beside the values."""

    marks: dict[str, Mark] = {}
    reported_at_ms: int | None = None


class Desired:
    def __init__(self, store: Store, hub: Hub, registry: Registry) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._shadows: dict[str, Shadow] = {}
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        rows, beside = await self._store.run(_load)
        for row in rows:
            if module := self._registry.numbered(row.module_number):
                kept = beside.get(row.module_number, _Kept())
                self._shadows[module.id] = Shadow(
                    row.desired_version,
                    msgspec.json.decode(row.desired),
                    row.reported_version,
                    msgspec.json.decode(row.reported),
                    kept.marks,
                    kept.reported_at_ms,
                )

    def of(self, module_id: str) -> Shadow:
        return self._shadows.get(module_id, Shadow())

    async def set(self, key: str, values: Mapping[str, Any], version: int, by: Person) -> Shadow:
        """Replace what the module should have; `version` is the one the change was made from.

        Raises `Conflict` when somebody else changed it since, `Invalid` for what it cannot be told.
        """
        module = self._registry.changeable(key, by)
        before = self.of(module.id)
        if version != before.desired_version:
            raise _changed_since(before, version)
        return await self._set(module, dict(values), by)

    async def change(self, key: str, name: str, value: Any, version: int, by: Person) -> Shadow:
        """Set one key; `version` is the one that was looked at. Other keys may have changed meanwhile.

        Raises `Conflict` when somebody else changed this key since.
        """
        module = self._registry.changeable(key, by)
        self._check_seen(module, name, version)
        return await self._set(module, self.of(module.id).desired | {name: value}, by)

    async def take_away(self, key: str, name: str, version: int, by: Person) -> Shadow:
        """Desire nothing of this key any more; as `change`."""
        module = self._registry.changeable(key, by)
        self._check_seen(module, name, version)
        values = self.of(module.id).desired
        return await self._set(module, {key: value for key, value in values.items() if key != name}, by)

    def _check_seen(self, module: Module, name: str, version: int) -> None:
        before = self.of(module.id)
        if before.version_of(name) > version:
            raise _key_changed_since(before, name)

    async def _set(self, module: Module, values: dict[str, Any], by: Person) -> Shadow:
        check_desired(values)
        before = self.of(module.id)
        after = msgspec.structs.replace(
            before,
            desired_version=before.desired_version + 1,
            desired=values,
            marks=before.marked(values, clock.now_ms(), by.name),
        )
        self._shadows[module.id] = after
        note: dict[str, Any] = {"before": before.desired, "after": after.desired}

        def work() -> None:
            _write(module, after)
            audit.write("module.desired", module.id, by.name, **note)

        try:
            await self._store.run(work)
        except BaseException:
            if self.of(module.id) is after:
                self._shadows[module.id] = before
            raise
        self._hub.publish(DesiredChanged(module.id))
        self._hub.acted("module.desired", module.id, by, **note)
        changed, removed = difference(before.desired, after.desired)
        told = {key: short(values[key]) for key in changed}
        self._hub.publish(DesiredSet(module.id, after.desired_version, by.name, told, removed))
        return after

    def report(self, module: Module, values: Mapping[str, Any], version: int) -> None:
        """The module's word on what it has now; written behind. Raises `Invalid` for too many keys."""
        if len(values) > MAX_REPORTED:
            raise Invalid("A module reports at most %(max_keys)s values.", max_keys=MAX_REPORTED)
        before = self.of(module.id)
        after = msgspec.structs.replace(
            before, reported_version=version, reported=dict(values), reported_at_ms=clock.now_ms()
        )
        self._shadows[module.id] = after
        self._store.submit(lambda: _write(module, after))
        # A module that says an older version than before has forgotten what it was told: it is told again.
        self._hub.publish(DesiredChanged(module.id, reported=True, forgot=version < before.reported_version))
        if before.reported_version < after.desired_version <= version:
            self._hub.publish(ReportedInStep(module.id, version))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._shadows.pop(event.module.id, None)


def short(value: Any) -> str:
    """A value as short JSON."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _changed_since(now: Shadow, version: int) -> Conflict:
    since = {key: mark for key, mark in now.marks.items() if mark.version > version}
    if not since:
        return Conflict(
            "Somebody changed this since: the version is %(desired_version)s now.",
            desired_version=now.desired_version,
        )
    return Conflict(
        "%(by)s changed %(keys)s since: the version is %(desired_version)s now.",
        by=", ".join(sorted({mark.by for mark in since.values()})),
        keys=", ".join(sorted(since)),
        desired_version=now.desired_version,
    )


def _key_changed_since(now: Shadow, name: str) -> Conflict:
    by = now.marks[name].by
    if name not in now.desired:
        return Conflict("%(by)s removed %(key)s since you looked. Nothing was changed.", by=by, key=name)
    return Conflict(
        "%(by)s set %(key)s to %(value)s since you looked. Nothing was changed.",
        by=by,
        key=name,
        value=short(now.desired[name]),
    )


def _load() -> tuple[list[DesiredRow], dict[int, _Kept]]:
    kept = {row.module_number: msgspec.json.decode(row.marks, type=_Kept) for row in DesiredMarksRow.select()}
    return list(DesiredRow.select()), kept


def _write(module: Module, shadow: Shadow) -> None:
    values = {
        "module_number": module.number,
        "desired_version": shadow.desired_version,
        "desired": msgspec.json.encode(shadow.desired).decode(),
        "reported_version": shadow.reported_version,
        "reported": msgspec.json.encode(shadow.reported).decode(),
    }
    upsert(DesiredRow, [values])
    beside = msgspec.json.encode(_Kept(shadow.marks, shadow.reported_at_ms)).decode()
    upsert(DesiredMarksRow, [{"module_number": module.number, "marks": beside}])
