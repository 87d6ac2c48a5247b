"""The list of modules: found by name, place, status and type; a thousand at a time."""

from urllib.parse import urlencode

from starlette.responses import Response

from web import wording
from web.access import Access
from web.pages.table import Page
from web.views import matches, view_of, visible
from web.visit import Visit

PAGE_SIZE = 1000


async def show(visit: Visit) -> Response:
    core = visit.site.core
    filters = {name: visit.query(name) for name in ("q", "status", "type")}
    seen = list(visible(core, visit.person))
    found = [module for module in seen if matches(core, module, **filters)]
    start = int(visit.query("start")) if visit.query("start").isdecimal() else 0
    following = start + PAGE_SIZE
    views = [view_of(core, module) for module in found[start:following]]
    more = "/modules?" + urlencode({**filters, "start": following}) if following < len(found) else ""

    return await visit.long_page(
        "modules.html",
        views=views,
        total=len(seen),
        statuses=list(wording.STATUS_WORDS.items()),
        types=[(known.code, known.name) for known in core.types.all()],
        next_page=more,
        page_size=PAGE_SIZE,
        **filters,
    )


PAGES = [Page("GET", "/modules", show, Access.PERSON)]
