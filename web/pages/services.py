"""Accounts of programs: Home Assistant, Node-RED and the like; for admins, on the page of people."""

from gateway.core.errors import Invalid
from gateway.core.rights import ServiceRole
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.people import Action, page_after, show
from web.pages.table import Page
from web.visit import Visit


async def add(visit: Visit) -> Notice:
    try:
        role = ServiceRole(visit.text("role"))
    except ValueError:
        raise Invalid("Choose what the program may do.") from None
    account, token = await visit.site.core.services.add(visit.text("name"), role, visit.person)
    return Notice(
        _("The token of %(name)s, its password over MQTT:", name=account.name), "warn", token, _("Token")
    )


async def rotate(visit: Visit) -> Notice:
    name = visit.request.path_params["name"]
    _confirmed(visit)
    token = await visit.site.core.services.rotate(name, visit.person)
    said = _("The new token of %(name)s. The one before is dead; its sessions end now.", name=name)
    return Notice(said, "warn", token, _("Token"))


async def remove(visit: Visit) -> Notice:
    name = visit.request.path_params["name"]
    _confirmed(visit)
    await visit.site.core.services.remove(name, visit.person)
    return Notice(_("%(name)s was removed; its sessions end now.", name=name))


def _confirmed(visit: Visit) -> None:
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")


_ACTIONS: list[tuple[str, Action]] = [
    ("/admin/services", add),
    ("/admin/services/{name}/rotate", rotate),
    ("/admin/services/{name}/delete", remove),
]
PAGES = [Page("POST", path, page_after(action), Access.ADMINISTER, stale=show) for path, action in _ACTIONS]
