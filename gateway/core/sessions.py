"""Who is logged in: browsers by a cookie's token, programs by short JWTs and a chain of refresh tokens."""

import secrets
from typing import Any, Literal

import jwt
import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.errors import Unauthenticated
from gateway.core.events import Hub, PersonChanged, SessionsEnded, SessionStarted
from gateway.core.maintenance import MaintenanceMode
from gateway.core.people import People
from gateway.core.rights import Person
from gateway.core.values import Confidential
from gateway.storage.models import SessionRow
from gateway.storage.store import Store

# The browser's cookie, read by pages and by sockets.
COOKIE = "passerelle_session"
BROWSER_S = 30 * 86400
REFRESH_S = 30 * 86400
ACCESS_S = 600
ISSUER = "passerelle"
AUDIENCE = "passerelle:api"
ALGORITHM = "HS256"
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid", "typ"]

Kind = Literal["browser", "api"]


class Session(Confidential, frozen=True, kw_only=True):
    """`csrf` must come back with every form and every change of a browser's session."""

    id: int
    kind: Kind
    person_id: int
    csrf: str
    address: str
    created_at_ms: int
    expires_at_ms: int


class Tokens(Confidential, frozen=True):
    """What a program logs in with: `access_token` for `expires_in` seconds, then one `refresh_token`."""

    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_S


class Sessions:
    def __init__(
        self, store: Store, hub: Hub, people: People, maintenance: MaintenanceMode, signing_key: str
    ) -> None:
        self._store = store
        self._maintenance = maintenance
        self._hub = hub
        self._people = people
        self._key = signing_key
        self._sessions: dict[int, Session] = {}
        self._by_digest: dict[str, int] = {}
        self._used_digests: dict[str, int] = {}
        hub.subscribe(PersonChanged, self._person_changed)

    async def load(self) -> None:
        for row in await self._store.run(lambda: _living(clock.now_ms())):
            self._keep(_session(row), row.token_digest, row.used_digest)

    # Browsers

    async def open(self, person: Person, kind: Kind, address: str) -> tuple[Session, str]:
        """A new session and its token (a cookie's value, or a refresh token)."""
        token = tokens.new_token()
        now_ms = clock.now_ms()
        lifetime_s = BROWSER_S if kind == "browser" else REFRESH_S
        values: dict[str, Any] = {
            "kind": kind, "user_id": person.id, "token_digest": tokens.digest(token),
            "csrf": secrets.token_urlsafe(24), "address": address, "created_at_ms": now_ms,
            "seen_at_ms": now_ms, "expires_at_ms": now_ms + lifetime_s * 1000,
        }  # fmt: skip

        def work() -> Session:
            row = SessionRow.create(**values)
            audit.write("user.log_in", person.name, person.name, address=address, kind=kind)
            return _session(row)

        session = await self._store.run(work)
        self._keep(session, values["token_digest"], "")
        self._hub.publish(SessionStarted(person.id, person.name, session.id, kind, address))
        return session, token

    def find(self, token: str | None) -> tuple[Session, Person] | None:
        """The live browser session of a cookie's token."""
        session = self._sessions.get(self._by_digest.get(tokens.digest(token or ""), 0))
        if session is None or session.kind != "browser":
            return None
        return self._alive(session)

    def _alive(self, session: Session) -> tuple[Session, Person] | None:
        person = self._people.person(session.person_id)
        if person is None or session.expires_at_ms <= clock.now_ms():
            return None
        return session, person

    async def close(self, session: Session, by: str) -> None:
        """Log out: the session's sockets end with it."""
        await self._close([session], by)

    async def close_all(self, person_id: int, by: str, *, but: int | None = None) -> int:
        """Log somebody out everywhere (but for the session `but`); returns how many sessions ended."""
        found = [s for s in self._sessions.values() if s.person_id == person_id and s.id != but]
        await self._close(found, by)
        return len(found)

    async def _close(self, sessions: list[Session], by: str) -> None:
        if not sessions:
            return
        ids = [session.id for session in sessions]

        def work() -> None:
            SessionRow.delete().where(SessionRow.id.in_(ids)).execute()
            audit.write("user.log_out", by, by, sessions=len(ids))

        await self._store.run(work)
        self._end(sessions[0].person_id, tuple(ids))

    def of(self, person_id: int) -> list[Session]:
        return [session for session in self._sessions.values() if session.person_id == person_id]

    def online_people(self) -> int:
        return len({session.person_id for session in self._sessions.values()})

    # Programs

    async def issue(self, person: Person, address: str) -> Tokens:
        """The first pair of a new chain."""
        session, refresh_token = await self.open(person, "api", address)
        return Tokens(self.access_token(person, session), refresh_token)

    async def refresh(self, refresh_token: str) -> Tokens:
        """The next pair. A refresh token that was used before ends its whole chain: somebody stole it."""
        digest = tokens.digest(refresh_token)
        if (stolen := self._used_digests.get(digest)) in self._sessions:
            await self.close(self._sessions[stolen], "gateway")
            raise Unauthenticated("This refresh token was used before; log in again.")
        session = self._sessions.get(self._by_digest.get(digest, 0))
        alive = self._alive(session) if session and session.kind == "api" else None
        if alive is None:
            raise Unauthenticated("This refresh token is not valid; log in again.")
        session, person = alive
        # Before the token is used up, so that it is good for another try afterwards.
        self._maintenance.admit(person)
        following = tokens.new_token()
        following_digest = tokens.digest(following)
        del self._by_digest[digest]
        self._used_digests[digest] = session.id
        try:
            await self._store.run(lambda: _follow(session, following_digest, digest))
        except BaseException:
            # The program never got the next one, so it may use this one again.
            del self._used_digests[digest]
            self._by_digest[digest] = session.id
            raise
        self._by_digest[following_digest] = session.id
        return Tokens(self.access_token(person, session), following)

    def access_token(self, person: Person, session: Session) -> str:
        now_s = clock.now_ms() // 1000
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "typ": "access", "sub": str(person.id), "sid": session.id,
            "iat": now_s, "exp": now_s + ACCESS_S,
        }  # fmt: skip
        return jwt.encode(claims, self._key, ALGORITHM)

    def verify(self, access_token: str) -> tuple[Session, Person] | None:
        """Who holds this access token; None for any fault, and for a chain that was logged out."""
        try:
            claims = jwt.decode(
                access_token, self._key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
                options={"require": REQUIRED},
            )  # fmt: skip
            session = self._sessions.get(int(claims["sid"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            return None
        if claims["typ"] != "access" or session is None or str(session.person_id) != claims["sub"]:
            return None
        return self._alive(session)

    def _keep(self, session: Session, digest: str, used_digest: str) -> None:
        self._sessions[session.id] = session
        self._by_digest[digest] = session.id
        if used_digest:
            self._used_digests[used_digest] = session.id

    def _person_changed(self, event: PersonChanged) -> None:
        """Who has another role now, or is locked, logs in anew: his sockets were let in under the old one."""
        ids = tuple(session.id for session in self.of(event.person_id))
        if event.what in ("role", "active") and ids:
            self._store.submit(lambda: SessionRow.delete().where(SessionRow.id.in_(ids)).execute())
            self._end(event.person_id, ids)

    def _end(self, person_id: int, ids: tuple[int, ...]) -> None:
        """Out of memory, and everybody told; those that another has ended meanwhile are told once."""
        ids = tuple(id for id in ids if self._sessions.pop(id, None) is not None)
        self._by_digest = {d: id for d, id in self._by_digest.items() if id in self._sessions}
        self._used_digests = {d: id for d, id in self._used_digests.items() if id in self._sessions}
        if ids:
            self._hub.publish(SessionsEnded(person_id, ids, self._people.get(person_id).username))


def _living(now_ms: int) -> list[SessionRow]:
    SessionRow.delete().where(SessionRow.expires_at_ms <= now_ms).execute()
    return list(SessionRow.select())


def _follow(session: Session, following_digest: str, digest: str) -> None:
    following = SessionRow.update(token_digest=following_digest, used_digest=digest)
    following.where(SessionRow.id == session.id).execute()


def _session(row: SessionRow) -> Session:
    return Session(
        id=row.id,
        kind=msgspec.convert(row.kind, Kind),
        person_id=row.user_id,
        csrf=row.csrf,
        address=row.address,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
    )
