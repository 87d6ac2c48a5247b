"""Getting in: the first admin by the set-up link, everybody by password and code; never too many tries."""

from dataclasses import dataclass

from gateway.core import tokens
from gateway.core.access.halfway import Halfway, KnownBrowsers
from gateway.core.access.invitations import Invitations
from gateway.core.access.people import People, User
from gateway.core.access.personal_tokens import PersonalTokens
from gateway.core.access.second_factor import SecondFactorNeeded, SecondFactors
from gateway.core.access.sessions import Session, Sessions, Tokens
from gateway.core.access.sign_ups import SignUps
from gateway.core.addresses import neighbourhood
from gateway.core.errors import Conflict, Forbidden, Unauthenticated
from gateway.core.limits import Throttle
from gateway.core.maintenance import MaintenanceMode
from gateway.core.rights import Person, Role, may_administer

TRIES = 10
TRY_EVERY_S = 6.0
TRIES_PER_ADDRESS = 30
TRY_EVERY_S_PER_ADDRESS = 2.0
# A code has six digits only, and whoever tries has the password already.
CODE_EVERY_S = 30.0
# From all places together, as somebody with many addresses would otherwise find it within days. A browser
# that is known has its own, so that this keeps no owner out.
CODES_OF_ALL, CODE_EVERY_S_OF_ALL = 100, 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Where a log-in comes from: the address, what the program says it is, a known browser's mark."""

    address: str
    agent: str = ""
    mark: str = ""


class Accounts:
    """`place` below is where tries are counted together: an address, or the /64 around it."""

    def __init__(
        self,
        people: People,
        sessions: Sessions,
        maintenance: MaintenanceMode,
        factors: SecondFactors,
        personal_tokens: PersonalTokens,
        invitations: Invitations,
        sign_ups: SignUps,
        known: KnownBrowsers,
        *,
        rate_limits: bool,
    ) -> None:
        self.people = people
        self.sessions = sessions
        self.maintenance = maintenance
        self.factors = factors
        self.tokens = personal_tokens
        self.invitations = invitations
        self.sign_ups = sign_ups
        self.known = known
        self.halfway = Halfway()
        # By account and place together, so that a stranger's tries never lock the owner out.
        self._tries = Throttle(TRIES, TRY_EVERY_S, enabled=rate_limits)
        self._tries_of_address = Throttle(TRIES_PER_ADDRESS, TRY_EVERY_S_PER_ADDRESS, enabled=rate_limits)
        self._codes = Throttle(TRIES, CODE_EVERY_S, enabled=rate_limits)
        self._codes_of_all = Throttle(CODES_OF_ALL, CODE_EVERY_S_OF_ALL, enabled=rate_limits)
        self._setup_secret = tokens.new_token()
        self._setting_up = False

    async def load(self) -> None:
        for part in (
            self.people, self.sessions.keys, self.sessions, self.factors, self.tokens, self.invitations,
            self.sign_ups,
        ):  # fmt: skip
            await part.load()

    # The first admin

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

    async def join(
        self, code: str, username: str, password: str, address: str, *, name: str = "", email: str = ""
    ) -> User:
        """The account that an invitation's code stands for; raises `Forbidden` or `TooMany`."""
        place = neighbourhood(address)
        self._tries_of_address.spend(place, "Too many tries from this address.")
        user = await self.invitations.accept(code, username, password, name=name, email=email)
        self._tries_of_address.forgive(place)
        return user

    # Proving who one is

    async def prove(self, username: str, password: str, address: str, mark: str = "") -> User:
        """The user who proves himself by password; raises `Unauthenticated` or `TooMany`.

        `mark`: what a browser kept that this user has logged in with before; it has tries of its own.
        """
        known = self.people.named(username)
        if known is not None and self.known.knows(mark, known.id):
            place = mark
        else:
            place = neighbourhood(address)
        key = (username.lower()[:64], place)
        self._tries.spend(key, "Too many tries for this account from here.")
        self._tries_of_address.spend(place, "Too many tries from this address.")
        user = await self.people.prove(username, password)
        if user is None:
            raise Unauthenticated("User name or password is wrong.")
        self._tries.forgive(key)
        self._tries_of_address.forgive(place)
        return user

    async def _prove_factor(self, user: User, code: str, address: str, mark: str = "") -> None:
        """Raises `SecondFactorNeeded` without a code or for a wrong one."""
        if not self.factors.is_on(user.id):
            return
        if not code.strip():
            raise SecondFactorNeeded("A code of your second factor is needed.")
        known = self.known.knows(mark, user.id)
        key = (user.id, mark if known else neighbourhood(address))
        self._codes.spend(key, "Too many codes were tried for this account from here.")
        if not known:
            self._codes_of_all.spend(user.id, "Too many codes were tried for this account.")
        if not await self.factors.check(user.id, code):
            raise SecondFactorNeeded("This code is wrong, or was used already.")
        self._codes.forgive(key)

    async def confirm_factor(self, person: Person, code: str, address: str) -> list[str]:
        """Turn one's second factor on with the first code of the app; returns the recovery codes."""
        key = (person.id, neighbourhood(address))
        self._codes.spend(key, "Too many codes were tried for this account from here.")
        codes = await self.factors.confirm(person, code)
        self._codes.forgive(key)
        return codes

    # Sessions

    async def log_in(self, username: str, password: str, address: str, code: str = "") -> tuple[Session, str]:
        """A browser's session and the value of its cookie, in one step."""
        user = await self.prove(username, password, address)
        await self._prove_factor(user, code, address)
        return await self.finish(user, Caller(address))

    async def begin(self, username: str, password: str, caller: Caller) -> tuple[User, str]:
        """The first of two steps; returns who it is and the secret that the second step needs.

        The secret is empty when there is no second factor.
        """
        user = await self.prove(username, password, caller.address, caller.mark)
        if not self.factors.is_on(user.id):
            return user, ""
        return user, self.halfway.begin(user.id, neighbourhood(caller.address))

    async def finish(self, user: User, caller: Caller) -> tuple[Session, str]:
        """The session of somebody who has proved all he has to; in maintenance only admins get one."""
        self.maintenance.admit(user.person)
        await self.people.logged_in(user)
        return await self.sessions.open(user.person, "browser", caller.address, caller.agent)

    async def second_step(self, half: str, code: str, caller: Caller) -> tuple[User, Session, str]:
        """The session, and its cookie's value, for the secret of the first step and a right code."""
        user = self.people.get(self.halfway.owner(half, neighbourhood(caller.address)))
        if not user.active:
            raise Unauthenticated("User name or password is wrong.")
        await self._prove_factor(user, code, caller.address, caller.mark)
        session, token = await self.finish(user, caller)
        self.halfway.end(half)
        return user, session, token

    async def issue_tokens(
        self, username: str, password: str, address: str, code: str = "", *, agent: str = ""
    ) -> Tokens:
        """A program's access and refresh token."""
        user = await self.prove(username, password, address)
        await self._prove_factor(user, code, address)
        self.maintenance.admit(user.person)
        await self.people.logged_in(user)
        return await self.sessions.issue(user.person, address, agent)

    async def change_password(
        self, session: Session, old: str, new: str, address: str, mark: str = ""
    ) -> None:
        """One's own password; every other session of the person ends."""
        user = self.people.get(session.person_id)
        await self.prove(user.username, old, address, mark)
        await self.people.set_password(user.id, new, user.person)
        await self.sessions.close_all(user.id, user.username, but=session.id)

    async def log_out_everywhere(self, person_id: int, by: Person, *, tokens_too: bool = False) -> int:
        """Every session of somebody, and his own tokens when asked; returns how many sessions ended."""
        user = self.people.get(person_id)
        if by.id != person_id and not may_administer(by):
            raise Forbidden("Only an admin logs other people out.")
        if tokens_too:
            await self.tokens.revoke_all(user.id, by)
        return await self.sessions.close_all(user.id, by)
