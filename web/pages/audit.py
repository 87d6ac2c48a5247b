"""The audit trail for admins: found, read row by row, taken home as CSV, and checked."""

from dataclasses import replace
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from gateway.core.audit_rows import Wanted
from gateway.core.audit_words import said_of
from gateway.core.errors import Invalid
from web.access import Access
from web.auditview import as_csv, changes
from web.language import told
from web.localtime import at_ms, zone_name
from web.notices import Notice
from web.pages.acting import forms
from web.pages.table import Page
from web.visit import Visit

PATH = "/admin/audit"
ROWS = 50
FIELDS = ("who", "action", "subject", "level", "text", "from", "to")


async def show(visit: Visit) -> Response:
    asked = {name: visit.query(name).strip() for name in FIELDS}
    rows = []
    try:
        before = _before(visit)
        rows = await visit.site.core.audit.rows(before=before, wanted=_wanted(asked), limit=ROWS + 1)
    except Invalid as error:
        visit, before = replace(visit, refused=error), None
    shown, filters = rows[:ROWS], {name: value for name, value in asked.items() if value}
    older = urlencode(filters | {"before": shown[-1]["number"]}) if len(rows) > ROWS else ""
    return visit.page(
        "admin_audit.html",
        rows=[(row, changes(row["details"])) for row in shown],
        asked=asked,
        older=older,
        everything=urlencode(filters),
        is_filtered=bool(filters),
        is_later_page=before is not None,
    )


def _before(visit: Visit) -> int | None:
    text = visit.query("before")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Invalid("There is no such page.")
    return int(text) if text else None


def _wanted(asked: dict[str, str]) -> Wanted:
    """Times are typed as the visitor's clock has them."""
    plain = {name: asked[name][:100] for name in ("who", "action", "subject", "level", "text")}
    from_ms, to_ms = (at_ms(asked[name], zone_name()) for name in ("from", "to"))
    return Wanted(**plain, from_ms=from_ms, to_ms=to_ms)


async def export(visit: Visit) -> Response:
    wanted = _wanted({name: visit.query(name).strip() for name in FIELDS})
    return as_csv(visit.site.core.audit, wanted)


async def verify(visit: Visit) -> Notice:
    verdict = await visit.site.core.audit.verify()
    said = str(told(said_of(msgspec.to_builtins(verdict))))
    return Notice(said, "good" if verdict.whole else "bad")


PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    Page("GET", f"{PATH}.csv", export, Access.ADMINISTER),
    *forms(PATH, show, [(f"{PATH}/verify", verify)]),
]
