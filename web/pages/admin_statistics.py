"""The house in numbers, for admins."""

from collections import Counter
from collections.abc import Iterable

from starlette.responses import Response

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.values import Module
from gateway.storage.models import proxy
from web import wording
from web.access import Access
from web.healthview import about, database_size
from web.language import gettext as _
from web.pages.table import Page
from web.pulseview import plots
from web.views import type_name
from web.visit import Visit

HOUR_MS = 3_600_000
SHOWN = 10
Counted = list[tuple[str, int]]
# By series, because a count within one goes by its index; over all it would read every reading there is.
_BUSIEST = """
    SELECT series.module_number, sum((
        SELECT count(*) FROM reading WHERE reading.series = series.id AND reading.ts_ms >= ?
    )) AS readings FROM series GROUP BY series.module_number HAVING readings > 0
    ORDER BY readings DESC LIMIT ?
"""


async def show(visit: Visit) -> Response:
    core = visit.site.core
    approved = [module for module in core.registry.all() if module.life == "approved"]
    statuses = Counter(core.status(module) for module in core.registry.all())
    return await visit.long_page(
        "admin_statistics.html",
        by_status=[(status, _(words), statuses[status]) for status, words in wording.STATUS_WORDS.items()],
        by_type=_by_type(core, approved),
        by_group=_counted(module.group or _("no group") for module in approved),
        total=len(approved),
        plots=plots(core.pulse.samples()),
        busiest=await _busiest(core),
        about=await about(visit.site),
        database=await database_size(visit.site),
        people=len(core.accounts.people.all()),
        logged_in=core.accounts.sessions.online_people(),
    )


def _by_type(core: Core, modules: Iterable[Module]) -> Counted:
    """Two types may be called the same."""
    counts: Counter[str] = Counter()
    for code, count in Counter(module.type for module in modules).items():
        counts[type_name(core, code)] += count
    return counts.most_common()


def _counted(words: Iterable[str]) -> Counted:
    return Counter(words).most_common()


async def _busiest(core: Core) -> list[tuple[str, str, int]]:
    """Id, name and readings of the last hour of those that sent most."""
    since_ms = clock.now_ms() - HOUR_MS
    rows = await core.store.read(
        lambda: proxy.connection().cursor().execute(_BUSIEST, (since_ms, SHOWN)).fetchall()
    )
    known = {module.number: module for module in core.registry.all()}
    return [(known[n].id, known[n].name, readings) for n, readings in rows if n in known]


PAGES = [Page("GET", "/admin/statistics", show, Access.ADMINISTER)]
