"""Coming to be a user: with an invitation, or by asking for an account."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.pages.login import caller, welcome
from web.pages.table import Page
from web.visit import Visit

JOIN, SIGN_UP = "/join-us", "/sign-up"


def new_password(visit: Visit, first: str = "password") -> str:
    """The password that was typed twice; raises `Invalid` when it was not."""
    password = visit.form.get(first)
    if not isinstance(password, str) or password != visit.form.get("again"):
        raise Invalid("The two passwords are not the same.")
    return password


async def show_invitation(visit: Visit) -> Response:
    """The code is not in the address: it comes behind its `#`, which stays in the browser, or is typed."""
    return visit.page("invitation.html", back_path=JOIN)


async def join(visit: Visit) -> Response:
    accounts = visit.site.core.accounts
    try:
        user = await accounts.join(
            visit.text("code"), visit.text("username"), new_password(visit), visit.address,
            name=visit.text("name"), email=visit.text("email"),
        )  # fmt: skip
        _, token = await accounts.finish(user, caller(visit))
    except GatewayError as error:
        return await show_invitation(replace(visit, refused=error))
    return await welcome(visit, user.id, token, "/")


async def show_sign_up(visit: Visit) -> Response:
    is_open = visit.site.core.accounts.sign_ups.is_open
    status = 200 if is_open else 403
    return visit.page("sign_up.html", is_open=is_open, asked=False, back_path=SIGN_UP, status_code=status)


async def sign_up(visit: Visit) -> Response:
    """The answer is the same whether or not there is somebody of that name."""
    try:
        await visit.site.core.accounts.sign_ups.ask(
            visit.text("username"), new_password(visit), visit.address,
            name=visit.text("name"), email=visit.text("email"), note=visit.text("note"),
        )  # fmt: skip
    except GatewayError as error:
        return await show_sign_up(replace(visit, refused=error))
    return visit.page("sign_up.html", is_open=True, asked=True, back_path=SIGN_UP, status_code=202)


PAGES = [
    Page("GET", JOIN, show_invitation, Access.PUBLIC),
    Page("POST", JOIN, join, Access.PUBLIC, stale=show_invitation),
    Page("GET", SIGN_UP, show_sign_up, Access.PUBLIC),
    Page("POST", SIGN_UP, sign_up, Access.PUBLIC, stale=show_sign_up),
]
