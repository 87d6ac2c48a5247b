"""Our cookies and nothing else: the session, the visitor before it, the choice of colours."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.core.access.preferences import THEMES
from gateway.core.access.sessions import BROWSER_S, COOKIE

SESSION = COOKIE
THEME = "passerelle_theme"
LANGUAGE = "passerelle_language"
# The browser's own, which a script of ours keeps here.
ZONE = "passerelle_zone"
# Between password and code, and afterwards: that somebody has logged in here before.
HALFWAY = "passerelle_halfway"
KNOWN = "passerelle_known"
YEAR_S = 365 * 86400
SESSION_MAX_AGE_S = BROWSER_S


def is_secure(request: Request, public_url: str) -> bool:
    """Whether browsers reach us by TLS, directly or through the proxy that PUBLIC_URL names."""
    return request.url.scheme == "https" or urlsplit(public_url).scheme == "https"


def keep(response: Response, name: str, value: str, *, secure: bool, max_age_s: int | None = None) -> None:
    """Set a cookie no script can read and no other site's form carries along."""
    response.set_cookie(name, value, max_age=max_age_s, secure=secure, httponly=True, samesite="lax")


def drop(response: Response, name: str, *, secure: bool) -> None:
    response.delete_cookie(name, secure=secure, httponly=True, samesite="lax")


def theme(request: Request) -> str:
    chosen = request.cookies.get(THEME, "auto")
    return chosen if chosen in THEMES else "auto"
