"""One's own second factor: set it up with an app, renew the recovery codes, turn it off."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid, Unauthenticated
from web import cookies
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.table import Handler, Page
from web.qr import qr_code
from web.visit import Visit

PATH = "/account/second-factor"


async def show(visit: Visit) -> Response:
    factors, person = visit.site.core.accounts.factors, visit.person
    offer = factors.offered(person.id)
    return visit.page(
        "second_factor.html",
        is_on=factors.is_on(person.id),
        codes_left=factors.codes_left(person.id),
        offer=offer,
        code=qr_code(offer.address) if offer else None,
        groups=[offer.secret[at : at + 4] for at in range(0, len(offer.secret), 4)] if offer else [],
    )


def _page_after(action: Callable[[Visit], Awaitable[Notice | None]]) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(PATH, notice)

    return handler


async def _check_password(visit: Visit) -> None:
    """Whoever sits at an unlocked screen does not know it."""
    given, mark = visit.form.get("password"), visit.request.cookies.get(cookies.KNOWN, "")
    try:
        password = given if isinstance(given, str) else ""
        await visit.site.core.accounts.prove(visit.person.name, password, visit.address, mark)
    except Unauthenticated:
        raise Invalid("The password is wrong.") from None


async def begin(visit: Visit) -> None:
    await _check_password(visit)
    visit.site.core.accounts.factors.offer(visit.person)


async def confirm(visit: Visit) -> Notice:
    codes = await visit.site.core.accounts.confirm_factor(visit.person, visit.text("code"), visit.address)
    return _codes(_("Your second factor is on. These are your recovery codes:"), codes)


async def renew(visit: Visit) -> Notice:
    await _check_password(visit)
    codes = await visit.site.core.accounts.factors.renew_codes(visit.person)
    return _codes(_("These are your recovery codes. Those before are worth nothing any more."), codes)


def _codes(words: str, codes: list[str]) -> Notice:
    hint = _("Print them or write them down now: they are shown this once, and each works once.")
    return Notice(words, "warn", "\n".join(codes), _("Recovery codes"), hint)


async def turn_off(visit: Visit) -> Notice:
    await _check_password(visit)
    person = visit.person
    await visit.site.core.accounts.factors.remove(person.id, person.name, person)
    return Notice(_("Your second factor is off. Your password alone lets you in."))


PAGES = [
    Page("GET", PATH, show, Access.PERSON),
    Page("POST", PATH, _page_after(begin), Access.PERSON, stale=show),
    Page("POST", f"{PATH}/confirm", _page_after(confirm), Access.PERSON, stale=show),
    Page("POST", f"{PATH}/codes", _page_after(renew), Access.PERSON, stale=show),
    Page("POST", f"{PATH}/off", _page_after(turn_off), Access.PERSON, stale=show),
]
