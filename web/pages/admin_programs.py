"""Programs that came by themselves, and the keys that let devices in without approval, for admins."""

from starlette.responses import Response

from gateway.core.errors import Invalid
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.acting import forms
from web.pages.table import Page
from web.visit import Visit

PATH = "/admin/programs"


async def show(visit: Visit) -> Response:
    core = visit.site.core
    return visit.page(
        "admin_programs.html",
        owners={user.id: user.username for user in core.accounts.people.all()},
        clients=core.clients.all(),
        bootstrap=[(core.types.get(code), since) for code, since in core.bootstrap.allowed().items()],
        bootstrap_types=[(known.code, _(known.name)) for known in core.types.all()],
    )


async def remove_client(visit: Visit) -> Notice:
    number = visit.request.path_params["number"]
    await visit.site.core.clients.remove(number, visit.person)
    return Notice(_("Program %(number)s was removed; its session ends now.", number=number))


async def allow_bootstrap(visit: Visit) -> Notice:
    code = visit.text("type")
    if not (code.isascii() and code.isdecimal() and len(code) <= 9):
        raise Invalid("Choose a type from the list.")
    core = visit.site.core
    key = await core.bootstrap.allow(int(code), visit.person)
    name = core.types.get(int(code)).name
    return Notice(_("The bootstrap key of %(type)s:", type=name), "warn", key, _("Key"))


async def forbid_bootstrap(visit: Visit) -> Notice:
    code = visit.request.path_params["number"]
    await visit.site.core.bootstrap.forbid(code, visit.person)
    return Notice(_("The key lets nobody in any more. Who came in by it stays."))


PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    *forms(
        PATH,
        show,
        [
            ("/admin/bootstrap", allow_bootstrap),
            ("/admin/bootstrap/{number:int}/delete", forbid_bootstrap),
            ("/admin/clients/{number:int}/delete", remove_client),
        ],
    ),
]
