"""Bootstrap keys: one key of a whole type, which lets unknown serials in where an admin allows it."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.errors import Forbidden, NotFound
from gateway.core.events import Hub
from gateway.core.rights import Person, may_administer
from gateway.core.types import Types
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

KEY = "bootstrap"


class Kept(msgspec.Struct, frozen=True):
    """The digest of a type's key, and since when (UTC ms) it opens."""

    digest: str
    since_ms: int


class Bootstrap:
    """No type has a key until an admin allows it; a key is shown once, and only its digest is kept."""

    def __init__(self, store: Store, hub: Hub, types: Types) -> None:
        self._store = store
        self._hub = hub
        self._types = types
        self._changing = asyncio.Lock()
        self._kept: Mapping[int, Kept] = MappingProxyType({})

    async def load(self) -> None:
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
        if row is not None:
            self._kept = msgspec.json.decode(row.value, type=dict[int, Kept])

    async def allow(self, type: int, by: Person) -> str:
        """Let unknown serials of this type in by a key, a new one each time; the one before is dead.

        Raises Forbidden, NotFound (the type).
        """
        _must_administer(by)
        self._types.get(type)
        key = tokens.new_token()
        new = Kept(tokens.digest(key), clock.now_ms())
        async with self._changing:
            await self._keep({**self._kept, type: new}, "bootstrap.allow", type, by)
        return key

    async def forbid(self, type: int, by: Person) -> None:
        """Its key opens nothing any more; modules that came in by it stay. Raises Forbidden, NotFound."""
        _must_administer(by)
        async with self._changing:
            if type not in self._kept:
                raise NotFound("Type %(type)s has no bootstrap key.", type=type)
            left = {code: kept for code, kept in self._kept.items() if code != type}
            await self._keep(left, "bootstrap.forbid", type, by)

    async def _keep(self, kept: dict[int, Kept], action: str, type: int, by: Person) -> None:
        value = msgspec.json.encode(kept).decode()

        def work() -> None:
            upsert(SettingRow, [{"key": KEY, "value": value}])
            audit.write(action, str(type), by.name)

        await self._store.run(work)
        self._kept = kept
        self._hub.acted(action, str(type), by)

    def allowed(self) -> dict[int, int]:
        """The types that have a key, and since when (UTC ms)."""
        return {type: kept.since_ms for type, kept in sorted(self._kept.items())}

    def opens(self, type: int, key: object) -> bool:
        """Whether this is the key of the type; as quick for a type without one."""
        kept = self._kept.get(type)
        return tokens.matches(key, kept.digest if kept else "")

    def type_of(self, key: object) -> int | None:
        """Whose key this is; all are looked at, whichever it is."""
        fitting = [type for type, kept in self._kept.items() if tokens.matches(key, kept.digest)]
        return fitting[0] if fitting else None


def _must_administer(by: Person) -> None:
    if not may_administer(by):
        raise Forbidden("Only an admin allows or forbids a bootstrap key.")
