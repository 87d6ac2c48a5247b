"""Claiming a module with its code, and the labels on which staff hand the codes out."""

from dataclasses import dataclass, replace

from starlette.responses import Response

from gateway.core.errors import GatewayError
from gateway.core.ownership import plain, spaced
from gateway.core.rights import may_see
from gateway.core.values import Module
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.ownerview import ClaimView, claim_view, claimable
from web.pages.table import Page
from web.views import in_order, module_type, seen_by
from web.visit import Visit

MAX_LABELS = 200


@dataclass(frozen=True, slots=True)
class Label:
    id: str
    name: str
    location: str
    type_name: str
    claim: ClaimView


async def show(visit: Visit) -> Response:
    code = plain(visit.query("code"))
    return visit.page("claim.html", code=spaced(code) if len(code) == 8 else code)


async def claim(visit: Visit) -> Response:
    ownership = visit.site.core.ownership
    try:
        module = await ownership.claim(visit.text("code"), visit.person, visit.address)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    said = _("%(name)s is yours now.", name=module.name or module.id)
    return visit.go(f"/modules/{module.id}", Notice(said))


async def labels(visit: Visit) -> Response:
    """A code and its QR for each module of `ids`, or for all that wait for an owner, to be printed."""
    asked, wanted = _wanted(visit)
    # A code is made for those that are printed only: there may be thousands.
    free = [module for module in wanted if claimable(visit, module)]
    made = [label for module in free[:MAX_LABELS] if (label := _label(visit, module)) is not None]
    return await visit.long_page(
        "labels.html",
        labels=made,
        more=max(0, len(free) - MAX_LABELS),
        without=asked - len(free) if asked else 0,
    )


def _wanted(visit: Visit) -> tuple[int, list[Module]]:
    """How many were asked for by id (0: all), and those that are known."""
    core = visit.site.core
    listed = ",".join(visit.request.query_params.getlist("ids")).split(",")
    ids = list(dict.fromkeys(id.strip().lower() for id in listed if id.strip()))
    if not ids:
        return 0, in_order(module for module in seen_by(core, visit.person) if claimable(visit, module))
    known = (module for id in ids if (module := core.registry.known(id)) is not None)
    return len(ids), [m for m in known if may_see(visit.person, m.owner_id, m.group)]


def _label(visit: Visit, module: Module) -> Label | None:
    code = claim_view(visit, module)
    if code is None:
        return None
    kind = module_type(visit.site.core, module.type)
    return Label(module.id, module.name, module.location, _(kind.name), code)


PAGES = [
    Page("GET", "/claim", show, Access.PERSON),
    Page("POST", "/claim", claim, Access.CHANGE, stale=show),
    Page("GET", "/modules/labels", labels, Access.MANAGE),
]
