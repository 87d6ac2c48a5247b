"""Getting in: the first admin by the set-up link, everybody by password, and never too many tries."""

from gateway.core import tokens
from gateway.core.errors import Conflict, Forbidden, Unauthenticated
from gateway.core.limits import Throttle
from gateway.core.maintenance import MaintenanceMode
from gateway.core.people import People, User
from gateway.core.rights import Person, Role
from gateway.core.sessions import Session, Sessions, Tokens

TRIES = 10
TRY_EVERY_S = 6.0
TRIES_PER_ADDRESS = 30
TRY_EVERY_S_PER_ADDRESS = 2.0


class Accounts:
    def __init__(
        self, people: People, sessions: Sessions, maintenance: MaintenanceMode, *, rate_limits: bool
    ) -> None:
        self.people = people
        self.sessions = sessions
        self.maintenance = maintenance
        # By account and address together, so that a stranger's tries never lock the owner out.
        self._tries = Throttle(TRIES, TRY_EVERY_S, enabled=rate_limits)
        self._tries_of_address = Throttle(TRIES_PER_ADDRESS, TRY_EVERY_S_PER_ADDRESS, enabled=rate_limits)
        self._setup_secret = tokens.new_token()
        self._setting_up = False

    @property
    def setup_needed(self) -> bool:
        return not self.people.all()

    @property
    def setup_secret(self) -> str:
        """For the one-time link that is printed at the start while nobody has an account."""
        return self._setup_secret if self.setup_needed else ""

    def is_setup_secret(self, secret: object) -> bool:
        return self.setup_needed and tokens.matches(secret, tokens.digest(self._setup_secret))

    async def set_up(self, secret: str, username: str, password: str) -> Person:
        """The first admin; the link is dead from then on."""
        if not self.is_setup_secret(secret):
            raise Forbidden("This set-up link is not valid, or was used already.")
        if self._setting_up:
            raise Conflict("Somebody else is setting this gateway up right now.")
        self._setting_up = True
        try:
            user = await self.people.add(username, password, Role.ADMIN, username)
        finally:
            self._setting_up = False
        return user.person

    async def prove(self, username: str, password: str, address: str) -> User:
        """The user who proves himself; raises `Unauthenticated` or `TooMany`."""
        key = (username.lower()[:64], address)
        self._tries.spend(key, "Too many tries for this account from here.")
        self._tries_of_address.spend(address, "Too many tries from this address.")
        user = await self.people.prove(username, password)
        if user is None:
            raise Unauthenticated("User name or password is wrong.")
        self._tries.forgive(key)
        self._tries_of_address.forgive(address)
        return user

    async def _let_in(self, username: str, password: str, address: str) -> User:
        """As `prove`, for a new session: during maintenance only admins get one, others `Unavailable`."""
        user = await self.prove(username, password, address)
        self.maintenance.admit(user.person)
        await self.people.logged_in(user)
        return user

    async def log_in(self, username: str, password: str, address: str) -> tuple[Session, str]:
        """A browser's session and the value of its cookie."""
        user = await self._let_in(username, password, address)
        return await self.sessions.open(user.person, "browser", address)

    async def issue_tokens(self, username: str, password: str, address: str) -> Tokens:
        """A program's access and refresh token."""
        user = await self._let_in(username, password, address)
        return await self.sessions.issue(user.person, address)

    async def change_password(self, session: Session, old: str, new: str, address: str) -> None:
        """One's own password; every other session of the person ends."""
        user = self.people.get(session.person_id)
        await self.prove(user.username, old, address)
        await self.people.set_password(user.id, new, user.person)
        await self.sessions.close_all(user.id, user.username, but=session.id)
