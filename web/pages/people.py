"""People and the programs with accounts of their own, for admins."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import Role, ServiceRole
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.table import Handler, Page
from web.visit import Visit

PATH = "/admin/people"
Action = Callable[[Visit], Awaitable[Notice]]


async def show(visit: Visit) -> Response:
    core = visit.site.core
    return visit.page("admin_people.html", users=core.accounts.people.all(), services=core.services.all())


def _page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(PATH, notice)

    return handler


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise Invalid("Choose a role from the list.") from None


async def add_user(visit: Visit) -> Notice:
    user = await visit.site.core.accounts.people.add(
        visit.text("username"),
        str(visit.form.get("password", "")),
        _role(visit.text("role")),
        visit.person,
    )
    return Notice(_("%(name)s was added as %(role)s.", name=user.username, role=user.role))


async def change_user(visit: Visit) -> Notice:
    people = visit.site.core.accounts.people
    user = people.get(visit.request.path_params["number"])
    match visit.text("change"):
        case "role":
            changed = await people.edit(user.id, visit.person, role=_role(visit.text("role")))
            return Notice(
                _("%(name)s is %(role)s now and must log in again.", name=user.username, role=changed.role)
            )
        case "lock":
            await people.edit(user.id, visit.person, active=False)
            return Notice(_("%(name)s is locked; all sessions have ended.", name=user.username))
        case "unlock":
            await people.edit(user.id, visit.person, active=True)
            return Notice(_("%(name)s may log in again.", name=user.username))
        case _:
            raise Invalid("Choose what to change.")


async def add_service(visit: Visit) -> Notice:
    try:
        role = ServiceRole(visit.text("role"))
    except ValueError:
        raise Invalid("Choose what the program may do.") from None
    account, token = await visit.site.core.services.add(visit.text("name"), role, visit.person)
    said = _("The token of %(name)s (%(role)s):", name=account.name, role=account.role)
    return Notice(said, "warn", token, _("Token"))


async def remove_service(visit: Visit) -> Notice:
    name = visit.request.path_params["name"]
    await visit.site.core.services.remove(name, visit.person)
    return Notice(_("%(name)s was removed; its sessions end now.", name=name))


_ACTIONS: list[tuple[str, Action]] = [
    ("/admin/users", add_user),
    ("/admin/users/{number:int}", change_user),
    ("/admin/services", add_service),
    ("/admin/services/{name}/delete", remove_service),
]
PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    *(Page("POST", path, _page_after(action), Access.ADMINISTER, stale=show) for path, action in _ACTIONS),
]
