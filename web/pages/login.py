"""Log in (in one step or two) and log out."""

from dataclasses import replace
from urllib.parse import quote

from starlette.responses import Response

from gateway.core.access.accounts import Caller
from gateway.core.access.halfway import MINUTES
from gateway.core.addresses import neighbourhood
from gateway.core.errors import GatewayError
from web import cookies
from web.access import Access
from web.pages import resume
from web.pages.table import Page
from web.visit import Visit


def own_path(path: str) -> str:
    """A path of ours to go on to; anything that could lead elsewhere becomes the start page."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if safe else "/"


def caller(visit: Visit) -> Caller:
    agent = visit.request.headers.get("user-agent", "")
    return Caller(visit.address, agent, visit.request.cookies.get(cookies.KNOWN, ""))


async def show(visit: Visit) -> Response:
    if visit.session is not None and visit.refused is None:
        return visit.go("/")
    onward = visit.text("next") or visit.query("next")
    accounts = visit.site.core.accounts
    return visit.page(
        "login.html",
        next=own_path(onward),
        back_path="/login",
        setup_needed=accounts.setup_needed,
        sign_up=accounts.sign_ups.is_open,
    )


async def log_in(visit: Visit) -> Response:
    accounts, password = visit.site.core.accounts, visit.form.get("password")
    given = password if isinstance(password, str) else ""
    onward = own_path(visit.text("next"))
    try:
        user, half = await accounts.begin(visit.text("username"), given, caller(visit))
        if half:
            response = visit.go(f"/login/code?next={quote(onward, safe='')}")
            _keep_half(visit, response, half)
            return response
        _, token = await accounts.finish(user, caller(visit))
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return await welcome(visit, user.id, token, onward)


async def show_code(visit: Visit) -> Response:
    """The second step; whoever has not done the first, or too long ago, begins again."""
    half = visit.request.cookies.get(cookies.HALFWAY)
    try:
        visit.site.core.accounts.halfway.owner(half, neighbourhood(visit.address))
    except GatewayError as error:
        return await show(replace(visit, refused=visit.refused or error))
    onward = visit.text("next") or visit.query("next")
    return visit.page("login_code.html", next=own_path(onward), back_path="/login")


async def second_step(visit: Visit) -> Response:
    half = visit.request.cookies.get(cookies.HALFWAY, "")
    try:
        user, _, token = await visit.site.core.accounts.second_step(half, visit.text("code"), caller(visit))
    except GatewayError as error:
        return await show_code(replace(visit, refused=error))
    response = await welcome(visit, user.id, token, own_path(visit.text("next")))
    cookies.drop(response, cookies.HALFWAY, secure=visit.secure)
    return response


async def welcome(visit: Visit, person_id: int, token: str, onward: str) -> Response:
    """On to the next page with the new session; one that this browser had before ends."""
    accounts = visit.site.core.accounts
    if visit.session is not None:
        await accounts.sessions.close(visit.session, visit.person.name)
    response = visit.go(onward)
    keep_session(visit, response, token)
    if not accounts.known.knows(visit.request.cookies.get(cookies.KNOWN), person_id):
        mark = accounts.known.mark(person_id)
        cookies.keep(response, cookies.KNOWN, mark, secure=visit.secure, max_age_s=cookies.YEAR_S)
    return response


def keep_session(visit: Visit, response: Response, token: str) -> None:
    cookies.keep(response, cookies.SESSION, token, secure=visit.secure, max_age_s=cookies.SESSION_MAX_AGE_S)


def _keep_half(visit: Visit, response: Response, half: str) -> None:
    cookies.keep(response, cookies.HALFWAY, half, secure=visit.secure, max_age_s=MINUTES * 60)


async def log_out(visit: Visit) -> Response:
    if visit.session is not None:
        await visit.site.core.accounts.sessions.close(visit.session, visit.person.name)
    response = visit.go("/login")
    cookies.drop(response, cookies.SESSION, secure=visit.secure)
    return response


PAGES = [
    Page("GET", "/resume", resume.show, Access.PERSON),
    Page("GET", "/login", show, Access.PUBLIC),
    Page("POST", "/login", log_in, Access.PUBLIC, stale=show),
    Page("GET", "/login/code", show_code, Access.PUBLIC),
    Page("POST", "/login/code", second_step, Access.PUBLIC, stale=show_code),
    Page("POST", "/logout", log_out, Access.PERSON),
]
