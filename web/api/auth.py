"""Logging in for programs: a short access token and a rotating refresh token."""

from typing import Any

from gateway.core.errors import Unauthenticated
from web.access import Access
from web.api.models import Credentials, RefreshToken, TokenPair
from web.api.table import Call, Nothing, Operation

TAG = "Log in"


async def log_in(call: Call) -> Any:
    accounts = call.visit.site.core.accounts
    return await accounts.issue_tokens(call.body.username, call.body.password, call.visit.address)


async def refresh(call: Call) -> Any:
    return await call.visit.site.core.accounts.sessions.refresh(call.body.refresh_token)


async def log_out(call: Call) -> None:
    """End the chain of the access token, or the session of the cookie, that this call came with."""
    if call.visit.login is None:
        raise Unauthenticated("A service account has no login to end.")
    await call.visit.site.core.accounts.sessions.close(call.visit.login, call.visit.person.name)


OPERATIONS = [
    Operation("POST", "/auth/login", log_in, Access.PUBLIC, "Get an access and a refresh token", TAG,
              reply=TokenPair, body=Credentials, errors=(401, 429)),
    Operation("POST", "/auth/refresh", refresh, Access.PUBLIC, "Trade a refresh token for the next pair", TAG,
              reply=TokenPair, body=RefreshToken, errors=(401,)),
    Operation("POST", "/auth/logout", log_out, Access.PERSON, "End this login", TAG, body=Nothing,
              status=204),
]  # fmt: skip
