"""Browsers over Socket.IO: who they are, what they ask, what they are told."""

from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

import socketio

from bridge.sockets import states
from bridge.sockets.alerts_news import AlertsNews
from bridge.sockets.audience import Audience, Browser
from bridge.sockets.feed import Feed
from bridge.sockets.hall import Hall
from bridge.sockets.module_news import ModuleNews
from bridge.sockets.people_news import PeopleNews, maintenance
from bridge.sockets.stats import Stats
from bridge.sockets.strangers import REFUSED_S
from bridge.sockets.telling import Telling
from bridge.sockets.updates_news import UpdatesNews
from gateway.core import audit, clock
from gateway.core.access.sessions import COOKIE
from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid
from gateway.core.events import SessionsEnded
from gateway.core.rights import Person, Role, may_administer

MAX_WATCHED = 10_000
MAX_PAGE = 64
# From the least to the most; a page may say less than its session is, never more.
RANKS = list(Role)


class Browsers:
    """People's tabs: the audience of the feed and of all that is told.

    `received` tells how many messages have come from outside, for the statistics.
    """

    def __init__(self, core: Core, hall: Hall, received: Callable[[], int]) -> None:
        self._core = core
        self._strangers = hall.strangers
        self._address = hall.address
        self.audience = Audience()
        self.speaker = hall.speaker
        self.feed = Feed(core, self.audience, self.speaker)
        self._telling = Telling(core, self.audience, self.speaker)
        self._people_news = PeopleNews(core, self.audience, self.speaker)
        self._updates_news = UpdatesNews(core, self.audience, self.speaker)
        self._module_news = ModuleNews(core, self.audience, self.speaker)
        self._alerts_news = AlertsNews(core, self.audience, self.speaker)
        self._stats = Stats(core, self.audience, self.speaker, received)
        core.hub.subscribe(SessionsEnded, self._sessions_ended)
        hall.on_arrival(self._arrived)
        hall.on_leave(self._left)
        for event, handler in {
            "client:authenticate": self._authenticate,
            "register_page": self._page,
            "client:page:changed": self._page,
            "client:sync:request": self._sync,
            "modules:watch": self._watch,
            "send_module_command": self._command,
            "request_module_states": self._states,
            "request_stats": self._ask_stats,
        }.items():
            hall.on(event, handler)

    async def run(self) -> None:
        await self._stats.run()

    # Coming and going

    def _arrived(self, sid: str, environ: Mapping[str, Any], auth: Any) -> bool:
        proof = _proof(environ, auth)
        if proof is None:
            return False
        found = self._core.accounts.sessions.verify(proof) if _is_jwt(proof) else None
        found = found or self._core.accounts.sessions.find(proof)
        if found is None:
            raise socketio.exceptions.ConnectionRefusedError("This session is not valid (any more).")
        session, person = found
        self.audience.enter(Browser(sid, person, session.id))
        return True

    def _left(self, sid: str, reason: str) -> None:
        self.audience.leave(sid)
        self.speaker.resume(sid)

    def _sessions_ended(self, event: SessionsEnded) -> None:
        for sid in self.audience.in_sessions(event.person_id, event.session_ids):
            self.audience.leave(sid)
            self._strangers.hurry(sid)

    # Requests

    async def _authenticate(self, sid: str, data: Any = None) -> None:
        """Sets the page; says again who one is, but never makes anybody more than his session does."""
        browser = self.audience.get(sid)
        if browser is None:
            self._refuse(sid, "Log in first.")
            if sid in self._strangers:
                self._strangers.hurry(sid, REFUSED_S)
        elif fault := _disagrees(browser.person, data):
            self._refuse(sid, fault)
        else:
            browser.page = _page_of(data, browser.page)
            welcome = {"message": "Authenticated", "timestamp": clock.now_ms()}
            self.speaker.say("client:auth:success", welcome, [sid])
            self._say_states(sid, browser)
            if (state := self._core.maintenance.state).on:
                told = maintenance(state) | {"timestamp": clock.now_ms()}
                self.speaker.say("system:maintenance", told, [sid])

    def _refuse(self, sid: str, sentence: str) -> None:
        self.speaker.say("client:auth:error", {"message": sentence}, [sid])

    async def _page(self, sid: str, data: Any = None) -> None:
        if browser := self.audience.get(sid):
            browser.page = _page_of(data, browser.page)

    async def _sync(self, sid: str, data: Any = None) -> None:
        if browser := self.audience.get(sid):
            self.feed.watch(browser, browser.watching or frozenset(), None)
            self.speaker.say("client:sync:success", {"timestamp": clock.now_ms()}, [sid])

    async def _watch(self, sid: str, data: Any = None) -> None:
        if browser := self.audience.get(sid):
            wish = data if isinstance(data, dict) else {}
            ids, since = wish.get("ids"), wish.get("since")
            chosen = ids[:MAX_WATCHED] if isinstance(ids, list) else []
            wanted = frozenset(id for id in chosen if isinstance(id, str))
            self.feed.watch(browser, wanted, since if type(since) is int else None)

    async def _states(self, sid: str, data: Any = None) -> None:
        if browser := self.audience.get(sid):
            self._say_states(sid, browser)

    def _say_states(self, sid: str, browser: Browser) -> None:
        self.speaker.say("module_states_sync", states.all_states(self._core, browser), [sid])

    async def _ask_stats(self, sid: str, data: Any = None) -> None:
        browser = self.audience.get(sid)
        if browser is not None and may_administer(browser.person):
            self._stats.answer(sid)
        else:
            self._refuse(sid, "Only an admin sees the statistics.")

    async def _command(self, sid: str, data: Any = None) -> None:
        browser = self.audience.get(sid)
        if browser is None:
            return
        asked = data if isinstance(data, dict) else {}
        module_id, name = str(asked.get("moduleId", ""))[:64], str(asked.get("command", ""))[:64]
        about = {"moduleId": module_id, "command": name}
        try:
            params = asked.get("params") or {}
            if not isinstance(params, dict):
                raise Invalid("The parameters must be an object.")
            module = self._core.registry.visible(module_id, browser.person)
            with audit.coming_from(self._address(sid)):
                audit.known_as(browser.person.name, browser.person.role)
                command = await self._core.commands.send(module.id, name, params, browser.person)
        except GatewayError as error:
            refusal = about | {"error": error.code, "message": error.message}
            self.speaker.say("command_error", refusal, [sid])
        else:
            done = about | {"id": command.id, "timestamp": clock.now_ms()}
            self.speaker.say("command_sent", done, [sid])


def _proof(environ: Mapping[str, Any], auth: Any) -> str | None:
    """The token of the handshake: in `auth`, in the Authorization header, or in the session cookie."""
    if isinstance(auth, dict) and isinstance(token := auth.get("token"), str) and token:
        return token
    scheme, _, credential = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() == "bearer" and credential:
        return credential.strip()
    try:
        cookie = SimpleCookie(str(environ.get("HTTP_COOKIE", ""))).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie is not None and cookie.value else None


def _is_jwt(proof: str) -> bool:
    return proof.count(".") == 2


def _disagrees(person: Person, data: Any) -> str | None:
    """Why a repeated identity is not the session's; `"1"` and `1` are the same."""
    said = data if isinstance(data, dict) else {}
    user_id, user_type = said.get("userId"), said.get("userType")
    if user_id is not None and str(user_id) != str(person.id):
        return "This session belongs to somebody else."
    if user_type is not None and (
        user_type not in RANKS or RANKS.index(user_type) > RANKS.index(person.role)
    ):
        return f"This session is not one of that kind: its role is {person.role}."
    return None


def _page_of(data: Any, current: str) -> str:
    page = data.get("page") if isinstance(data, dict) else data
    return page[:MAX_PAGE] if isinstance(page, str) else current
