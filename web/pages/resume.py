"""A form that came without its session: kept over the login, and then shown to be sent or left."""

from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from gateway.core.errors import Forbidden
from web import cookies, csrf, wording
from web.arrival import with_form
from web.carried import Carried, carried_of
from web.language import gettext as _
from web.notices import Notice
from web.visit import Visit

LOGIN = "/login"
# Fields that pages send with a form for themselves; nobody typed them.
_UNSEEN = frozenset({"back", "version", "next", "job", "key_id"})
# Logging out again is nothing to come back to.
_NOT_KEPT = frozenset({"/logout", "/login", "/login/code"})


@dataclass(frozen=True, slots=True)
class Typed:
    name: str
    label: str
    value: str


async def to_login(visit: Visit) -> Response:
    """To the login page, which leads on to what was typed, if that may be kept."""
    carried = await _carried(visit)
    if carried is None:
        return RedirectResponse(LOGIN, 303)
    known = visit.request.cookies.get(csrf.VISITOR_COOKIE, "")
    visitor = known or visit.site.visitors.new_cookie()
    key = visit.site.carried.keep(carried, visitor, visit.address)
    response = RedirectResponse(f"{LOGIN}?next={quote(f'/resume?key={key}', safe='')}", 303)
    if not known:
        cookies.keep(response, csrf.VISITOR_COOKIE, visitor, secure=visit.secure)
    return response


async def _carried(visit: Visit) -> Carried | None:
    """None for what another site may have made a browser send: such a request comes without our cookies."""
    jar = visit.request.cookies
    if visit.path in _NOT_KEPT or not (jar.get(cookies.SESSION) or jar.get(csrf.VISITOR_COOKIE)):
        return None
    try:
        visit = await with_form(visit)
    except (Forbidden, HTTPException):
        return None
    return carried_of(visit.path, visit.form.multi_items())


async def show(visit: Visit) -> Response:
    visitor = visit.request.cookies.get(csrf.VISITOR_COOKIE, "")
    carried = visit.site.carried.find(visit.query("key"), visitor)
    if carried is None:
        return visit.go("/", Notice(_("What was typed before is not kept any more."), "warn"))
    return ask(visit, carried)


def outdated(visit: Visit) -> Response | None:
    """For a form of an older session on a page that cannot show it again; None when nothing was typed."""
    carried = carried_of(visit.path, visit.form.multi_items())
    return None if carried is None else ask(visit, carried)


def ask(visit: Visit, carried: Carried) -> Response:
    seen = [
        Typed(name, wording.label(name), value)
        for name, value in carried.fields
        if name not in _UNSEEN and not name.startswith("shown_") and value.strip()
    ]
    ticks = [Typed(name, wording.label(name), "yes") for name in carried.ticks]
    return visit.page("resume.html", carried=carried, seen=seen, ticks=ticks)
