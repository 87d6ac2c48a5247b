"""What people and the house do right now, for admins."""

from typing import Any

import msgspec
from starlette.responses import Response

from web.access import Access
from web.pages.table import Page
from web.visit import Visit

SHOWN = 50
MAX_DETAILS = 300


async def show(visit: Visit) -> Response:
    """The newest rows of the audit trail; with scripts, what happens from here on comes by itself."""
    rows = await visit.site.core.audit.rows(limit=SHOWN)
    return visit.page("admin_activity.html", rows=[(row, _brief(row["details"])) for row in rows])


def _brief(details: dict[str, Any]) -> str:
    text = msgspec.json.encode(details).decode() if details else ""
    return text if len(text) <= MAX_DETAILS else text[:MAX_DETAILS] + "…"


PAGES = [Page("GET", "/admin/activity", show, Access.ADMINISTER)]
