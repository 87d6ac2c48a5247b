"""The last of each setting that a module was given: what it should be told again when it comes back."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core.events import CommandChanged, Hub, ModuleEventRaised, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.types import Types
from gateway.core.values import Module
from gateway.storage.models_dialects import StandingRow
from gateway.storage.store import Store

Params = dict[str, Any]


class Standing:
    """Settings are commands with `keep`. One that was done stands; one without any argument is taken away.

    A module that tells of a setting by an event of the same name (a colour that was chosen on the strip
    itself) is believed.
    """

    def __init__(self, store: Store, hub: Hub, registry: Registry, types: Types) -> None:
        self._store = store
        self._registry = registry
        self._types = types
        self._settings: dict[str, dict[str, Params]] = {}
        hub.subscribe(CommandChanged, self._command_changed)
        hub.subscribe(ModuleEventRaised, self._event_raised)
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(StandingRow.select())):
            if module := self._registry.numbered(row.module_number):
                self._settings.setdefault(module.id, {})[row.name] = msgspec.json.decode(row.params)

    def of(self, module_id: str) -> Mapping[str, Params]:
        """The arguments of each setting that stands, by name; the caller must not change them."""
        return self._settings.get(module_id, {})

    def to_restore(self, module: Module) -> list[tuple[str, Params]]:
        """What the module is told on its hello: of each group that its type names, the first that stands."""
        settings = self.of(module.id)
        chosen = []
        for group in self._types.get(module.type).restore:
            if (name := next((name for name in group if name in settings), None)) is not None:
                chosen.append((name, settings[name]))
        return chosen

    def _command_changed(self, event: CommandChanged) -> None:
        command = event.command
        if command.status == "done" and (module := self._registry.known(command.module_id)):
            self._note(module, command.name, command.params)

    def _event_raised(self, event: ModuleEventRaised) -> None:
        if module := self._registry.known(event.module_id):
            self._note(module, event.name, event.data)

    def _note(self, module: Module, name: str, params: Params) -> None:
        spec = self._types.get(module.type).commands.get(name)
        if spec is None or not spec.keep:
            return
        settings = self._settings.setdefault(module.id, {})
        if params:
            settings[name] = params
            text = msgspec.json.encode(params).decode()
            self._store.submit(lambda: _keep(module.number, name, text))
        elif settings.pop(name, None) is not None:
            self._store.submit(lambda: _forget(module.number, name))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._settings.pop(event.module.id, None)


def _keep(module_number: int, name: str, params: str) -> None:
    row = StandingRow.insert(module_number=module_number, name=name, params=params)
    columns = [StandingRow.module_number, StandingRow.name]
    row.on_conflict(conflict_target=columns, preserve=[StandingRow.params]).execute()


def _forget(module_number: int, name: str) -> None:
    of_module = (StandingRow.module_number == module_number) & (StandingRow.name == name)
    StandingRow.delete().where(of_module).execute()
