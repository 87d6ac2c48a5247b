"""People: who they are, what role they have, and the password that proves it."""

import asyncio
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from gateway.core import audit, clock
from gateway.core.access import scopes
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from gateway.core.events import Hub, PersonChanged
from gateway.core.rights import Person, Role, may_administer, name_of
from gateway.storage.models import UserRow
from gateway.storage.store import Store

T = TypeVar("T")
USERNAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}\Z")
PASSWORD_LENGTH = (10, 256)
MAX_TEXT = 200
# Hashing is slow on purpose, so it has a thread of its own and cannot take all of the machine.
HASHING_THREADS = 1
# Whoever comes when so many wait is told to come again; a flood of tries must not pile up for minutes.
MAX_HASHES_WAITING = 50
HASHES_AGAIN_S = 5


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    username: str
    name: str
    email: str
    role: Role
    active: bool
    created_at_ms: int
    last_login_ms: int | None
    groups: frozenset[str] = frozenset()
    acts: bool = True

    @property
    def person(self) -> Person:
        return Person(self.id, self.username, self.role, self.groups, self.acts)


class People:
    """All of them in memory (a house has few); changes are durable before the call returns."""

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._users: dict[int, User] = {}
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._hashing = ThreadPoolExecutor(HASHING_THREADS, "password hashing")
        self._changing = asyncio.Lock()
        self._hashes_waiting = 0
        self._hash_of_nobody = ""

    async def load(self) -> None:
        for row in await self._store.run(lambda: list(UserRow.select())):
            self._users[row.id] = _user(row)
        for id, scope in await self._store.run(scopes.load):
            if id in self._users:
                self._users[id] = msgspec.structs.replace(self._users[id], **scope)
        self._hash_of_nobody = await self._hashed(self._hasher.hash, "the password of nobody")

    def close(self) -> None:
        self._hashing.shutdown(cancel_futures=True)

    def all(self) -> list[User]:
        return sorted(self._users.values(), key=lambda user: user.username.lower())

    def get(self, id: int) -> User:
        try:
            return self._users[id]
        except KeyError:
            raise NotFound("There is no user %(id)s.", id=id) from None

    def person(self, id: int) -> Person | None:
        """Who that is now, with the role of now; None for somebody who is gone or locked."""
        user = self._users.get(id)
        return user.person if user and user.active else None

    def named(self, username: str) -> User | None:
        folded = username.lower()
        return next((user for user in self._users.values() if user.username.lower() == folded), None)

    async def add(
        self,
        username: str,
        password: str,
        role: Role,
        by: Person | str,
        *,
        name: str = "",
        email: str = "",
    ) -> User:
        """A new user; raises `Invalid` or `Conflict` with a sentence."""
        check_username(username)
        return await self.enter(username, await self.hash(password), role, by, name=name, email=email)

    async def enter(
        self,
        username: str,
        password_hash: str,
        role: Role,
        by: Person | str,
        *,
        name: str = "",
        email: str = "",
        groups: Iterable[str] = (),
        also: Callable[[], object] = lambda: None,
    ) -> User:
        """A new user whose password was hashed before; `also` is done within the same transaction."""
        check_username(username)
        wanted = scopes.checked(groups)
        scopes.check_fits(role, wanted, True)
        noted: dict[str, Any] = {"role": role.value} | ({"groups": wanted} if wanted else {})
        fields: dict[str, Any] = {
            "username": username, "folded_username": username.lower(), "name": _line(name),
            "email": _line(email), "role": role.value, "created_at_ms": clock.now_ms(),
        }  # fmt: skip

        def work() -> User:
            also()
            row = UserRow.create(**fields, password_hash=password_hash)
            scopes.insert(row.id, wanted)
            audit.write("user.add", username, name_of(by), **noted)
            return msgspec.structs.replace(_user(row), groups=frozenset(wanted))

        async with self._changing:
            if self.named(username) is not None:
                raise Conflict("There is a user %(username)r already.", username=username)
            user = await self._store.run(work)
            self._users[user.id] = user
        self._hub.publish(PersonChanged(user.id, user.username, "registered"))
        self._hub.acted("user.add", user.username, by, **noted)
        return user

    async def edit(self, id: int, by: Person, **changes: Any) -> User:
        """Name and e-mail are one's own to change; role and `active` an admin's. The last admin stays."""
        if by.id != id and not may_administer(by):
            raise Forbidden("Only an admin changes other people's accounts.")
        # One at a time: two admins who demote each other at once must not both succeed.
        async with self._changing:
            user = self.get(id)
            changes |= {key: _line(changes[key]) for key in ("name", "email") if key in changes}
            values = {key: str(v) if isinstance(v, Role) else v for key, v in changes.items()}
            if changes.keys() & {"role", "active"}:
                self._check_power(user, by, changes)
            after = msgspec.structs.replace(user, **changes)
            note = values | {"before": {name: getattr(user, name) for name in values}}
            await self._store.run(lambda: _update(user, by.name, values, note))
            self._users[id] = msgspec.structs.replace(after, last_login_ms=self._users[id].last_login_ms)
        what = next((power for power in ("role", "active") if power in changes), "profile")
        self._hub.publish(PersonChanged(id, user.username, what))
        self._hub.acted("user.edit", user.username, by, **note)
        return after

    def _check_power(self, user: User, by: Person, changes: dict[str, Any]) -> None:
        if not may_administer(by):
            raise Forbidden("Only an admin changes roles.")
        stays_admin = changes.get("role", user.role) is Role.ADMIN and changes.get("active", user.active)
        others = [u for u in self._users.values() if u.id != user.id and u.role is Role.ADMIN and u.active]
        if user.role is Role.ADMIN and not stays_admin and not others:
            raise Conflict("%(username)s is the last admin.", username=user.username)

    async def set_scope(self, id: int, groups: Iterable[str], acts: bool, by: Person) -> User:
        """Which groups of modules somebody reaches (see `Person`), and whether he may more than look.

        Raises `Conflict` for an admin, who reaches everything, and for a technician who should only look.
        """
        if not may_administer(by):
            raise Forbidden("Only an admin changes what people reach.")
        wanted = scopes.checked(groups)
        async with self._changing:
            user = self.get(id)
            scopes.check_fits(user.role, wanted, acts)
            after = msgspec.structs.replace(user, groups=frozenset(wanted), acts=acts)
            if after == user:
                return user
            note = scopes.note((sorted(user.groups), user.acts), (wanted, acts))
            await self._store.run(lambda: scopes.keep(user.id, user.username, wanted, acts, by.name, note))
            self._users[id] = msgspec.structs.replace(after, last_login_ms=self._users[id].last_login_ms)
        self._hub.publish(PersonChanged(id, user.username, "scope"))
        self._hub.acted("user.scope", user.username, by, **note)
        return after

    async def set_password(self, id: int, password: str, by: Person | str) -> None:
        hashed = await self.hash(password)
        user = self.get(id)

        def work() -> None:
            UserRow.update(password_hash=hashed).where(UserRow.id == id).execute()
            audit.write("user.password", user.username, name_of(by))

        await self._store.run(work)
        self._hub.publish(PersonChanged(id, user.username, "password"))
        self._hub.acted("user.password", user.username, by)

    async def prove(self, username: str, password: str) -> User | None:
        """The user whose password this is; as long a wait for an unknown name as for a wrong password."""
        user = self.named(username)
        hashed = await self._store.run(lambda: _hash_of(user.id) if user else self._hash_of_nobody)
        right = await self._hashed(self._hasher.verify, password[: PASSWORD_LENGTH[1]], hashed)
        return user if user and user.active and right else None

    async def logged_in(self, user: User) -> None:
        """Raises `Unauthenticated` for somebody who was locked while the password was checked."""
        now_ms = clock.now_ms()
        if not self.get(user.id).active:
            raise Unauthenticated("User name or password is wrong.")
        # As he is by now: `user` was looked up before the password was checked, which takes a while.
        self._users[user.id] = msgspec.structs.replace(self._users[user.id], last_login_ms=now_ms)
        self._store.submit(
            lambda: UserRow.update(last_login_ms=now_ms).where(UserRow.id == user.id).execute()
        )

    async def hash(self, password: str) -> str:
        """What is kept of a password; raises `Invalid` for one that is too short or too long."""
        return await self._hashed(self._hasher.hash, _fit(password))

    async def _hashed(self, work: Callable[..., T], *given: str) -> T:
        if self._hashes_waiting >= MAX_HASHES_WAITING:
            raise Unavailable("Too many passwords are being checked right now.", HASHES_AGAIN_S)
        self._hashes_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, work, *given)
        finally:
            self._hashes_waiting -= 1


def check_username(username: str) -> None:
    if not USERNAME.match(username):
        raise Invalid("A user name is 1-64 letters, digits or _ . @ -")


def _line(text: str) -> str:
    """On one line, and no longer than anybody's name."""
    return " ".join(text.split())[:MAX_TEXT]


def _fit(password: str) -> str:
    shortest, longest = PASSWORD_LENGTH
    if not shortest <= len(password) <= longest:
        raise Invalid(
            "A password has %(shortest)s to %(longest)s characters; length is what makes it strong.",
            shortest=shortest,
            longest=longest,
        )
    return password


def _update(user: User, by: str, values: dict[str, Any], note: dict[str, Any]) -> None:
    UserRow.update(**values).where(UserRow.id == user.id).execute()
    audit.write("user.edit", user.username, by, **note)


def _hash_of(user_id: int) -> str:
    return str(UserRow.get_by_id(user_id).password_hash)


def _user(row: UserRow) -> User:
    return User(
        id=row.id,
        username=row.username,
        name=row.name,
        email=row.email,
        role=Role(row.role),
        active=row.active,
        created_at_ms=row.created_at_ms,
        last_login_ms=row.last_login_ms,
    )
