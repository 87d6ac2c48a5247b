"""One's own account: password, sessions, colours."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid, Unauthenticated
from web import cookies
from web.access import Access
from web.notices import Notice
from web.pages.table import Page
from web.visit import Visit


async def show(visit: Visit) -> Response:
    return visit.page("account.html")


async def change_password(visit: Visit) -> Response:
    current, new = str(visit.form.get("current", "")), str(visit.form.get("new", ""))
    accounts = visit.site.core.accounts
    try:
        if visit.session is None or new != visit.form.get("again"):
            raise Invalid("The two new passwords are not the same.")
        await accounts.change_password(visit.session, current, new, visit.address)
    except Unauthenticated:
        return await show(replace(visit, refused=Invalid("The current password is wrong.")))
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go("/account", Notice("The password was changed. Your other sessions have ended."))


async def log_out_everywhere(visit: Visit) -> Response:
    person = visit.person
    await visit.site.core.accounts.sessions.close_all(person.id, person.name)
    response = visit.go("/login")
    cookies.drop(response, cookies.SESSION, secure=visit.secure)
    return response


PAGES = [
    Page("GET", "/account", show, Access.PERSON),
    Page("POST", "/account/password", change_password, Access.PERSON, stale=show),
    Page("POST", "/account/logout-everywhere", log_out_everywhere, Access.PERSON, stale=show),
]
