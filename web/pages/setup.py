"""The first admin, by the one-time link that the gateway printed."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.pages.login import caller, welcome
from web.pages.table import Page
from web.visit import Visit


async def show(visit: Visit) -> Response:
    """The secret is not in the address: it comes behind its `#`, which stays in the browser, or is typed."""
    usable = visit.site.core.accounts.setup_needed
    return visit.page("setup.html", usable=usable, back_path="/login", status_code=200 if usable else 410)


async def set_up(visit: Visit) -> Response:
    accounts = visit.site.core.accounts
    password = str(visit.form.get("password", ""))
    try:
        if password != visit.form.get("again"):
            raise Invalid("The two passwords are not the same.")
        person = await accounts.set_up(visit.text("secret"), visit.text("username"), password)
        _, token = await accounts.finish(accounts.people.get(person.id), caller(visit))
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return await welcome(visit, person.id, token, "/")


PAGES = [
    Page("GET", "/setup", show, Access.PUBLIC),
    Page("POST", "/setup", set_up, Access.PUBLIC, stale=show),
]
