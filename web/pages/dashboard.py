"""The start page: how many, what waits, what needs a look, and the front door."""

import heapq
from collections import Counter

from starlette.responses import Response

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid
from gateway.core.values import Module
from web import wording
from web.access import Access
from web.alertview import alert_view
from web.healthview import health
from web.jobview import JobView, troubled
from web.joinview import join_types, join_view
from web.language import gettext as _
from web.language import told
from web.notices import Notice
from web.pages.login import own_path
from web.pages.table import Page
from web.pages.waiting import waiting_items
from web.pulseview import plots
from web.rolloutview import RolloutView, rollout_views
from web.views import ModuleView, seen_by, view_of
from web.visit import Visit

SHOWN = 6
# Offline since less than this is news; longer is somebody's habit.
NEWS_MS = 7 * 86400 * 1000
_ALWAYS_COUNTED = ("online", "offline", "pending")
_ATTENTION = ("offline", "unknown")
# Alerts about these have lists of their own on the page.
_SHOWN_BELOW = ("waiting", "update", "rollout")


async def show(visit: Visit) -> Response:
    core = visit.site.core
    modules = list(seen_by(core, visit.person))
    counted = Counter(core.status(module) for module in modules)
    statuses = [s for s in wording.STATUS_WORDS if counted[s] or s in _ALWAYS_COUNTED]
    alerts = core.alerting.book.open_to(visit.person)
    return await visit.long_page(
        "dashboard.html",
        total=len(modules),
        counts=[(status, wording.status_word(status), counted[status]) for status in statuses],
        alerts=[alert_view(core, alert) for alert in alerts if alert.kind not in _SHOWN_BELOW][:SHOWN],
        alerts_total=len(alerts),
        waiting=waiting_items(core, visit.person)[:SHOWN] if visit.manages else [],
        attention=_attention(core, modules, {alert.module_number for alert in alerts}),
        updates=_updates(visit, modules),
        rollouts=_rollouts(visit),
        plots=plots(core.pulse.samples()) if visit.manages else [],
        parts=await health(visit.site) if visit.manages else [],
        join=join_view(core),
        join_types=join_types(core),
        example=_example(visit),
    )


def _attention(core: Core, modules: list[Module], alerted: set[int | None]) -> list[ModuleView]:
    """Modules that went or waver, the latest first; what an alert says already is not said again."""
    now_ms = clock.now_ms()
    known = ((module, core.presence.of(module.id)) for module in modules if module.number not in alerted)
    recent = (
        (presence.since_ms, module)
        for module, presence in known
        if now_ms - presence.since_ms < NEWS_MS
        and (presence.unstable or (module.life == "approved" and presence.state in _ATTENTION))
    )
    newest = heapq.nlargest(SHOWN, recent, key=lambda found: found[0])
    return [view_of(core, module) for _, module in newest]


def _updates(visit: Visit, modules: list[Module]) -> list[JobView]:
    """Those that ended badly; for whoever can do something about it."""
    return troubled(visit.site.firmware, modules, SHOWN) if visit.manages else []


def _rollouts(visit: Visit) -> list[RolloutView]:
    """Those that stopped by themselves and wait for somebody."""
    return rollout_views(visit.site.firmware, visit.person, SHOWN, "stopped") if visit.manages else []


def _example(visit: Visit) -> str:
    """How a device asks over HTTP, ready to paste into a shell."""
    return f"curl {visit.base_url}/modules/register -d type=7 -d serial=try-me"


async def set_join(visit: Visit) -> Response:
    """Open a window, close, or leave open; the form stands on several pages and names where it came from."""
    try:
        join = await visit.site.core.joining.set(
            visit.text("mode"),
            visit.person,
            seconds=_number(visit, "seconds") or 300,
            type=_number(visit, "type"),
            quota=_number(visit, "quota") or 20,
        )
    except GatewayError as error:
        return visit.go(own_path(visit.text("back")), Notice(str(told(error.message)), "bad"))
    said = {
        "window": _("The window is open."),
        "open": _("Newcomers may ask at any time."),
        "closed": _("Newcomers are turned away."),
    }
    return visit.go(own_path(visit.text("back")), Notice(said[join.mode]))


def _number(visit: Visit, name: str) -> int | None:
    text = visit.text(name)
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("%(name)s must be a whole number.", name=name.capitalize())
    return int(text)


PAGES = [
    Page("GET", "/", show, Access.PERSON),
    Page("POST", "/join", set_join, Access.MANAGE),
]
