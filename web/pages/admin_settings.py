"""How the gateway behaves, chosen by admins; and what its environment decided."""

from starlette.responses import Response

from gateway.core.errors import NotFound
from web.access import Access
from web.choiceview import choice_groups, environment, in_form, typed_changes
from web.language import gettext as _
from web.notices import Notice
from web.pages.acting import forms
from web.pages.table import Page
from web.visit import Visit

PATH = "/admin/settings"


async def show(visit: Visit) -> Response:
    core = visit.site.core
    return visit.page(
        "admin_settings.html",
        groups=await choice_groups(core),
        sent=visit.text("group") if visit.refused else "",
        in_form=in_form,
        environment=list(environment(core.settings)),
    )


async def save(visit: Visit) -> Notice:
    """One group's form, or one choice back to its default."""
    core = visit.site.core
    if name := visit.text("reset"):
        declared = {choice.name: choice for choice in core.choices.declared()}
        if name not in declared:
            raise NotFound("There is no setting %(name)s.", name=name[:64])
        await core.choices.set({name: declared[name].default}, visit.person)
        return Notice(_("%(name)s is as it came.", name=_(declared[name].label)))
    changes = typed_changes(core, visit.text("group"), visit.form)
    await core.choices.set(changes, visit.person)
    return Notice(_("Saved.") if changes else _("Nothing was changed."))


PAGES = [Page("GET", PATH, show, Access.ADMINISTER), *forms(PATH, show, [(PATH, save)])]
