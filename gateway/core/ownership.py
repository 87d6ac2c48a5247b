"""Whose a module is: claimed with a code that only those know who stand before it, and given up again.

A claim code is derived from the gateway's key, the module and a round, and kept nowhere. A round ends, and
its code with it, when the module gets an owner.
"""

import hmac
import re

from gateway.core import records
from gateway.core.errors import Conflict, NotFound
from gateway.core.events import Hub, ModuleChanged, ModuleRemoved
from gateway.core.limits import Throttle
from gateway.core.registry import Registry
from gateway.core.rights import Person
from gateway.core.values import Module
from gateway.storage.store import Store

# Without 0 and O, 1 and I and L, which people take for each other.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 8
TRIES = 5
TRY_EVERY_S = 60.0
_BETWEEN = re.compile(r"[\s._\-\u2010-\u2015]+")
_TOO_MANY = "Too many codes that do not fit."
_NO_MODULE = "No module can be claimed with this code. Look at it again, or ask for a new one."


class Ownership:
    def __init__(
        self, store: Store, hub: Hub, registry: Registry, signing_key: str, *, rate_limits: bool
    ) -> None:
        self._store = store
        self._registry = registry
        self._key = hmac.digest(signing_key.encode(), b"claim codes", "sha256")
        self._rounds: dict[int, int] = {}
        # By person and by address, so that neither many accounts nor many addresses help to guess.
        self._tries = Throttle(TRIES, TRY_EVERY_S, enabled=rate_limits)
        hub.subscribe(ModuleChanged, self._changed)
        hub.subscribe(ModuleRemoved, lambda event: self._forget(event.module))

    async def load(self) -> None:
        self._rounds = await self._store.run(records.load_claim_rounds)

    async def claim(self, code: str, by: Person, address: str) -> Module:
        """Make the module of this code one's own; raises `NotFound`, `Conflict` or `TooMany`."""
        keys = ("person", by.id), ("address", address)
        for key in keys:
            self._tries.check(key, _TOO_MANY)
        module = self._found(code)
        if module is None:
            for key in keys:
                self._tries.spend(key, _TOO_MANY)
            raise NotFound(_NO_MODULE)
        if module.owner_id is not None:
            # The code is good until the other's claim is stored: this is the second of two at once.
            raise Conflict("Somebody else claims this module at this very moment.")
        note = {"owner_id": by.id, "address": address}
        return await self._registry.change(module, by, "module.claim", note=note, owner_id=by.id)

    async def release(self, key: str, by: Person) -> str:
        """Give a module up, or take it from its owner (staff); returns the code for the next one, if any."""
        module = self._registry.changeable(key, by)
        if module.owner_id is None:
            raise Conflict("%(id)s belongs to nobody.", id=module.id)
        note = {"owner_id": None, "before": module.owner_id}
        after = await self._registry.change(module, by, "module.unclaim", note=note, owner_id=None)
        return self._code(after) if _claimable(after) else ""

    def code_of(self, key: str, by: Person) -> str:
        """The code a module can be claimed with now; for those who manage modules."""
        module = self._registry.managed(key, by)
        if module.life != "approved":
            raise Conflict("%(id)s can be claimed once it is approved.", id=module.id)
        if module.owner_id is not None:
            raise Conflict("%(id)s belongs to somebody; it can be claimed once that ends.", id=module.id)
        return self._code(module)

    def _found(self, typed: str) -> Module | None:
        """The module whose code this is. Should two share one, it is neither's."""
        code = plain(typed)
        if len(code) != LENGTH or not set(code) <= set(ALPHABET):
            return None
        wanted = code.encode()
        found = [
            module
            for module in self._registry.all()
            if module.life == "approved" and hmac.compare_digest(self._code(module).encode(), wanted)
        ]
        return found[0] if len(found) == 1 else None

    def _code(self, module: Module) -> str:
        said = f"{module.uuid} {self._rounds.get(module.number, 0)}"
        number = int.from_bytes(hmac.digest(self._key, said.encode(), "sha256")[:16])
        letters = []
        for _ in range(LENGTH):
            number, place = divmod(number, len(ALPHABET))
            letters.append(ALPHABET[place])
        return "".join(letters)

    def _changed(self, event: ModuleChanged) -> None:
        """The row went up with the change itself, in one transaction."""
        if records.ends_claim_round(event.before, event.after):
            number = event.after.number
            self._rounds[number] = self._rounds.get(number, 0) + 1

    def _forget(self, module: Module) -> None:
        self._rounds.pop(module.number, None)


def plain(typed: str) -> str:
    """A code as it was made, however somebody wrote it down: `abcd efgh`, `ABCD-EFGH`, the whole link."""
    return _BETWEEN.sub("", typed.rpartition("code=")[2][:64]).upper()


def spaced(code: str) -> str:
    """A code in two halves, as people read it."""
    return f"{code[: LENGTH // 2]}-{code[LENGTH // 2 :]}" if code else ""


def _claimable(module: Module) -> bool:
    return module.life == "approved" and module.owner_id is None
