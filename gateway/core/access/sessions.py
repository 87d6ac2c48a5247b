"""Who is logged in: browsers by a cookie's token, programs by short JWTs and a chain of refresh tokens."""

import secrets
from collections import deque
from typing import Any, Literal

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.access.access_keys import ACCESS_S, AccessKeys
from gateway.core.access.people import People
from gateway.core.errors import NotFound, Unauthenticated
from gateway.core.events import Hub, PersonChanged, SessionsEnded, SessionStarted
from gateway.core.maintenance import MaintenanceMode
from gateway.core.rights import Person, name_of
from gateway.core.values import Confidential
from gateway.storage.models import SessionRow
from gateway.storage.store import Store

# The browser's cookie, read by pages and by sockets.
COOKIE = "passerelle_session"
BROWSER_S = 30 * 86400
REFRESH_S = 30 * 86400
# The least recent goes when somebody logs in more often than that and never out.
MAX_PER_PERSON = 200
MAX_AGENT = 300
# Of refresh tokens that were used before, so many of the last ones of a chain are known as stolen; those
# before them are refused like any text.
MAX_USED = 1000
# How exact "last seen" is: more would be a write for each request.
SEEN_EVERY_MS = 60_000

Kind = Literal["browser", "api"]


class Session(Confidential, frozen=True, kw_only=True):
    """`csrf` must come back with every form and every change of a browser's session.

    `agent` is what the browser or program said it is: any text.
    """

    id: int
    kind: Kind
    person_id: int
    csrf: str
    address: str
    created_at_ms: int
    expires_at_ms: int
    agent: str = ""


class Tokens(Confidential, frozen=True):
    """What a program logs in with: `access_token` for `expires_in` seconds, then one `refresh_token`."""

    access_token: str
    refresh_token: str
    expires_in: int = ACCESS_S


class Sessions:
    def __init__(
        self, store: Store, hub: Hub, people: People, maintenance: MaintenanceMode, keys: AccessKeys
    ) -> None:
        self._store = store
        self._maintenance = maintenance
        self._hub = hub
        self._people = people
        self.keys = keys
        self._sessions: dict[int, Session] = {}
        self._by_digest: dict[str, int] = {}
        self._used_digests: dict[str, int] = {}
        self._used_by: dict[int, deque[str]] = {}
        self._seen_ms: dict[int, int] = {}
        hub.subscribe(PersonChanged, self._person_changed)

    async def load(self) -> None:
        for row in await self._store.run(lambda: _living(clock.now_ms())):
            self._keep(_session(row), row.token_digest, row.used_digest)
            self._seen_ms[row.id] = row.seen_at_ms

    # Browsers

    async def open(self, person: Person, kind: Kind, address: str, agent: str = "") -> tuple[Session, str]:
        """A new session and its token (a cookie's value, or a refresh token)."""
        token = tokens.new_token()
        now_ms = clock.now_ms()
        lifetime_s = BROWSER_S if kind == "browser" else REFRESH_S
        values: dict[str, Any] = {
            "kind": kind, "user_id": person.id, "token_digest": tokens.digest(token),
            "csrf": secrets.token_urlsafe(24), "address": address, "created_at_ms": now_ms,
            "seen_at_ms": now_ms, "expires_at_ms": now_ms + lifetime_s * 1000, "agent": agent[:MAX_AGENT],
        }  # fmt: skip

        def work() -> Session:
            row = SessionRow.create(**values)
            audit.write("user.log_in", person.name, person.name, address=address, kind=kind)
            return _session(row)

        self._make_room(person.id, now_ms)
        audit.known_as(person.name, person.role)
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

    def _make_room(self, person_id: int, now_ms: int) -> None:
        """What has expired goes, and of one who never logs out what was seen longest ago."""
        own = sorted(self.of(person_id), key=self.seen_ms)
        over = [session for session in own if session.expires_at_ms <= now_ms]
        crowd = own[: max(0, len(own) - MAX_PER_PERSON + 1)]
        ids = tuple({session.id for session in over + crowd})
        if ids:
            self._store.submit(lambda: SessionRow.delete().where(SessionRow.id.in_(ids)).execute())
            self._end(person_id, ids)

    def seen_ms(self, session: Session) -> int:
        """When it was used last, to the minute."""
        return self._seen_ms.get(session.id, session.created_at_ms)

    def _alive(self, session: Session) -> tuple[Session, Person] | None:
        person = self._people.person(session.person_id)
        if person is None or session.expires_at_ms <= clock.now_ms():
            return None
        self._note_seen(session)
        return session, person

    def _note_seen(self, session: Session) -> None:
        now_ms = clock.now_ms()
        if now_ms - self.seen_ms(session) >= SEEN_EVERY_MS:
            self._seen_ms[session.id] = now_ms
            update = SessionRow.update(seen_at_ms=now_ms).where(SessionRow.id == session.id)
            self._store.submit(update.execute)

    async def close_one(self, person_id: int, session_id: int, by: Person | str) -> Session:
        """End one session of this person; raises `NotFound` for anybody else's."""
        session = self._sessions.get(session_id)
        if session is None or session.person_id != person_id:
            raise NotFound("There is no session %(id)s.", id=session_id)
        await self._close([session], by)
        return session

    async def close(self, session: Session, by: Person | str) -> None:
        """Log out: the session's sockets end with it."""
        await self._close([session], by)

    async def close_all(self, person_id: int, by: Person | str, *, but: int | None = None) -> int:
        """Log somebody out everywhere (but for the session `but`); returns how many sessions ended."""
        found = [s for s in self._sessions.values() if s.person_id == person_id and s.id != but]
        await self._close(found, by)
        return len(found)

    async def _close(self, sessions: list[Session], by: Person | str) -> None:
        if not sessions:
            return
        ids = [session.id for session in sessions]
        whose = self._people.get(sessions[0].person_id).username

        def work() -> None:
            SessionRow.delete().where(SessionRow.id.in_(ids)).execute()
            audit.write("user.log_out", whose, name_of(by), sessions=len(ids))

        await self._store.run(work)
        self._end(sessions[0].person_id, tuple(ids))
        self._hub.acted("user.log_out", whose, by, sessions=len(ids))

    def of(self, person_id: int) -> list[Session]:
        return [session for session in self._sessions.values() if session.person_id == person_id]

    def living(self, person_id: int) -> list[Session]:
        """As `of`, without what has expired; the last seen first."""
        now_ms = clock.now_ms()
        alive = [session for session in self.of(person_id) if session.expires_at_ms > now_ms]
        return sorted(alive, key=self.seen_ms, reverse=True)

    def online_people(self) -> int:
        return len({session.person_id for session in self._sessions.values()})

    # Programs

    async def issue(self, person: Person, address: str, agent: str = "") -> Tokens:
        """The first pair of a new chain."""
        session, refresh_token = await self.open(person, "api", address, agent)
        return Tokens(self.keys.sign(person.id, session.id), refresh_token)

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
        used = self._used_by.setdefault(session.id, deque())
        used.append(digest)
        if len(used) > MAX_USED:
            self._used_digests.pop(used.popleft(), None)
        return Tokens(self.keys.sign(person.id, session.id), following)

    def verify(self, access_token: str) -> tuple[Session, Person] | None:
        """Who holds this access token; None for any fault, and for a chain that was logged out."""
        claims = self.keys.read(access_token)
        try:
            session = self._sessions.get(int(claims["sid"])) if claims else None
        except (ValueError, TypeError, OverflowError):
            return None
        if claims is None or session is None or str(session.person_id) != claims["sub"]:
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
        if event.what in ("role", "scope", "active") and ids:
            self._store.submit(lambda: SessionRow.delete().where(SessionRow.id.in_(ids)).execute())
            self._end(event.person_id, ids)

    def _end(self, person_id: int, ids: tuple[int, ...]) -> None:
        """Out of memory, and everybody told; those that another has ended meanwhile are told once."""
        ids = tuple(id for id in ids if self._sessions.pop(id, None) is not None)
        for id in ids:
            self._seen_ms.pop(id, None)
            self._used_by.pop(id, None)
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
        agent=row.agent,
    )
