"""One's own account: profile, password, sessions, colours."""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gateway.core.access.personal_tokens import RANKS
from gateway.core.access.sessions import Session
from gateway.core.errors import GatewayError, Invalid, Unauthenticated
from web import cookies
from web.access import Access
from web.agents import short
from web.language import gettext as _
from web.notices import Notice
from web.pages.table import Page
from web.rolewords import names, role_name
from web.visit import Visit

PATH = "/account"


async def show(visit: Visit) -> Response:
    accounts, person = visit.site.core.accounts, visit.person
    return visit.page(
        "account.html",
        user=accounts.people.get(person.id),
        sessions=[_row(visit, session) for session in accounts.sessions.living(person.id)],
        second_factor=accounts.factors.is_on(person.id),
        codes_left=accounts.factors.codes_left(person.id),
        tokens=accounts.tokens.of(person.id),
        role=role_name(person.role),
        role_name=role_name,
        role_names=names(RANKS[: RANKS.index(person.role) + 1]),
    )


def _row(visit: Visit, session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "kind": session.kind,
        "address": session.address,
        "agent": short(session.agent),
        "whole_agent": session.agent,
        "since_ms": session.created_at_ms,
        "seen_ms": visit.site.core.accounts.sessions.seen_ms(session),
        "here": visit.session is not None and session.id == visit.session.id,
    }


async def change_profile(visit: Visit) -> Response:
    name, email = visit.text("name"), visit.text("email")
    try:
        await visit.site.core.accounts.people.edit(visit.person.id, visit.person, name=name, email=email)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go(PATH, Notice(_("Your profile was saved.")))


async def change_password(visit: Visit) -> Response:
    current, new = str(visit.form.get("current", "")), str(visit.form.get("new", ""))
    accounts = visit.site.core.accounts
    try:
        if visit.session is None or new != visit.form.get("again"):
            raise Invalid("The two new passwords are not the same.")
        mark = visit.request.cookies.get(cookies.KNOWN, "")
        await accounts.change_password(visit.session, current, new, visit.address, mark)
    except Unauthenticated:
        return await show(replace(visit, refused=Invalid("The current password is wrong.")))
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go(PATH, Notice(_("The password was changed. Your other sessions have ended.")))


async def end_session(visit: Visit) -> Response:
    person, number = visit.person, visit.request.path_params["number"]
    try:
        await visit.site.core.accounts.sessions.close_one(person.id, number, person)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    if visit.session is not None and number == visit.session.id:
        return _logged_out(visit)
    return visit.go(PATH, Notice(_("That session has ended.")))


async def log_out_everywhere(visit: Visit) -> Response:
    person, tokens_too = visit.person, visit.text("tokens") == "yes"
    await visit.site.core.accounts.log_out_everywhere(person.id, person, tokens_too=tokens_too)
    return _logged_out(visit)


def _logged_out(visit: Visit) -> Response:
    response = visit.go("/login")
    cookies.drop(response, cookies.SESSION, secure=visit.secure)
    return response


PAGES = [
    Page("GET", PATH, show, Access.PERSON),
    Page("POST", "/account/profile", change_profile, Access.PERSON, stale=show),
    Page("POST", "/account/password", change_password, Access.PERSON, stale=show),
    Page("POST", "/account/sessions/{number:int}/end", end_session, Access.PERSON, stale=show),
    Page("POST", "/account/logout-everywhere", log_out_everywhere, Access.PERSON, stale=show),
]
