"""The module types that admins add, change and remove, kept in the database."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from gateway.core import audit
from gateway.core.errors import Conflict, Forbidden, Invalid, Said
from gateway.core.events import Event, Hub
from gateway.core.registry import Registry
from gateway.core.rights import Person, may_administer
from gateway.core.types import FIRST_OWN_CODE, ModuleType, Types, check_own, declaration
from gateway.storage.models import TypeRow
from gateway.storage.store import Store

_VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True)
class TypeChanged(Event):
    """A type was declared, changed or removed: what pages say of its modules may be different."""

    code: int


def version_of(kind: ModuleType) -> str:
    """Changes with every change of the declaration."""
    return sha256(msgspec.json.encode(kind, order="sorted")).hexdigest()[:_VERSION_DIGITS]


def is_own(kind: ModuleType) -> bool:
    return kind.code >= FIRST_OWN_CODE


class OwnTypes:
    def __init__(self, store: Store, hub: Hub, types: Types, registry: Registry) -> None:
        self._store = store
        self._hub = hub
        self._types = types
        self._registry = registry
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(TypeRow.select())):
            self._types.replace(declaration(msgspec.json.decode(row.declaration)))

    def used_by(self, code: int) -> int:
        """How many modules, waiting ones included, are of this type."""
        return sum(module.type == code for module in self._registry.all())

    async def add(self, data: Any, by: Person) -> ModuleType:
        """Declare a type from plain data; raises Forbidden, Invalid or Conflict."""
        _check_may(by)
        new = declaration(data)
        async with self._changing:
            self._types.check_free(new)
            text = msgspec.json.encode(new).decode()
            await self._store.run(lambda: _insert(new, text, by.name))
            self._types.add(new)
        self._done("type.add", new, by)
        return new

    async def edit(self, code: int, data: Any, by: Person, seen: str = "") -> ModuleType:
        """Another declaration for a type; `seen`: the version it was made from, if that is to be held.

        Raises Conflict when somebody else changed it meanwhile, or when modules use what would go.
        """
        _check_may(by)
        if not isinstance(data, dict):
            raise Invalid("A type declaration is an object.")
        self._own(code)
        new = declaration(data | {"code": code})
        check_own(new)
        async with self._changing:
            old = self._own(code)
            if seen and seen != version_of(old):
                raise Conflict("Somebody else has changed this type meanwhile. Look at it again.")
            self._check_fits(old, new)
            text = msgspec.json.encode(new).decode()
            await self._store.run(lambda: _update(old, new, text, by.name))
            self._types.replace(new)
        self._done("type.change", new, by)
        return new

    async def remove(self, code: int, by: Person) -> None:
        """Raises Conflict while modules are of this type."""
        _check_may(by)
        async with self._changing:
            old = self._own(code)
            if used := self.used_by(code):
                raise Conflict(
                    "%(name)s cannot be removed: %(count)s modules are of this type.",
                    name=old.name, count=used,
                )  # fmt: skip
            await self._store.run(lambda: _delete(old, by.name))
            self._types.remove(code)
        self._done("type.remove", old, by)

    def _own(self, code: int) -> ModuleType:
        known = self._types.get(code)
        if not is_own(known):
            raise Forbidden("%(name)s is a built-in type; it cannot be changed.", name=known.name)
        return known

    def _check_fits(self, old: ModuleType, new: ModuleType) -> None:
        """What modules say and are told today must still be declared, and mean the same."""
        lost = next(_lost(old, new), None)
        if lost is not None and (used := self.used_by(old.code)):
            raise Conflict(
                "%(count)s modules are of this type, so this cannot be done: %(lost)s", count=used, lost=lost
            )

    def _done(self, action: str, kind: ModuleType, by: Person) -> None:
        self._hub.acted(action, str(kind.code), by, name=kind.name)
        self._hub.publish(TypeChanged(kind.code))


def _check_may(by: Person) -> None:
    if not may_administer(by):
        raise Forbidden("Only an admin declares types.")


def _lost(old: ModuleType, new: ModuleType) -> Iterator[Said]:
    """What the modules of the old declaration could not do with the new one, in sentences."""
    if old.open and not new.open:
        yield Said("the type would take no other keys any more.")
    for name, field in old.keys.items():
        if name not in new.keys:
            yield Said("the key %(name)r would go.", name=name)
        elif new.keys[name].kind not in (field.kind, "any"):
            yield Said("the key %(name)r would be of another kind.", name=name)
    for name in old.commands.keys() - new.commands.keys():
        yield Said("the command %(name)r would go.", name=name)
    for name in old.events.keys() - new.events.keys():
        yield Said("the event %(name)r would go.", name=name)


def _insert(new: ModuleType, text: str, by: str) -> None:
    TypeRow.insert(code=new.code, declaration=text).execute()
    audit.write("type.add", str(new.code), by, name=new.name)


def _update(old: ModuleType, new: ModuleType, text: str, by: str) -> None:
    TypeRow.update(declaration=text).where(TypeRow.code == new.code).execute()
    before, after = (_names(kind) for kind in (old, new))
    changed = {part: {"before": before[part], "after": after[part]} for part in before
               if before[part] != after[part]}  # fmt: skip
    audit.write("type.change", str(new.code), by, name=new.name, changed=changed)


def _names(kind: ModuleType) -> dict[str, Any]:
    """The parts of a declaration as plain data, for before and after."""
    plain: dict[str, Any] = msgspec.to_builtins(kind)
    every: Callable[[str], Any] = plain.get
    parts = ("name", "suffix", "open", "power", "timeout_s", "keys", "commands", "events", "restore", "keep")
    return {part: every(part) for part in parts}


def _delete(old: ModuleType, by: str) -> None:
    TypeRow.delete().where(TypeRow.code == old.code).execute()
    audit.write("type.remove", str(old.code), by, name=old.name)
