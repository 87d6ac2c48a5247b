"""Logging in for programs: a short access token and a rotating refresh token; and who is logged in."""

from typing import Any

from gateway.core.access.sessions import Session
from gateway.core.errors import Forbidden, Unauthenticated
from web.access import Access
from web.api.models import RefreshToken, TokenPair
from web.api.models_people import AccessKey, Ended, EverywhereQuery, LogIn, SessionPage
from web.api.paging import whole
from web.api.table import Call, Nothing, Operation

TAG = "Log in"


async def log_in(call: Call) -> Any:
    accounts, given = call.visit.site.core.accounts, call.body
    agent = call.visit.request.headers.get("user-agent", "")
    return await accounts.issue_tokens(
        given.username, given.password, call.visit.address, given.code, agent=agent
    )


async def refresh(call: Call) -> Any:
    return await call.visit.site.core.accounts.sessions.refresh(call.body.refresh_token)


async def log_out(call: Call) -> None:
    """End the chain of the access token, or the session of the cookie, that this call came with."""
    if call.visit.login is None:
        raise Unauthenticated("A service account or a token has no login to end.")
    await call.visit.site.core.accounts.sessions.close(call.visit.login, call.visit.person.name)


def login_of(call: Call) -> Session:
    """The login that this call came with: what concerns logins is not for tokens, which may be stolen."""
    if call.visit.login is None:
        raise Forbidden("Log in for this; a token is not enough.")
    return call.visit.login


async def sessions(call: Call) -> Any:
    here, known = login_of(call), call.visit.site.core.accounts.sessions
    return whole([_session(call, session, here) for session in known.living(call.visit.person.id)])


def _session(call: Call, session: Session, here: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "kind": session.kind,
        "address": session.address,
        "agent": session.agent,
        "created_at": session.created_at_ms,
        "seen_at": call.visit.site.core.accounts.sessions.seen_ms(session),
        "expires_at": session.expires_at_ms,
        "current": session.id == here.id,
    }


async def end_session(call: Call) -> None:
    login_of(call)
    person = call.visit.person
    await call.visit.site.core.accounts.sessions.close_one(person.id, call.path["number"], person)


async def end_all(call: Call) -> Any:
    login_of(call)
    person, accounts = call.visit.person, call.visit.site.core.accounts
    ended = await accounts.log_out_everywhere(person.id, person, tokens_too=call.query.tokens)
    return {"sessions": ended}


async def access_key(call: Call) -> Any:
    keys = call.visit.site.core.accounts.sessions.keys
    return {"kid": keys.kid, "since": keys.round.since_ms or None}


async def rotate_access_key(call: Call) -> Any:
    await call.visit.site.core.accounts.sessions.keys.rotate(call.visit.person)
    return await access_key(call)


OPERATIONS = [
    Operation("POST", "/auth/login", log_in, Access.PUBLIC, "Get an access and a refresh token", TAG,
              reply=TokenPair, body=LogIn, errors=(401, 429)),
    Operation("POST", "/auth/refresh", refresh, Access.PUBLIC, "Trade a refresh token for the next pair", TAG,
              reply=TokenPair, body=RefreshToken, errors=(401,)),
    Operation("POST", "/auth/logout", log_out, Access.PERSON, "End this login", TAG, body=Nothing,
              status=204),
    Operation("GET", "/auth/sessions", sessions, Access.PERSON, "One's own logins", TAG, reply=SessionPage),
    Operation("DELETE", "/auth/sessions", end_all, Access.PERSON, "Log out everywhere", TAG, reply=Ended,
              query=EverywhereQuery),
    Operation("DELETE", "/auth/sessions/{number:int}", end_session, Access.PERSON, "End one login", TAG,
              status=204),
    Operation("GET", "/auth/key", access_key, Access.ADMINISTER, "The key that signs access tokens", TAG,
              reply=AccessKey),
    Operation("POST", "/auth/key/rotate", rotate_access_key, Access.ADMINISTER,
              "Sign access tokens with a new key", TAG, reply=AccessKey, body=Nothing),
]  # fmt: skip
