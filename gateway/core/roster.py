"""The modules and re-enrolments in memory: found by id, proved by token."""

from collections.abc import Iterable

from gateway.core import tokens
from gateway.core.errors import Forbidden, NotFound
from gateway.core.records import Digests
from gateway.core.rights import ModuleIdentity, Person, Principal, may_act, may_see
from gateway.core.values import Claim, Module

NO_DIGESTS = Digests()


class Roster:
    """Ids are unique ignoring case; a token belongs to exactly the id it was given with."""

    def __init__(self) -> None:
        self._modules: dict[str, Module] = {}
        self._ids: dict[int, str] = {}
        self._digests: dict[int, Digests] = {}
        self._claims: dict[int, Claim] = {}
        self._claim_digests: dict[int, str] = {}
        # Whose token a digest is of: for dialects in which the token comes alone.
        self._owners: dict[str, str] = {}

    def all(self) -> Iterable[Module]:
        return self._modules.values()

    def claims(self) -> Iterable[Claim]:
        return self._claims.values()

    def known(self, id: str) -> Module | None:
        return self._modules.get(id.lower())

    def get(self, id: str) -> Module:
        """By id, ignoring case; raises `NotFound`."""
        if module := self.known(id):
            return module
        raise NotFound("There is no module %(id)r.", id=id[:64])

    def find(self, key: str) -> Module:
        """By id, UUID or number; raises `NotFound`."""
        if module := self.known(key):
            return module
        for module in self._modules.values():
            if key in (module.uuid, str(module.number)):
                return module
        raise NotFound("There is no module %(key)r.", key=key[:64])

    def numbered(self, number: int) -> Module | None:
        id = self._ids.get(number)
        return self._modules[id] if id is not None else None

    def visible(self, key: str, to: Principal) -> Module:
        """The module, if `to` may see it; otherwise it does not exist for him."""
        module = self.find(key)
        if not may_see(to, module.owner_id, module.group):
            raise NotFound("There is no module %(key)r.", key=key[:64])
        return module

    def changeable(self, key: str, by: Person) -> Module:
        """The module, for somebody who sees it and may do more than look; raises `Forbidden` for others."""
        module = self.visible(key, by)
        if not may_act(by):
            raise Forbidden("You may look at this module, and nothing else.")
        return module

    def claim(self, number: int) -> Claim:
        try:
            return self._claims[number]
        except KeyError:
            raise NotFound("This re-enrolment is not waiting any more.") from None

    def claim_of(self, module_id: str, address: str) -> Claim | None:
        """The re-enrolment that this address has under way already."""
        return next(
            (c for c in self._claims.values() if c.module_id == module_id and c.address == address), None
        )

    def claim_digest(self, number: int) -> str:
        """Of the token that a re-enrolment has; raises `NotFound`."""
        return self._claim_digests[self.claim(number).number]

    def waiting_digests(self) -> set[str]:
        """Of the tokens of all who wait."""
        pending = (self._digests[m.number].token for m in self._modules.values() if m.life == "pending")
        return {*pending, *self._claim_digests.values()}

    def waiting(self) -> int:
        """How many newcomers and re-enrolments wait for a decision."""
        return sum(module.life == "pending" for module in self._modules.values()) + len(self._claims)

    def waiting_for(self, who: Principal) -> int:
        """As `waiting`, of those that somebody may see."""
        if may_see(who, None):
            return self.waiting()
        pending = [module for module in self._modules.values() if module.life == "pending"]
        claimed = [self._modules[claim.module_id.lower()] for claim in self._claims.values()]
        return sum(may_see(who, module.owner_id, module.group) for module in pending + claimed)

    def authenticate(self, id: object, token: object) -> ModuleIdentity | None:
        """Who proves himself with this token; None for anything else, in the same time for all."""
        module = self.known(id) if isinstance(id, str) else None
        digests = self._digests[module.number] if module else NO_DIGESTS
        current = tokens.matches(token, digests.token)
        following = tokens.matches(token, digests.next_token)
        if module is None or id != module.id or module.life == "rejected":
            return None
        if following:
            self._token_used(module)
        if current or following:
            proof = self._digests[module.number].token
            return ModuleIdentity(module.id, module.life == "approved", proof=proof)
        return self._claimant(module, token)

    def by_token(self, token: object) -> ModuleIdentity | None:
        """Who proves himself with a token alone; an empty, missing or non-string one is nobody's."""
        if not isinstance(token, str) or not token:
            return None
        return self.authenticate(self._owners.get(tokens.digest(token)), token)

    def _claimant(self, module: Module, token: object) -> ModuleIdentity | None:
        for claim in self._claims.values():
            digest = self._claim_digests[claim.number]
            if claim.module_id == module.id and tokens.matches(token, digest):
                return ModuleIdentity(module.id, False, claim.number, digest)
        return None

    def _token_used(self, module: Module) -> None:
        """The token that was to follow was used: it is the token from now on."""
        digests = self._digests[module.number]
        self._keep(module, Digests(digests.next_token, "", digests.shared_key))

    def identity_now(self, identity: ModuleIdentity) -> ModuleIdentity | None:
        """The same identity with the rights it has now; None when it is nobody any more."""
        module = self.known(identity.id)
        if module is None or module.life == "rejected":
            return None
        if identity.claim:
            # Asking again from the same address gives the claim a new token.
            digest = self._claim_digests.get(identity.claim)
            return identity if digest and identity.proof in ("", digest) else None
        token = self._digests[module.number].token
        if not token or (identity.proof and identity.proof != token):
            return None
        return ModuleIdentity(module.id, module.life == "approved", proof=identity.proof)

    def knows_key(self, module: Module | None, shared_key: object) -> bool:
        """Whether this is the shared key that a person was given for the module; of none it takes as long."""
        digests = self._digests[module.number] if module else NO_DIGESTS
        return tokens.matches(shared_key, digests.shared_key)

    def _keep(self, module: Module, digests: Digests) -> None:
        self._modules[module.id.lower()] = module
        self._ids[module.number] = module.id.lower()
        self._disown(module.id, self._digests.get(module.number, NO_DIGESTS))
        self._digests[module.number] = digests
        for digest in (digests.token, digests.next_token):
            if digest:
                self._owners.setdefault(digest, module.id)

    def _disown(self, module_id: str, digests: Digests) -> None:
        """Two devices may have the same password built in; then the token alone is the first one's."""
        for digest in (digests.token, digests.next_token):
            if self._owners.get(digest) == module_id:
                del self._owners[digest]

    def _keep_claim(self, claim: Claim, token_digest: str) -> None:
        self._claims[claim.number] = claim
        self._owners.pop(self._claim_digests.get(claim.number, ""), None)
        self._claim_digests[claim.number] = token_digest
        self._owners[token_digest] = claim.module_id

    def _drop_claim(self, number: int) -> str:
        del self._claims[number]
        digest = self._claim_digests.pop(number)
        self._owners.pop(digest, None)
        return digest

    def _drop(self, module: Module) -> None:
        self._disown(module.id, self._digests.pop(module.number))
        del self._modules[module.id.lower()], self._ids[module.number]
        for claim in [claim for claim in self._claims.values() if claim.module_id == module.id]:
            self._drop_claim(claim.number)
