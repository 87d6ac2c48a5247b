"""One request as our handlers see it: who asks, from which session, with what form."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.core import clock
from gateway.core.access.preferences import THEMES, Preference
from gateway.core.access.sessions import Session
from gateway.core.errors import GatewayError, Unauthenticated
from gateway.core.rights import Person, Service, may_administer, may_manage
from web import cookies, csrf, localtime
from web.language import LANGUAGES, language, told
from web.listening import language_of
from web.menu import IN_BAR, menu
from web.notices import Notice
from web.render import render
from web.replies import headers_of, status_of
from web.scripttexts import script_texts
from web.site import Site


@dataclass(frozen=True, slots=True)
class Visit:
    """`session` is the cookie's and `access` an access token's. `refused` is what is shown with a form that
    was not taken; what was typed stays in it."""

    request: Request
    site: Site
    session: Session | None = None
    visitor: Person | Service | None = None
    form: FormData = field(default_factory=FormData)
    refused: GatewayError | None = None
    access: Session | None = None

    @property
    def login(self) -> Session | None:
        """What logging out ends: the cookie's session, or the chain of the access token."""
        return self.session or self.access

    @property
    def principal(self) -> Person | Service:
        """Who asks; routes that are not public have somebody."""
        if self.visitor is None:
            raise Unauthenticated("Please log in first.")
        return self.visitor

    @property
    def person(self) -> Person:
        """Who is logged in; routes that ask for a person have one."""
        if not isinstance(self.visitor, Person):
            raise Unauthenticated("Please log in first.")
        return self.visitor

    @property
    def manages(self) -> bool:
        return self.visitor is not None and may_manage(self.visitor)

    @property
    def administers(self) -> bool:
        return self.visitor is not None and may_administer(self.visitor)

    @property
    def base_url(self) -> str:
        """Where people reach us, for links that leave the page: PUBLIC_URL, or as this request came."""
        return self.site.public_url.rstrip("/") or str(self.request.base_url).rstrip("/")

    @property
    def language(self) -> str:
        """What the browser itself asks for."""
        return language_of(self.request)

    @property
    def preference(self) -> Preference:
        person = self.visitor if self.session else None
        return self.site.core.preferences.of(person.id) if isinstance(person, Person) else Preference()

    @property
    def path(self) -> str:
        return self.request.url.path

    @property
    def address(self) -> str:
        return self.request.client.host if self.request.client else ""

    def text(self, name: str) -> str:
        """A field of the form, stripped; empty when it is missing or no text."""
        value = self.form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")[:200]

    def typed(self, action: str, name: str, otherwise: Any = "") -> Any:
        """What was typed into this form's field, if this request is that form sent in vain."""
        if self.refused is None or self.path != action or name not in self.form:
            return otherwise
        return self.text(name)

    def page(self, template: str, **context: Any) -> Response:
        """A page with the frame around it, and the result of what was done on top."""
        return self._prepared(template, context)()

    async def long_page(self, template: str, **context: Any) -> Response:
        """The same, rendered beside the loop, so that devices are served meanwhile."""
        return await to_thread.run_sync(self._prepared(template, context))

    def _prepared(self, template: str, context: dict[str, Any]) -> Callable[[], Response]:
        status = status_of(self.refused) if self.refused else int(context.pop("status_code", 200))
        headers = headers_of(self.refused) if self.refused else {}
        cookie, token = self._form_token()
        whole = self._frame(token) | context

        def finish() -> Response:
            response = HTMLResponse(render(self.site.templates, template, whole), status, headers)
            if cookie is not None:
                cookies.keep(response, csrf.VISITOR_COOKIE, cookie, secure=self.secure)
            return response

        return finish

    def go(self, path: str, notice: Notice | None = None) -> Response:
        """See Other: the next page, with the result on it once; a reload sends nothing twice."""
        if notice is not None and self.session is not None:
            key = self.site.notices.leave(self.session.id, notice)
            path = f"{path}{'&' if '?' in path else '?'}notice={key}"
        return RedirectResponse(path, 303)

    @property
    def secure(self) -> bool:
        return cookies.is_secure(self.request, self.site.public_url)

    def _form_token(self) -> tuple[str | None, str]:
        """A new visitor cookie if one is needed, and the token for this page's forms."""
        if self.session is not None:
            return None, self.session.csrf
        known = self.request.cookies.get(csrf.VISITOR_COOKIE)
        cookie = known or self.site.visitors.new_cookie()
        return (None if known else cookie), self.site.visitors.token(cookie)

    def _notice(self) -> Notice | None:
        if self.refused is not None:
            return Notice(str(told(self.refused.message)), "bad")
        key = self.request.query_params.get("notice")
        return self.site.notices.take(self.session.id, key) if self.session and key else None

    def _script_texts(self) -> dict[str, object]:
        """Not for a page that a script asked for, as it has them already."""
        asked_for = self.request.headers.get("sec-fetch-dest", "document")
        return script_texts(language()) if asked_for == "document" else {}

    def _unseen(self) -> int:
        person = self.visitor if self.session and isinstance(self.visitor, Person) else None
        return self.site.core.alerting.book.unseen(person) if person else 0

    def _frame(self, token: str) -> dict[str, Any]:
        preference = self.preference
        theme = preference.theme or cookies.theme(self.request)
        path = self.path if self.request.method == "GET" else "/"
        return {
            "visitor": self.visitor if self.session else None,
            "manages": self.manages,
            "administers": self.administers,
            "csrf": token,
            "theme": theme,
            "language": language(),
            "preference": preference,
            "zone_name": localtime.zone_name(),
            "languages": LANGUAGES,
            "script_texts": self._script_texts(),
            "next_theme": THEMES[(THEMES.index(theme) + 1) % len(THEMES)],
            "notice": self._notice(),
            "now_ms": clock.now_ms(),
            "path": path,
            "page_name": self.path.strip("/").split("/")[0] or "dashboard",
            "in_bar": IN_BAR,
            "nav": menu(self.manages, self.administers, self.path),
            "maintenance": self.site.core.maintenance.state,
            "unseen_alerts": self._unseen(),
            "waiting_count": self.site.core.registry.waiting_for(self.principal) if self.manages else 0,
            "typed": self.typed,
        }
