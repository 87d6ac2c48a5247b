"""The list of modules: searched, filtered, sorted; a page at a time, or as far as one scrolls."""

from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.responses import Response

from web import wording
from web.access import Access
from web.bulk import ACTS
from web.language import gettext as _
from web.listing import COLUMNS, Listing, facets, listed, listing_of
from web.pages.table import Page
from web.rows import Row, Rows
from web.visit import Visit

PAGE_SIZE = 200
CHUNK = 100
MAX_CHUNK = 500
# What scripts fill in for each module.
BLANK = Row("", "", "", "unknown", "", 0, None, False, "", "", "", [])
_encode = msgspec.json.Encoder().encode


def titles() -> dict[str, str]:
    """What stands over each column."""
    return {
        "name": _("Module"),
        "status": _("Status"),
        "last_seen": _("Last heard"),
        "type": _("Type"),
        "group": _("Group"),
        "owner": _("Owner"),
    }


async def show(visit: Visit) -> Response:
    core = visit.site.core
    listing = asked_listing(visit)
    seen, found = listed(core, visit.person, listing)
    start = min(_number(visit, "start"), max(0, len(found) - 1))
    rows = Rows(core)
    shown = [rows.of(module) for module in found[start : start + PAGE_SIZE]]
    columns = [column for column in COLUMNS if column != "owner" or visit.manages]
    return await visit.long_page(
        "modules.html",
        rows=shown,
        blank=BLANK,
        start=start,
        found=len(found),
        total=len(seen),
        listing=listing,
        columns=columns,
        titles=titles(),
        facets=facets(core, seen),
        statuses=[(code, wording.status_word(code)) for code in wording.STATUS_WORDS],
        previous_page=listing.page(max(0, start - PAGE_SIZE)) if start else "",
        next_page=listing.page(start + PAGE_SIZE) if start + PAGE_SIZE < len(found) else "",
        page_size=PAGE_SIZE,
        chunk=CHUNK,
        picked=set(visit.texts("id")),
        acts=[(act.code, _(act.title)) for act in ACTS.values()],
    )


async def chunk(visit: Visit) -> Response:
    """A part of the list for scripts: `{total, start, rows}`, each row in the order of `Row`'s fields."""
    core = visit.site.core
    seen, found = listed(core, visit.person, asked_listing(visit))
    start, count = _number(visit, "start"), min(_number(visit, "count") or CHUNK, MAX_CHUNK)
    rows = Rows(core)
    made = [rows.of(module) for module in found[start : start + count]]
    body = {"total": len(found), "of": len(seen), "start": start, "rows": [_plain(row) for row in made]}
    return Response(_encode(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _plain(row: object) -> list[object]:
    return [getattr(row, name) for name in _FIELDS]


_FIELDS = (
    "id", "title", "subtitle", "status", "reason", "since_ms", "last_seen_ms", "unstable", "type_name",
    "group", "owner", "readings",
)  # fmt: skip


def asked_listing(visit: Visit) -> Listing:
    """Of the page's address; a form that was sent in vain names the list that it stood on."""
    if visit.request.method == "GET":
        return listing_of(visit.request.query_params)
    return listing_of(dict(parse_qsl(urlsplit(visit.text("back")).query)))


def _number(visit: Visit, name: str) -> int:
    text = visit.query(name)
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


PAGES = [
    Page("GET", "/modules", show, Access.PERSON),
    Page("GET", "/modules/rows", chunk, Access.PERSON),
]
