"""Requests that change something must come from our own pages (cross-site request forgery)."""

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from starlette.requests import Request

from gateway.core.errors import Forbidden

FIELD = "csrf"
HEADER = "X-CSRF-Token"
VISITOR_COOKIE = "passerelle_visitor"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


class VisitorTokens:
    """Form tokens for people without a session: bound to a random cookie by a key of our own."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new_cookie(self) -> str:
        return secrets.token_urlsafe(24)

    def token(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()


def check_origin(request: Request, public_url: str = "") -> None:
    """Refuse what the browser itself says comes from elsewhere.

    `Origin: null` says nothing (our own `no-referrer` policy makes browsers send it with forms), so
    then the fetch metadata and the token decide.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        raise Forbidden("This request came from another site.")
    origin = request.headers.get("origin", "null")
    if origin == "null":
        return
    own = {request.headers.get("host", "").lower(), urlsplit(public_url).netloc.lower()} - {""}
    if urlsplit(origin).netloc.lower() not in own:
        raise Forbidden("This request came from another site.")


def check_token(expected: str, given: str | None) -> None:
    """Refuse a form or call that does not carry the page's own token."""
    if not given or not hmac.compare_digest(expected.encode(), given.encode()):
        raise Forbidden("This page was out of date, so nothing was done. Please try again.")
