"""The one registry: the roster, kept on disk. What changes is durable before the call returns."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.core import audit, records, tokens
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import CredentialsChanged, Hub, ModuleAdded, ModuleChanged, ModuleRemoved
from gateway.core.records import Digests
from gateway.core.rights import Person, Principal, may_manage, name_of
from gateway.core.roster import Roster
from gateway.core.values import Claim, Module
from gateway.storage.store import Store

MAX_TEXT = 200
GATEWAY = "gateway"
TAKEOVER_S = 1.0
TOLD_AT_ONCE = 50


class Registry(Roster):
    def __init__(self, store: Store, hub: Hub) -> None:
        super().__init__()
        self._store = store
        self._hub = hub
        self._inserting = asyncio.Lock()
        self._leaving: set[int] = set()

    async def load(self) -> None:
        modules, claims = await self._store.run(lambda: (records.load_modules(), records.load_claims()))
        for module, digests in modules:
            self._keep(module, digests)
        for claim, digest in claims:
            self._keep_claim(claim, digest)

    async def insert(self, drafts: list[tuple[Module, Digests]], note: Callable[[], None]) -> list[Module]:
        """New modules, all or none; their numbers are given here. `note` writes the audit rows.

        Raises `Conflict` when an id is taken.
        """

        def work() -> list[int]:
            note()
            return records.insert_modules(drafts)

        async with self._inserting:
            for draft, _ in drafts:
                if draft.id.lower() in self._modules:
                    raise Conflict("There is a module %(id)r already.", id=draft.id)
            numbers = await self._store.run(work)
            modules = [
                msgspec.structs.replace(draft, number=number)
                for (draft, _), number in zip(drafts, numbers, strict=True)
            ]
            for module, (_, digests) in zip(modules, drafts, strict=True):
                self._keep(module, digests)
        for done, module in enumerate(modules, 1):
            self._hub.publish(ModuleAdded(module))
            if done % TOLD_AT_ONCE == 0:
                # Devices are served meanwhile.
                await asyncio.sleep(0)
        return modules

    async def change(
        self,
        module: Module,
        by: Person | str,
        action: str,
        *,
        digests: Digests | None = None,
        note: dict[str, Any] | None = None,
        beside: Callable[[], None] | None = None,
        **changes: Any,
    ) -> Module:
        """Change fields and digests, with an audit row that holds the fields and `note`.

        `beside` writes what belongs to it, in the same transaction.
        """
        self._check_stays(module)
        after = msgspec.structs.replace(module, **changes)
        before_digests = self._digests[module.number]
        # Memory first, so that of two people who decide at once the second sees what the first did.
        self._keep(after, digests or before_digests)
        details = note or _told(module, changes)

        def work() -> None:
            records.update_module(after, digests or before_digests)
            if records.ends_claim_round(module, after):
                records.end_claim_round(module.number)
            if beside is not None:
                beside()
            audit.write(action, module.id, name_of(by), **details)

        try:
            await self._store.run(work)
        except BaseException:
            if self.known(module.id) is after:
                self._keep(module, before_digests)
            raise
        self._hub.publish(ModuleChanged(module, after, name_of(by)))
        self._hub.acted(action, module.id, by, **details)
        return after

    async def edit(self, key: str, by: Person, **fields: Any) -> Module:
        """Rename, move or give away a module. Owners rename theirs; giving away is for those who manage."""
        module = self.changeable(key, by)
        # Both decide who sees it.
        if fields.keys() & {"owner_id", "group"} and not may_manage(by):
            raise Forbidden("Only a technician or an admin gives a module to somebody, or into a group.")
        for name in ("name", "location", "group"):
            if name in fields and (not isinstance(fields[name], str) or len(fields[name]) > MAX_TEXT):
                raise Invalid(
                    "The %(name)s must be a text of at most %(max_text)s characters.",
                    name=name,
                    max_text=MAX_TEXT,
                )
        return await self.change(module, by, "module.edit", **fields)

    def digests(self, module: Module) -> Digests:
        return self._digests[module.number]

    def is_shut_out(self, module: Module) -> bool:
        """Whether nothing proves this module any more, as after it was revoked; it may ask to come back."""
        known = self.digests(module)
        return module.life == "approved" and not (known.token or known.next_token or known.shared_key)

    async def rotate_token(self, key: str, by: Person) -> str:
        """A new token, shown once. The old one works until the new one is used for the first time."""
        module = self.managed(key, by)
        token = tokens.new_token()
        following = msgspec.structs.replace(self.digests(module), next_token=tokens.digest(token))
        await self.change(module, by, "module.rotate_token", digests=following)
        return token

    async def revoke(self, key: str, by: Person) -> Module:
        """The module's tokens and shared key die and its sessions end; the rest stays for a re-enrolment."""
        module = self.managed(key, by)
        after = await self.change(module, by, "module.revoke", digests=Digests())
        self._hub.publish(CredentialsChanged(module.id, "revoked"))
        return after

    async def delete(self, key: str, by: Person) -> None:
        """The module, its history, queue and tokens go."""
        await self.remove(self.managed(key, by), "deleted", by)

    async def remove(self, module: Module, reason: str, by: Person | str) -> None:
        self._check_stays(module)
        self._leaving.add(module.number)
        try:
            await self._store.run(lambda: _delete(module, reason, name_of(by)))
        finally:
            self._leaving.discard(module.number)
        self._gone(module, reason, name_of(by))
        self._hub.acted("module.remove", module.id, by, reason=reason)

    def expire(self, module: Module) -> None:
        """Time alone decided this, and would again after a crash: gone at once, written behind."""
        if module.number not in self._leaving:
            self._store.submit(lambda: _delete(module, "expired", GATEWAY))
            self._gone(module, "expired", GATEWAY)

    def _gone(self, module: Module, reason: str, by: str) -> None:
        self._drop(module)
        self._hub.publish(ModuleRemoved(module, reason, by))

    def _check_stays(self, module: Module) -> None:
        if module.number in self._leaving or self.numbered(module.number) is None:
            raise NotFound("There is no module %(id)r any more.", id=module.id)

    async def add_claim(self, draft: Claim, token: str) -> Claim:
        """A re-enrolment beside its module; an earlier one from the same address gets the new token."""
        digest = tokens.digest(token)
        earlier = self.claim_of(draft.module_id, draft.address)
        if earlier is not None:
            await self._store.run(lambda: records.update_claim_token(earlier.number, digest))
            # Unless it was decided meanwhile.
            if earlier.number in self._claims:
                self._keep_claim(earlier, digest)
            return earlier
        module_number = self.get(draft.module_id).number
        number = await self._store.run(lambda: records.insert_claim(draft, module_number, digest))
        claim = msgspec.structs.replace(draft, number=number)
        self._keep_claim(claim, digest)
        return claim

    def take_claim(self, number: int) -> tuple[Claim, str]:
        """Take a re-enrolment out of memory, so that nobody else decides it; raises `NotFound`."""
        claim = self.claim(number)
        return claim, self._drop_claim(number)

    def put_back(self, claim: Claim, token_digest: str) -> None:
        self._keep_claim(claim, token_digest)

    def forget_claim(self, number: int) -> None:
        self._store.submit(lambda: records.delete_claim(number))

    def note(self, action: str, subject: str, by: Person | str, **details: Any) -> None:
        """An audit row for what has no other row of its own."""
        self._store.submit(lambda: audit.write(action, subject, name_of(by), **details))
        self._hub.acted(action, subject, by, **details)

    def managed(self, key: str, by: Principal) -> Module:
        """The module, for somebody who manages modules; raises `Forbidden` for others."""
        if not may_manage(by):
            raise Forbidden("Only a technician or an admin may do this.")
        return self.visible(key, by)

    def _token_used(self, module: Module) -> None:
        super()._token_used(module)
        digests = self._digests[module.number]
        self._store.submit(lambda: records.update_module(module, digests))
        # Sessions of the old token end, but not before this one has taken over what it may of its own.
        event = CredentialsChanged(module.id, "replaced")
        asyncio.get_running_loop().call_later(TAKEOVER_S, self._hub.publish, event)


def _told(module: Module, changes: dict[str, Any]) -> dict[str, Any]:
    """The fields as they are from now on, and what those that differ were before."""
    values = {name: value for name, value in changes.items() if not name.endswith("_ms")}
    before = {name: getattr(module, name) for name in values if getattr(module, name) != values[name]}
    return values | ({"before": before} if before else {})


def _delete(module: Module, reason: str, by: str) -> None:
    records.delete_module(module.number)
    audit.write("module.remove", module.id, by, reason=reason)
