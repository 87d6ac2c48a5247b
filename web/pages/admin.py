"""Programs, maintenance and the front door, for admins."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.joinview import join_types, join_view
from web.notices import Notice
from web.pages.table import Handler, Page
from web.visit import Visit

Action = Callable[[Visit], Awaitable[Notice]]


async def show(visit: Visit) -> Response:
    core = visit.site.core
    return visit.page(
        "admin.html",
        users=core.accounts.people.all(),
        clients=core.clients.all(),
        join=join_view(core),
        join_types=join_types(core),
        bootstrap=[(core.types.get(code), since) for code, since in core.bootstrap.allowed().items()],
        bootstrap_types=[(known.code, known.name) for known in core.types.all()],
        logged_in=core.accounts.sessions.online_people(),
    )


def _page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go("/admin", notice)

    return handler


async def set_maintenance(visit: Visit) -> Notice:
    """On needs the tick beside what will happen, unless it is on already and only the reason changes."""
    maintenance = visit.site.core.maintenance
    on = {"on": True, "off": False}.get(visit.text("maintenance"))
    if on is None:
        raise Invalid("Choose to turn maintenance on or off.")
    if on and not maintenance.state.on and visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")
    changed = await maintenance.set(on, visit.text("reason"), visit.person)
    return Notice("Maintenance is on: only admins can log in." if changed.on else "Maintenance is over.")


async def remove_client(visit: Visit) -> Notice:
    number = visit.request.path_params["number"]
    await visit.site.core.clients.remove(number, visit.person)
    return Notice(f"Program {number} was removed; its session ends now.")


async def allow_bootstrap(visit: Visit) -> Notice:
    code = visit.text("type")
    if not (code.isascii() and code.isdecimal() and len(code) <= 9):
        raise Invalid("Choose a type from the list.")
    core = visit.site.core
    key = await core.bootstrap.allow(int(code), visit.person)
    return Notice(f"The bootstrap key of {core.types.get(int(code)).name}:", "warn", key, "Key")


async def forbid_bootstrap(visit: Visit) -> Notice:
    code = visit.request.path_params["number"]
    await visit.site.core.bootstrap.forbid(code, visit.person)
    return Notice("The key lets nobody in any more. Who came in by it stays.")


_ACTIONS: list[tuple[str, Action]] = [
    ("/admin/maintenance", set_maintenance),
    ("/admin/bootstrap", allow_bootstrap),
    ("/admin/bootstrap/{number:int}/delete", forbid_bootstrap),
    ("/admin/clients/{number:int}/delete", remove_client),
]
PAGES = [
    Page("GET", "/admin", show, Access.ADMINISTER),
    *(Page("POST", path, _page_after(action), Access.ADMINISTER, stale=show) for path, action in _ACTIONS),
]
