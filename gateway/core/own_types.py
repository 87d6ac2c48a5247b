"""The module types that admins add, kept in the database."""

from typing import Any

import msgspec

from gateway.core import audit
from gateway.core.errors import Forbidden
from gateway.core.events import Hub
from gateway.core.rights import Person, may_administer
from gateway.core.types import ModuleType, Types, declaration
from gateway.storage.models import TypeRow
from gateway.storage.store import Store


class OwnTypes:
    def __init__(self, store: Store, hub: Hub, types: Types) -> None:
        self._store = store
        self._hub = hub
        self._types = types

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(TypeRow.select())):
            self._types.add(declaration(msgspec.json.decode(row.declaration)))

    async def add(self, data: Any, by: Person) -> ModuleType:
        """Declare a type from plain data; raises Forbidden, Invalid or Conflict."""
        if not may_administer(by):
            raise Forbidden("Only an admin declares types.")
        new = declaration(data)
        self._types.add(new)
        text = msgspec.json.encode(new).decode()

        def work() -> None:
            TypeRow.insert(code=new.code, declaration=text).execute()
            audit.write("type.add", str(new.code), by.name, name=new.name)

        try:
            await self._store.run(work)
        except BaseException:
            self._types.remove(new.code)
            raise
        self._hub.acted("type.add", str(new.code), by, name=new.name)
        return new
