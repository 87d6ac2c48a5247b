"""Tokens that speak for a person over REST: named, bounded in rights and time, shown once."""

import dataclasses
from typing import Any, Literal

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.access.people import People
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import Hub
from gateway.core.rights import Person, Role, may_administer
from gateway.storage.models_people import PersonalTokenRow
from gateway.storage.store import Store

# So that people and scanners of leaked secrets know one when they see it.
PREFIX = "psr_"
Scope = Literal["read", "act"]
RANKS = list(Role)
MAX_NAME = 64
MAX_TOKENS = 50
MAX_DAYS = 3650
DAY_MS = 86_400_000
# How exact "last used" is: more would be a write for each call.
USED_EVERY_MS = 60_000


class PersonalToken(msgspec.Struct, frozen=True, kw_only=True):
    """`role` is the most it may be; with the scope `read` it changes nothing."""

    id: int
    person_id: int
    name: str
    role: Role
    scope: Scope
    created_at_ms: int
    expires_at_ms: int | None
    used_at_ms: int | None


class PersonalTokens:
    def __init__(self, store: Store, hub: Hub, people: People) -> None:
        self._store = store
        self._hub = hub
        self._people = people
        self._tokens: dict[int, PersonalToken] = {}
        self._by_digest: dict[str, int] = {}

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(PersonalTokenRow.select())):
            self._tokens[row.id] = _token(row)
            self._by_digest[row.digest] = row.id

    def of(self, person_id: int) -> list[PersonalToken]:
        """The newest first."""
        found = [token for token in self._tokens.values() if token.person_id == person_id]
        return sorted(found, key=lambda token: -token.id)

    async def add(
        self, person: Person, name: str, scope: Scope, role: Role | None = None, days: int | None = None
    ) -> tuple[PersonalToken, str]:
        """A new token and its secret, shown once. `role` none: one's own; `days` none: it does not expire."""
        secret = PREFIX + tokens.new_token()
        values = self._checked(person, name, scope, role or person.role, days)
        digest = tokens.digest(secret)

        def work() -> PersonalToken:
            row = PersonalTokenRow.create(**values, digest=digest)
            noted = {"name": values["name"], "scope": scope, "role": values["role"], "days": days}
            audit.write("token.add", person.name, person.name, **noted)
            return _token(row)

        token = await self._store.run(work)
        self._tokens[token.id] = token
        self._by_digest[digest] = token.id
        self._hub.acted("token.add", person.name, person, name=token.name, scope=scope, role=token.role)
        return token, secret

    def _checked(
        self, person: Person, name: str, scope: Scope, role: Role, days: int | None
    ) -> dict[str, Any]:
        words = " ".join(name.split())
        if not 1 <= len(words) <= MAX_NAME or not words.isprintable():
            raise Invalid("A token's name has 1 to %(most)s characters, on one line.", most=MAX_NAME)
        if RANKS.index(role) > RANKS.index(person.role):
            raise Forbidden("A token cannot be more than you are (%(role)s).", role=person.role)
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise Invalid("A token lives for 1 to %(most)s days.", most=MAX_DAYS)
        own = self.of(person.id)
        if len(own) >= MAX_TOKENS:
            raise Conflict("You have %(most)s tokens already; revoke one first.", most=MAX_TOKENS)
        if any(token.name == words for token in own):
            raise Conflict("You have a token %(name)r already.", name=words)
        now_ms = clock.now_ms()
        return {
            "user_id": person.id, "name": words, "role": role.value, "scope": scope, "created_at_ms": now_ms,
            "expires_at_ms": now_ms + days * DAY_MS if days else None,
        }  # fmt: skip

    async def revoke(self, id: int, by: Person) -> PersonalToken:
        """One's own, or as an admin anybody's; it is dead when this returns."""
        token = self._tokens.get(id)
        if token is None or (token.person_id != by.id and not may_administer(by)):
            raise NotFound("There is no token %(id)s.", id=id)
        await self._revoke([token], by)
        return token

    async def revoke_all(self, person_id: int, by: Person) -> int:
        """All of somebody's; returns how many there were."""
        if person_id != by.id and not may_administer(by):
            raise Forbidden("Only an admin revokes other people's tokens.")
        found = self.of(person_id)
        if found:
            await self._revoke(found, by)
        return len(found)

    async def _revoke(self, dead: list[PersonalToken], by: Person) -> None:
        ids = {token.id for token in dead}
        whose, names = self._people.get(dead[0].person_id).username, [token.name for token in dead]

        def work() -> None:
            PersonalTokenRow.delete().where(PersonalTokenRow.id.in_(ids)).execute()
            audit.write("token.revoke", whose, by.name, names=names)

        await self._store.run(work)
        self._tokens = {id: token for id, token in self._tokens.items() if id not in ids}
        self._by_digest = {digest: id for digest, id in self._by_digest.items() if id not in ids}
        self._hub.acted("token.revoke", whose, by, names=names)

    def verify(self, secret: str) -> tuple[PersonalToken, Person] | None:
        """Who this token speaks for, with no more rights than the token and the person have."""
        token = self._tokens.get(self._by_digest.get(tokens.digest(secret), 0))
        person = self._people.person(token.person_id) if token else None
        now_ms = clock.now_ms()
        if token is None or person is None or (token.expires_at_ms or now_ms + 1) <= now_ms:
            return None
        self._note_use(token, now_ms)
        role = min(token.role, person.role, key=RANKS.index)
        acts = person.acts and token.scope == "act"
        return token, dataclasses.replace(person, role=role, acts=acts)

    def _note_use(self, token: PersonalToken, now_ms: int) -> None:
        if now_ms - (token.used_at_ms or 0) < USED_EVERY_MS:
            return
        self._tokens[token.id] = msgspec.structs.replace(token, used_at_ms=now_ms)
        used = PersonalTokenRow.update(used_at_ms=now_ms).where(PersonalTokenRow.id == token.id)
        self._store.submit(used.execute)


def _token(row: PersonalTokenRow) -> PersonalToken:
    return PersonalToken(
        id=row.id,
        person_id=row.user_id,
        name=row.name,
        role=Role(row.role),
        scope=msgspec.convert(row.scope, Scope),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        used_at_ms=row.used_at_ms,
    )
