"""Language, time zone and colours: kept for whoever is logged in, and in cookies for pages before that."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.access.preferences import THEMES
from gateway.core.errors import GatewayError, Invalid
from web import cookies
from web.access import Access
from web.language import LANGUAGES, speaking
from web.language import gettext as _
from web.notices import Notice
from web.pages import account
from web.pages.login import own_path
from web.pages.table import Page
from web.visit import Visit


async def change(visit: Visit) -> Response:
    wanted = {name: visit.text(name) for name in ("language", "zone", "theme")}
    try:
        _check_language(wanted["language"])
        await visit.site.core.preferences.change(visit.person, **wanted)
    except GatewayError as error:
        return await account.show(replace(visit, refused=error))
    with speaking(wanted["language"] or visit.language):
        response = visit.go(account.PATH, Notice(_("Your preferences were saved.")))
    _remember(visit, response, cookies.LANGUAGE, wanted["language"])
    _remember(visit, response, cookies.THEME, wanted["theme"])
    return response


def _check_language(code: str) -> None:
    if code and code not in LANGUAGES:
        raise Invalid("%(language)r is no language of ours.", language=code[:20])


async def choose_language(visit: Visit) -> Response:
    """The switch below every page."""
    code = visit.text("language")
    response = _back(visit)
    if code in LANGUAGES:
        _remember(visit, response, cookies.LANGUAGE, code)
        if visit.session is not None:
            await visit.site.core.preferences.change(visit.person, language=code)
    return response


async def choose_theme(visit: Visit) -> Response:
    theme = visit.text("theme")
    response = _back(visit)
    if theme in THEMES:
        _remember(visit, response, cookies.THEME, theme)
        if visit.session is not None:
            await visit.site.core.preferences.change(visit.person, theme=theme)
    return response


def _back(visit: Visit) -> Response:
    return visit.go(own_path(visit.text("back") or "/"))


def _remember(visit: Visit, response: Response, name: str, value: str) -> None:
    if value:
        cookies.keep(response, name, value, secure=visit.secure, max_age_s=cookies.YEAR_S)
    else:
        cookies.drop(response, name, secure=visit.secure)


PAGES = [
    Page("POST", "/account/preferences", change, Access.PERSON, stale=account.show),
    Page("POST", "/language", choose_language, Access.PUBLIC),
    Page("POST", "/theme", choose_theme, Access.PUBLIC),
]
