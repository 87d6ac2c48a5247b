"""Which language a browser gets: what its user chose, or else the first of its own that we have."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from web.language import ENGLISH, LANGUAGES, speaking

COOKIE = "passerelle_language"
MAX_LISTED = 20


def language_of(request: Request) -> str:
    """The code of one of our languages."""
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in LANGUAGES else _accepted(request.headers.get("accept-language", ""))


def _accepted(header: str) -> str:
    """The first of a browser's languages that is ours, the best liked first: `fr-CA,fr;q=0.9,en;q=0.8`."""
    wishes = []
    for place, part in enumerate(header.split(",")[:MAX_LISTED]):
        tag, _, weight = part.partition(";q=")
        code = tag.strip().lower().split("-")[0]
        if code in LANGUAGES:
            wishes.append((-_weight(weight), place, code))
    return min(wishes)[2] if wishes else ENGLISH


def _weight(text: str) -> float:
    try:
        return float(text) if text.strip() else 1.0
    except ValueError:
        return 0.0


class Listening:
    """Speaks the visitor's language while his request is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with speaking(language_of(Request(scope))):
            await self.app(scope, receive, send)
