"""Log in, log out, and the colours that everybody may choose."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError
from web import cookies
from web.access import Access
from web.pages.table import Page
from web.visit import Visit


def own_path(path: str) -> str:
    """A path of ours to go on to; anything that could lead elsewhere becomes the start page."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if safe else "/"


async def show(visit: Visit) -> Response:
    if visit.session is not None and visit.refused is None:
        return visit.go("/")
    onward = visit.text("next") or visit.query("next")
    return visit.page(
        "login.html",
        next=own_path(onward),
        back_path="/login",
        setup_needed=visit.site.core.accounts.setup_needed,
    )


async def log_in(visit: Visit) -> Response:
    password = visit.form.get("password")
    try:
        _, token = await visit.site.core.accounts.log_in(
            visit.text("username"), password if isinstance(password, str) else "", visit.address
        )
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    if visit.session is not None:
        await visit.site.core.accounts.sessions.close(visit.session, visit.person.name)
    response = visit.go(own_path(visit.text("next")))
    keep_session(visit, response, token)
    return response


def keep_session(visit: Visit, response: Response, token: str) -> None:
    cookies.keep(response, cookies.SESSION, token, secure=visit.secure, max_age_s=cookies.SESSION_MAX_AGE_S)


async def log_out(visit: Visit) -> Response:
    if visit.session is not None:
        await visit.site.core.accounts.sessions.close(visit.session, visit.person.name)
    response = visit.go("/login")
    cookies.drop(response, cookies.SESSION, secure=visit.secure)
    return response


async def choose_theme(visit: Visit) -> Response:
    chosen = visit.text("theme")
    response = visit.go(own_path(visit.text("back") or "/"))
    if chosen in cookies.THEMES:
        cookies.keep(response, cookies.THEME, chosen, secure=visit.secure, max_age_s=cookies.YEAR_S)
    return response


PAGES = [
    Page("GET", "/login", show, Access.PUBLIC),
    Page("POST", "/login", log_in, Access.PUBLIC, stale=show),
    Page("POST", "/logout", log_out, Access.PERSON),
    Page("POST", "/theme", choose_theme, Access.PUBLIC),
]
