"""What people decide about those who wait, and what time decides for them."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.core import clock
from gateway.core.declaring import Declarations
from gateway.core.errors import Conflict, Forbidden, GatewayError
from gateway.core.events import ClaimDecided, CredentialsChanged, FirmwareReported, Hub, WaitingChanged
from gateway.core.proof import Proofs
from gateway.core.records import Digests
from gateway.core.registry import GATEWAY, Registry
from gateway.core.rights import Person, may_manage
from gateway.core.values import Claim, Module

# Of re-enrolments that were decided, who did it is told to whoever comes too late.
MAX_REMEMBERED = 200


class Outcome(msgspec.Struct, frozen=True):
    """What became of one of many; `error` is None when it was done."""

    id: str
    error: GatewayError | None = None


class Decisions:
    """`declarations`: modules that are entered instead of waiting; `proofs`: who must show a code."""

    def __init__(self, registry: Registry, hub: Hub, declarations: Declarations, proofs: Proofs) -> None:
        self._registry = registry
        self._hub = hub
        self.declarations = declarations
        self.proofs = proofs
        self._decided_claims: OrderedDict[int, tuple[str, str, str, int]] = OrderedDict()

    async def approve(self, ids: Iterable[str], by: Person, code: str = "") -> list[Outcome]:
        """Let modules in; each on its own, so that one that cannot does not hold the others.

        Where proof is asked for, `code` is what the one device shows; raises Conflict for several.
        """
        chosen = _distinct(ids, by)
        if self.proofs.required and len(chosen) > 1:
            raise Conflict("Each device is approved with the code that it shows, so one after another.")
        return [await self._each(id, self._approve, by, code) for id in chosen]

    async def reject(self, ids: Iterable[str], by: Person, reason: str = "") -> list[Outcome]:
        """Refuse modules for good: their tokens die, and asking again is refused until taken back."""
        return [await self._each(id, self._reject, by, reason[:500]) for id in _distinct(ids, by)]

    async def unreject(self, key: str, by: Person) -> None:
        """Forget a rejected module, so that it may register anew."""
        module = self._registry.managed(key, by)
        if module.life != "rejected":
            raise Conflict("%(id)s is not rejected.", id=module.id)
        await self._registry.remove(module, "unrejected", by)

    async def _each(self, id: str, decide: Any, by: Person, *args: Any) -> Outcome:
        try:
            await decide(self._registry.visible(id, by), by, *args)
        except GatewayError as error:
            return Outcome(id, error)
        return Outcome(id)

    async def _approve(self, module: Module, by: Person, code: str) -> None:
        if (claim := self._coming_back(module)) is not None:
            await self.approve_claim(claim.number, by, code)
            return
        _still_waits(module)
        token = self._registry.digests(module).token
        self.proofs.check(module.id, token, code, by)
        await self._registry.change(
            module, by, "module.approve", life="approved", expires_at_ms=None, **_decided(by)
        )
        self.proofs.forget(token)

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

    async def approve_claim(self, number: int, by: Person, code: str = "") -> Module:
        """A re-enrolment gets the module back: its token replaces the old one, everything else stays."""
        _must_manage(by)
        self._check_waits(number)
        self._registry.visible(self._registry.claim(number).module_id, by)
        claim, digest = self._registry.take_claim(number)
        module = self._registry.get(claim.module_id)
        kept = self._registry.digests(module)
        try:
            self.proofs.check(module.id, digest, code, by)
            self._note_decided(claim, "approved", by)
            after = await self._registry.change(
                module, by, "module.re_enrol", digests=Digests(digest, "", kept.shared_key),
                life="approved", expires_at_ms=None, hardware=claim.hardware, address=claim.address,
                registered_at_ms=clock.now_ms(),
                reported_firmware=claim.firmware or module.reported_firmware, **_decided(by),
            )  # fmt: skip
        except BaseException:
            self._registry.put_back(claim, digest)
            self._decided_claims.pop(number, None)
            raise
        self._registry.forget_claim(number)
        self.proofs.forget(digest)
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
        self._check_waits(number)
        self._registry.visible(self._registry.claim(number).module_id, by)
        claim = self._registry.claim(number)
        self._note_decided(claim, "rejected", by)
        self._end_claim(claim, "rejected", by)

    async def unlock(self, key: str, by: Person, claim: int = 0) -> None:
        """After too many wrong codes: a newcomer by its id, a re-enrolment by its number."""
        module = self._registry.managed(key, by)
        digest = self._registry.claim_digest(claim) if claim else self._registry.digests(module).token
        await self.proofs.unlock(module.id, digest, by)

    def _check_waits(self, number: int) -> None:
        """Of two who decide at once, the second hears who was first, and when."""
        if number in self._decided_claims:
            raise _was_decided(*self._decided_claims[number])

    def _note_decided(self, claim: Claim, life: str, by: Person) -> None:
        self._decided_claims[claim.number] = (claim.module_id, life, by.name, clock.now_ms())
        if len(self._decided_claims) > MAX_REMEMBERED:
            self._decided_claims.popitem(last=False)

    def _end_claim(self, claim: Claim, status: str, by: Person | str) -> None:
        self._registry.take_claim(claim.number)
        self._registry.forget_claim(claim.number)
        self._registry.note(f"claim.{status}", claim.module_id, by)
        self._hub.publish(ClaimDecided(claim.module_id, claim.number, status))
        self._hub.publish(WaitingChanged())

    async def declare(
        self, entries: list[dict[str, Any]], by: Person | str, *, with_token: bool
    ) -> list[tuple[Module, str]]:
        """Modules that a person enters before they ever spoke; each with its token, or its shared key."""
        return await self.declarations.enter(entries, by, "token" if with_token else "key")

    def expire_due(self) -> int:
        """Remove those whose time to wait is over (absolute time, so a restart changes nothing)."""
        now_ms = clock.now_ms()
        due = [m for m in self._registry.all() if m.life == "pending" and _is_over(m.expires_at_ms, now_ms)]
        for module in due:
            self._registry.expire(module)
        claims = [claim for claim in self._registry.claims() if _is_over(claim.expires_at_ms, now_ms)]
        for claim in claims:
            self._end_claim(claim, "expired", GATEWAY)
        if due or claims:
            self.proofs.keep_only(self._registry.waiting_digests())
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
    raise _was_decided(module.id, module.life, module.decided_by, module.decided_at_ms)


def _was_decided(id: str, life: str, by: str, at_ms: int) -> Conflict:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    if life == "approved":
        sentence = "%(id)s was approved by %(decided_by)s at %(at)s UTC."
    else:
        sentence = "%(id)s was rejected by %(decided_by)s at %(at)s UTC."
    return Conflict(sentence, id=id, decided_by=by, at=f"{at:%H:%M:%S}")
