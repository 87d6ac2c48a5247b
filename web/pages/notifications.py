"""What needs somebody now, what did lately, and what one has seen of it."""

from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.alertview import alert_view
from web.language import gettext as _
from web.notices import Notice
from web.pages.table import Page
from web.visit import Visit

SHOWN, MOST_OPEN = 50, 200
MOST_DIGITS = 15


async def show(visit: Visit) -> Response:
    core, book = visit.site.core, visit.site.core.alerting.book
    seen = book.seen.get(visit.person.id, 0)
    before = _number(visit.query("before")) or book.newest + 1
    open_alerts = core.alerting.open_alerts(visit.person)
    past = book.past(visit.person, before, SHOWN + 1)
    return await visit.long_page(
        "notifications.html",
        open_alerts=[alert_view(core, alert, seen) for alert in open_alerts[:MOST_OPEN]],
        more_open=max(0, len(open_alerts) - MOST_OPEN),
        past_alerts=[alert_view(core, alert, seen) for alert in past[:SHOWN]],
        earlier=past[SHOWN - 1].id if len(past) > SHOWN else None,
        newest=book.newest,
        unseen=book.unseen(visit.person),
    )


async def mark_seen(visit: Visit) -> Response:
    try:
        up_to = _number(visit.text("up_to"))
        if up_to is None:
            raise Invalid("Say up to which alert.")
        await visit.site.core.alerting.book.see(visit.person, up_to)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go("/notifications", Notice(_("All alerts are marked as seen.")))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None


PAGES = [
    Page("GET", "/notifications", show, Access.PERSON),
    Page("POST", "/notifications/seen", mark_seen, Access.PERSON, stale=show),
]
