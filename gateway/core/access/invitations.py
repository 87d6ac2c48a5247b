"""Invitations: a link that makes one account, with the role that an admin chose, for a few days."""

import asyncio
from typing import Any

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.access import scopes
from gateway.core.access.people import People, User, check_username
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound
from gateway.core.events import Hub
from gateway.core.rights import Person, Role, may_administer
from gateway.storage.models_people import InvitationRow
from gateway.storage.store import Store

DEFAULT_DAYS, MAX_DAYS = 7, 90
DAY_MS = 86_400_000
MAX_INVITATIONS = 500
MAX_NOTE = 200
NOT_GOOD = "This invitation is not good: it was used or taken back, or its time is over."


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """`groups`: what the person will be bounded to, as far as groups bound anybody; none: nothing."""

    id: int
    role: Role
    groups: tuple[str, ...]
    note: str
    by: str
    created_at_ms: int
    expires_at_ms: int


class Invitations:
    """The living ones in memory, by the digest of their code."""

    def __init__(self, store: Store, hub: Hub, people: People) -> None:
        self._store = store
        self._hub = hub
        self._people = people
        self._by_digest: dict[str, Invitation] = {}
        self._using = asyncio.Lock()

    async def load(self) -> None:
        for row in await self._store.run(lambda: _living(clock.now_ms())):
            self._by_digest[row.digest] = _invitation(row)

    def all(self) -> list[Invitation]:
        """Those that still let somebody in, the newest first."""
        now_ms = clock.now_ms()
        living = [found for found in self._by_digest.values() if found.expires_at_ms > now_ms]
        return sorted(living, key=lambda found: -found.id)

    def find(self, code: str) -> Invitation | None:
        found = self._by_digest.get(tokens.digest(code.strip()))
        return found if found and found.expires_at_ms > clock.now_ms() else None

    async def add(
        self, role: Role, by: Person, *, groups: str = "", note: str = "", days: int = DEFAULT_DAYS
    ) -> tuple[Invitation, str]:
        """A new invitation and its code, shown once. `groups` are names with commas between them."""
        if not may_administer(by):
            raise Forbidden("Only an admin invites people.")
        if not 1 <= days <= MAX_DAYS:
            raise Invalid("An invitation is good for 1 to %(most)s days.", most=MAX_DAYS)
        if len(self.all()) >= MAX_INVITATIONS:
            raise Conflict("There are %(most)s open invitations already.", most=MAX_INVITATIONS)
        code, now_ms = tokens.new_token(), clock.now_ms()
        digest, names = tokens.digest(code), scopes.checked(groups.split(","))
        scopes.check_fits(role, names, True)
        values: dict[str, Any] = {
            "digest": digest, "role": role.value, "groups": msgspec.json.encode(names).decode(),
            "note": " ".join(note.split())[:MAX_NOTE], "by": by.name, "created_at_ms": now_ms,
            "expires_at_ms": now_ms + days * DAY_MS,
        }  # fmt: skip

        def work() -> Invitation:
            InvitationRow.delete().where(InvitationRow.expires_at_ms <= now_ms).execute()
            row = InvitationRow.create(**values)
            audit.write("invitation.add", f"invitation {row.id}", by.name, role=role.value, groups=names)
            return _invitation(row)

        made = await self._store.run(work)
        self._by_digest = {key: one for key, one in self._by_digest.items() if one.expires_at_ms > now_ms}
        self._by_digest[digest] = made
        self._hub.acted("invitation.add", f"invitation {made.id}", by, role=role.value)
        return made, code

    async def take_back(self, id: int, by: Person) -> None:
        """It lets nobody in any more."""
        if not may_administer(by):
            raise Forbidden("Only an admin takes an invitation back.")
        if not any(found.id == id for found in self._by_digest.values()):
            raise NotFound("There is no invitation %(id)s.", id=id)

        def work() -> None:
            InvitationRow.delete().where(InvitationRow.id == id).execute()
            audit.write("invitation.remove", f"invitation {id}", by.name)

        await self._store.run(work)
        self._by_digest = {digest: one for digest, one in self._by_digest.items() if one.id != id}
        self._hub.acted("invitation.remove", f"invitation {id}", by)

    async def accept(
        self, code: str, username: str, password: str, *, name: str = "", email: str = ""
    ) -> User:
        """The account that this code stands for; from then on it stands for none. Raises `Forbidden`."""
        # One at a time, so that two with the same code do not both get in.
        async with self._using:
            found = self.find(code)
            if found is None:
                raise Forbidden(NOT_GOOD)
            check_username(username)
            hashed = await self._people.hash(password)
            user = await self._people.enter(
                username, hashed, found.role, f"invitation {found.id} of {found.by}",
                name=name, email=email, groups=found.groups, also=lambda: _use(found.id),
            )  # fmt: skip
            self._by_digest = {key: one for key, one in self._by_digest.items() if one.id != found.id}
        return user


def _use(id: int) -> None:
    """Within the transaction that makes the account."""
    if not InvitationRow.delete().where(InvitationRow.id == id).execute():
        raise Forbidden(NOT_GOOD)


def _living(now_ms: int) -> list[InvitationRow]:
    InvitationRow.delete().where(InvitationRow.expires_at_ms <= now_ms).execute()
    return list(InvitationRow.select())


def _invitation(row: InvitationRow) -> Invitation:
    return Invitation(
        id=row.id,
        role=Role(row.role),
        groups=tuple(msgspec.json.decode(row.groups, type=list[str])),
        note=row.note,
        by=row.by,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
    )
