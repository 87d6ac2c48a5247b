"""The first admin, by the one-time link that the gateway printed."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.pages.login import keep_session
from web.pages.table import Page
from web.visit import Visit


async def show(visit: Visit) -> Response:
    secret = visit.text("secret") or visit.query("secret")
    usable = visit.site.core.accounts.is_setup_secret(secret)
    return visit.page(
        "setup.html",
        usable=usable,
        secret=secret if usable else "",
        back_path="/login",
        status_code=200 if usable else 410,
    )


async def set_up(visit: Visit) -> Response:
    accounts = visit.site.core.accounts
    password = str(visit.form.get("password", ""))
    try:
        if password != visit.form.get("again"):
            raise Invalid("The two passwords are not the same.")
        person = await accounts.set_up(visit.text("secret"), visit.text("username"), password)
        _, token = await accounts.sessions.open(person, "browser", visit.address)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    response = visit.go("/")
    keep_session(visit, response, token)
    return response


PAGES = [
    Page("GET", "/setup", show, Access.PUBLIC),
    Page("POST", "/setup", set_up, Access.PUBLIC, stale=show),
]
