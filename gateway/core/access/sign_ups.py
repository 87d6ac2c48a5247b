"""Sign-ups: anybody may ask for an account when an admin allows it, and waits until one decides."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core import audit, clock
from gateway.core.access.people import People, User, check_username
from gateway.core.addresses import neighbourhood
from gateway.core.choices import Choices
from gateway.core.errors import Closed, Forbidden, Full, NotFound
from gateway.core.events import Event, Hub
from gateway.core.limits import Throttle
from gateway.core.rights import Person, Role, may_administer
from gateway.storage.models_people import SignUpRow
from gateway.storage.store import Store

CHOICE, BY_APPROVAL = "people.sign_up", "approval"
MAX_WAITING = 100
MAX_WAITING_PER_ADDRESS = 5
TRIES, TRY_EVERY_S = 5, 600.0
EXPIRES_MS = 30 * 86_400_000
MAX_NOTE = 500


@dataclass(frozen=True, slots=True)
class SignUpsChanged(Event):
    """Somebody asked for an account, or was decided upon; `waiting`: how many wait."""

    waiting: int


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    username: str
    name: str
    email: str
    note: str
    address: str
    created_at_ms: int


class SignUps:
    """Those who wait, in memory. None of them has an account, a session or any right."""

    def __init__(
        self, store: Store, hub: Hub, people: People, choices: Choices, *, rate_limits: bool
    ) -> None:
        self._store = store
        self._hub = hub
        self._people = people
        self._choices = choices
        self._waiting: dict[int, SignUp] = {}
        self._deciding = asyncio.Lock()
        self.throttle = Throttle(TRIES, TRY_EVERY_S, enabled=rate_limits)

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(SignUpRow.select())):
            self._waiting[row.id] = _sign_up(row)

    @property
    def is_open(self) -> bool:
        return self._choices.text(CHOICE) == BY_APPROVAL

    def all(self) -> list[SignUp]:
        """The oldest first."""
        oldest_ms = clock.now_ms() - EXPIRES_MS
        return [asked for asked in self._waiting.values() if asked.created_at_ms > oldest_ms]

    async def ask(
        self, username: str, password: str, address: str, *, name: str = "", email: str = "", note: str = ""
    ) -> None:
        """Take a place in the list. Nothing tells whether a user of that name exists or waits already."""
        if not self.is_open:
            raise Closed("Accounts here are by invitation.")
        place = neighbourhood(address)
        self.throttle.spend(place, "Too many requests from this address.")
        check_username(username)
        self._check_room(place)
        values: dict[str, Any] = {
            "username": username, "name": name[:200], "email": email[:200],
            "note": " ".join(note.split())[:MAX_NOTE], "address": address,
            "password_hash": await self._people.hash(password), "created_at_ms": clock.now_ms(),
        }  # fmt: skip

        def work() -> SignUp:
            row = SignUpRow.create(**values)
            audit.write("sign_up.ask", username, f"sign-up {row.id}", address=address)
            return _sign_up(row)

        async with self._deciding:
            await self._forget_expired()
            # Again, because others may have come while the password was hashed.
            self._check_room(place)
            asked = await self._store.run(work)
            self._waiting[asked.id] = asked
        self._hub.publish(SignUpsChanged(len(self._waiting)))

    def _check_room(self, place: str) -> None:
        waiting = self.all()
        from_here = sum(neighbourhood(asked.address) == place for asked in waiting)
        if len(waiting) >= MAX_WAITING or from_here >= MAX_WAITING_PER_ADDRESS:
            raise Full("Too many wait for an answer right now. Ask again later, or ask an admin in person.")

    async def approve(self, id: int, role: Role, by: Person, username: str = "") -> User:
        """An account, with the password that was chosen; `username`: another one than was asked for."""
        async with self._deciding:
            asked = self._asked(id, by)
            hashed = await self._store.run(lambda: str(SignUpRow.get_by_id(id).password_hash))
            user = await self._people.enter(
                username or asked.username, hashed, role, by, name=asked.name, email=asked.email,
                also=lambda: SignUpRow.delete().where(SignUpRow.id == id).execute(),
            )  # fmt: skip
            del self._waiting[id]
        self._hub.publish(SignUpsChanged(len(self._waiting)))
        return user

    async def reject(self, id: int, by: Person) -> SignUp:
        """The request goes; nobody is told."""
        async with self._deciding:
            asked = self._asked(id, by)

            def work() -> None:
                SignUpRow.delete().where(SignUpRow.id == id).execute()
                audit.write("sign_up.reject", asked.username, by.name)

            await self._store.run(work)
            del self._waiting[id]
        self._hub.acted("sign_up.reject", asked.username, by)
        self._hub.publish(SignUpsChanged(len(self._waiting)))
        return asked

    def _asked(self, id: int, by: Person) -> SignUp:
        if not may_administer(by):
            raise Forbidden("Only an admin decides who gets an account.")
        if id not in self._waiting:
            raise NotFound("There is no request %(id)s; somebody may have decided already.", id=id)
        return self._waiting[id]

    async def _forget_expired(self) -> None:
        living = {asked.id for asked in self.all()}
        over = [id for id in self._waiting if id not in living]
        if over:
            await self._store.run(lambda: SignUpRow.delete().where(SignUpRow.id.in_(over)).execute())
            self._waiting = {id: asked for id, asked in self._waiting.items() if id in living}


def _sign_up(row: SignUpRow) -> SignUp:
    return SignUp(
        id=row.id,
        username=row.username,
        name=row.name,
        email=row.email,
        note=row.note,
        address=row.address,
        created_at_ms=row.created_at_ms,
    )
