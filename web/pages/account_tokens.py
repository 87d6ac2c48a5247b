"""One's own tokens for programs."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.access.personal_tokens import Scope
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import Role
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.account import PATH, show
from web.pages.table import Page
from web.visit import Visit

_SCOPES: dict[str, Scope] = {"read": "read", "act": "act"}
_DAYS = {"30": 30, "90": 90, "365": 365, "never": None}


async def add(visit: Visit) -> Response:
    scope, days = visit.text("scope"), visit.text("days")
    try:
        if scope not in _SCOPES or days not in _DAYS or visit.text("role") not in set(Role):
            raise Invalid("Choose from the lists what the token may do, and for how long.")
        token, secret = await visit.site.core.accounts.tokens.add(
            visit.person, visit.text("name"), _SCOPES[scope], Role(visit.text("role")), _DAYS[days]
        )
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go(PATH, Notice(_("The token %(name)s:", name=token.name), "warn", secret, _("Token")))


async def revoke(visit: Visit) -> Response:
    try:
        if visit.text("confirm") != "yes":
            raise Invalid("Tick the box to confirm; nothing was done.")
        number = visit.request.path_params["number"]
        token = await visit.site.core.accounts.tokens.revoke(number, visit.person)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go(PATH, Notice(_("The token %(name)s is worth nothing any more.", name=token.name)))


PAGES = [
    Page("POST", "/account/tokens", add, Access.PERSON, stale=show),
    Page("POST", "/account/tokens/{number:int}/revoke", revoke, Access.PERSON, stale=show),
]
