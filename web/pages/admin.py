"""How the gateway is: its health at a glance, maintenance and the front door, for admins."""

from starlette.responses import Response

from gateway.core.backups import last_backup
from gateway.core.errors import Invalid
from web.access import Access
from web.healthview import about, certificate_view, drops, health
from web.joinview import join_types, join_view
from web.language import gettext as _
from web.notices import Notice
from web.pages.acting import forms
from web.pages.table import Page
from web.visit import Visit


async def show(visit: Visit) -> Response:
    core = visit.site.core
    return visit.page(
        "admin.html",
        about=await about(visit.site),
        health=await health(visit.site),
        drops=drops(visit.site),
        certificate=certificate_view(visit.site),
        backup=await last_backup(core.store),
        join=join_view(core),
        join_types=join_types(core),
        logged_in=core.accounts.sessions.online_people(),
    )


async def set_maintenance(visit: Visit) -> Notice:
    """On needs the tick beside what will happen, unless it is on already and only the reason changes."""
    maintenance = visit.site.core.maintenance
    on = {"on": True, "off": False}.get(visit.text("maintenance"))
    if on is None:
        raise Invalid("Choose to turn maintenance on or off.")
    if on and not maintenance.state.on and visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")
    changed = await maintenance.set(on, visit.text("reason"), visit.person)
    return Notice(
        _("Maintenance is on: only admins can log in.") if changed.on else _("Maintenance is over.")
    )


PAGES = [
    Page("GET", "/admin", show, Access.ADMINISTER),
    *forms("/admin", show, [("/admin/maintenance", set_maintenance)]),
]
