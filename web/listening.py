"""In which language and zone a browser is answered: what its user chose, or else what it says itself."""

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.access.preferences import Preference
from gateway.core.core import Core
from web import cookies
from web.language import ENGLISH, LANGUAGES, speaking
from web.localtime import in_zone

MAX_LISTED = 20


def preference_of(request: Request, core: Core) -> Preference:
    """What whoever is logged in has chosen; nothing for anybody else."""
    token = request.cookies.get(cookies.SESSION)
    found = core.accounts.sessions.find(token) if token else None
    return core.preferences.of(found[1].id) if found else Preference()


@contextmanager
def listening(request: Request, core: Core) -> Iterator[None]:
    """Within, everything is said in the language and on the clock of who asks."""
    preference = preference_of(request, core)
    zone = preference.zone or request.cookies.get(cookies.ZONE, "")
    with speaking(preference.language or language_of(request)), in_zone(zone):
        yield


def language_of(request: Request) -> str:
    """The code of one of our languages."""
    chosen = request.cookies.get(cookies.LANGUAGE, "")
    return chosen if chosen in LANGUAGES else _accepted(request.headers.get("accept-language", ""))


def _accepted(header: str) -> str:
    """The first of a browser's languages that is ours, the best liked first: `fr-CA,fr;q=0.9,en;q=0.8`."""
    wishes = []
    for place, part in enumerate(header.split(",")[:MAX_LISTED]):
        tag, _, weight = part.partition(";q=")
        code, liking = tag.strip().lower().split("-")[0], _weight(weight)
        if code in LANGUAGES and liking > 0:
            wishes.append((-liking, place, code))
    return min(wishes)[2] if wishes else ENGLISH


def _weight(text: str) -> float:
    try:
        return float(text) if text.strip() else 1.0
    except ValueError:
        return 0.0


class Listening:
    """Speaks the visitor's language while his request is answered."""

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self.app = app
        self._core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with listening(Request(scope), self._core):
            await self.app(scope, receive, send)
