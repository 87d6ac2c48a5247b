"""What people decide about those who wait, and what time decides for them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.core import audit, clock, records, tokens
from gateway.core.enrolment import is_valid_id
from gateway.core.errors import Conflict, Forbidden, GatewayError, Invalid
from gateway.core.events import ClaimDecided, CredentialsChanged, FirmwareReported, Hub, WaitingChanged
from gateway.core.records import Digests
from gateway.core.registry import GATEWAY, Registry
from gateway.core.rights import Person, may_manage, name_of
from gateway.core.types import Types
from gateway.core.values import Claim, Module


class Outcome(msgspec.Struct, frozen=True):
    """What became of one of many; `error` is None when it was done."""

    id: str
    error: GatewayError | None = None


class Decisions:
    def __init__(self, registry: Registry, types: Types, hub: Hub) -> None:
        self._registry = registry
        self._types = types
        self._hub = hub

    async def approve(self, ids: Iterable[str], by: Person) -> list[Outcome]:
        """Let modules in; each on its own, so that one that cannot does not hold the others."""
        return [await self._each(id, self._approve, by) for id in _distinct(ids, by)]

    async def reject(self, ids: Iterable[str], by: Person, reason: str = "") -> list[Outcome]:
        """Refuse modules for good: their tokens die, and asking again is refused until taken back."""
        return [await self._each(id, self._reject, by, reason[:500]) for id in _distinct(ids, by)]

    async def unreject(self, key: str, by: Person) -> None:
        """Forget a rejected module, so that it may register anew."""
        module = self._registry.managed(key, by)
        if module.life != "rejected":
            raise Conflict("%(id)s is not rejected.", id=module.id)
        await self._registry.remove(module, "unrejected", by)

    async def _each(self, id: str, decide: Any, *args: Any) -> Outcome:
        try:
            await decide(self._registry.get(id), *args)
        except GatewayError as error:
            return Outcome(id, error)
        return Outcome(id)

    async def _approve(self, module: Module, by: Person) -> None:
        if (claim := self._coming_back(module)) is not None:
            await self.approve_claim(claim.number, by)
            return
        _still_waits(module)
        await self._registry.change(
            module, by, "module.approve", life="approved", expires_at_ms=None, **_decided(by)
        )

    async def _reject(self, module: Module, by: Person, reason: str) -> None:
        if (claim := self._coming_back(module)) is not None:
            await self.reject_claim(claim.number, by)
            return
        _still_waits(module)
        await self._registry.change(
            module, by, "module.reject", digests=Digests(), life="rejected", expires_at_ms=None,
            decision_reason=reason, **_decided(by),
        )  # fmt: skip
        self._hub.publish(CredentialsChanged(module.id, "rejected"))

    def _coming_back(self, module: Module) -> Claim | None:
        """What waits of a module that is in already: its re-enrolment, if there is just one."""
        claims = [claim for claim in self._registry.claims() if claim.module_id == module.id]
        if module.life == "pending" or not claims:
            return None
        if len(claims) > 1:
            raise Conflict(
                "Several devices ask to come back as %(id)s; choose in the waiting room.", id=module.id
            )
        return claims[0]

    async def approve_claim(self, number: int, by: Person) -> Module:
        """A re-enrolment gets the module back: its token replaces the old one, everything else stays."""
        _must_manage(by)
        claim, digest = self._registry.take_claim(number)
        module = self._registry.get(claim.module_id)
        kept = self._registry.digests(module)
        try:
            after = await self._registry.change(
                module, by, "module.re_enrol", digests=Digests(digest, "", kept.shared_key),
                life="approved", expires_at_ms=None, hardware=claim.hardware, address=claim.address,
                registered_at_ms=clock.now_ms(),
                reported_firmware=claim.firmware or module.reported_firmware, **_decided(by),
            )  # fmt: skip
        except BaseException:
            self._registry.put_back(claim, digest)
            raise
        self._registry.forget_claim(number)
        self._hub.publish(WaitingChanged())
        # The claimant is told first: what follows ends all sessions but the new token's.
        self._hub.publish(ClaimDecided(module.id, claim.number, "online"))
        self._hub.publish(CredentialsChanged(module.id, "replaced"))
        if claim.firmware:
            said = {"serial": claim.firmware}
            self._hub.publish(FirmwareReported(module.id, said, "register", module.id))
        return after

    async def reject_claim(self, number: int, by: Person) -> None:
        _must_manage(by)
        self._end_claim(self._registry.claim(number), "rejected", by)

    def _end_claim(self, claim: Claim, status: str, by: Person | str) -> None:
        self._registry.take_claim(claim.number)
        self._registry.forget_claim(claim.number)
        self._registry.note(f"claim.{status}", claim.module_id, by)
        self._hub.publish(ClaimDecided(claim.module_id, claim.number, status))
        self._hub.publish(WaitingChanged())

    async def declare(
        self, entries: list[dict[str, Any]], by: Person | str, *, with_token: bool
    ) -> list[tuple[Module, str]]:
        """Modules that a person enters before they ever spoke: approved at once, all or none.

        Each entry has serial, type and optionally name, location, group, information. Returns each with a
        secret: a token, or the shared key with which the device gets its own token at its first registration.
        """
        drafts: list[tuple[Module, Digests]] = []
        secrets: list[str] = []
        ids: set[str] = set()
        for line, entry in enumerate(entries, 1):
            secret = tokens.new_token()
            digest = tokens.digest(secret)
            digests = Digests(token=digest) if with_token else Digests(shared_key=digest)
            draft = self._declared(line, entry, name_of(by))
            if draft.id.lower() in ids or self._registry.known(draft.id) is not None:
                raise Conflict("Entry %(line)s: there is a module %(id)r already.", line=line, id=draft.id)
            ids.add(draft.id.lower())
            drafts.append((draft, digests))
            secrets.append(secret)

        def note() -> None:
            for draft, _ in drafts:
                audit.write("module.declare", draft.id, name_of(by), type=draft.type)

        modules = await self._registry.insert(drafts, note)
        for module in modules:
            self._hub.acted("module.declare", module.id, by, type=module.type)
        return list(zip(modules, secrets, strict=True))

    def _declared(self, line: int, entry: dict[str, Any], by: str) -> Module:
        serial = str(entry.get("serial") or "")
        if not is_valid_id(serial):
            raise Invalid(
                "Entry %(line)s: %(serial)r is no serial (1-64 letters, digits, '_' or '-').",
                line=line,
                serial=serial[:64],
            )
        try:
            code = int(entry.get("type", ""))
            self._types.get(code)
        except (ValueError, TypeError, OverflowError, GatewayError):
            raise Invalid(
                "Entry %(line)s: %(type)r is no known type.", line=line, type=str(entry.get("type"))[:64]
            ) from None
        return Module(
            id=serial, number=0, uuid=records.new_uuid(), name=str(entry.get("name") or "")[:200],
            location=str(entry.get("location") or "")[:200],
            group=str(entry.get("group") or "")[:200], type=code, life="approved", declared=True,
            information=entry.get("information") or {},
            created_at_ms=clock.now_ms(), decided_by=by, decided_at_ms=clock.now_ms(),
        )  # fmt: skip

    def expire_due(self) -> int:
        """Remove those whose time to wait is over (absolute time, so a restart changes nothing)."""
        now_ms = clock.now_ms()
        due = [m for m in self._registry.all() if m.life == "pending" and _is_over(m.expires_at_ms, now_ms)]
        for module in due:
            self._registry.expire(module)
        claims = [claim for claim in self._registry.claims() if _is_over(claim.expires_at_ms, now_ms)]
        for claim in claims:
            self._end_claim(claim, "expired", GATEWAY)
        return len(due) + len(claims)


def _is_over(at_ms: int | None, now_ms: int) -> bool:
    return at_ms is not None and at_ms <= now_ms


def _must_manage(by: Person) -> None:
    if not may_manage(by):
        raise Forbidden("Only a technician or an admin may approve or reject modules.")


def _distinct(ids: Iterable[str], by: Person) -> list[str]:
    _must_manage(by)
    return list(dict.fromkeys(ids))


def _decided(by: Person) -> dict[str, Any]:
    return {"decided_by": by.name, "decided_at_ms": clock.now_ms()}


def _still_waits(module: Module) -> None:
    if module.life == "pending":
        return
    if module.decided_at_ms is None:
        raise Conflict("%(id)s does not wait for approval.", id=module.id)
    at = datetime.fromtimestamp(module.decided_at_ms / 1000, UTC)
    raise Conflict(
        "%(id)s was %(life)s by %(decided_by)s at %(at)s UTC.",
        id=module.id,
        life=module.life,
        decided_by=module.decided_by,
        at=f"{at:%H:%M:%S}",
    )
