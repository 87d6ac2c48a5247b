"""What a module should have (`desired`) against what it says it has (`reported`), each with a version."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core import audit
from gateway.core.errors import Conflict
from gateway.core.events import DesiredChanged, Hub, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.rights import Person
from gateway.core.values import Module
from gateway.storage.models import DesiredRow, upsert
from gateway.storage.store import Store


class Shadow(msgspec.Struct, frozen=True):
    desired_version: int = 0
    desired: dict[str, Any] = {}
    reported_version: int = 0
    reported: dict[str, Any] = {}


class Desired:
    def __init__(self, store: Store, hub: Hub, registry: Registry) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._shadows: dict[str, Shadow] = {}
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(DesiredRow.select())):
            if module := self._registry.numbered(row.module_number):
                self._shadows[module.id] = Shadow(
                    row.desired_version,
                    msgspec.json.decode(row.desired),
                    row.reported_version,
                    msgspec.json.decode(row.reported),
                )

    def of(self, module_id: str) -> Shadow:
        return self._shadows.get(module_id, Shadow())

    async def set(self, key: str, values: Mapping[str, Any], version: int, by: Person) -> Shadow:
        """Replace what the module should have; `version` is the one the change was made from.

        Raises `Conflict` when somebody else changed it since.
        """
        module = self._registry.visible(key, by)
        before = self.of(module.id)
        if version != before.desired_version:
            raise Conflict(
                "Somebody changed this since: the version is %(desired_version)s now.",
                desired_version=before.desired_version,
            )
        after = msgspec.structs.replace(before, desired_version=version + 1, desired=dict(values))
        self._shadows[module.id] = after

        def work() -> None:
            upsert(DesiredRow, [_columns(module, after)])
            audit.write("module.desired", module.id, by.name, values=after.desired)

        try:
            await self._store.run(work)
        except BaseException:
            self._shadows[module.id] = before
            raise
        self._hub.publish(DesiredChanged(module.id))
        self._hub.acted("module.desired", module.id, by, values=after.desired)
        return after

    def report(self, module: Module, values: Mapping[str, Any], version: int) -> None:
        """The module's word on what it has now; written behind."""
        after = msgspec.structs.replace(self.of(module.id), reported_version=version, reported=dict(values))
        self._shadows[module.id] = after
        self._store.submit(lambda: upsert(DesiredRow, [_columns(module, after)]))
        self._hub.publish(DesiredChanged(module.id))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._shadows.pop(event.module.id, None)


def _columns(module: Module, shadow: Shadow) -> dict[str, Any]:
    return {
        "module_number": module.number,
        "desired_version": shadow.desired_version,
        "desired": msgspec.json.encode(shadow.desired).decode(),
        "reported_version": shadow.reported_version,
        "reported": msgspec.json.encode(shadow.reported).decode(),
    }
