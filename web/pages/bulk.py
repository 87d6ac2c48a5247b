"""Many modules at once: one page that names what will happen to which, then what became of each."""

import asyncio
from dataclasses import replace

from starlette.responses import RedirectResponse, Response

from gateway.core.errors import GatewayError, Invalid
from gateway.core.values import Module
from web.access import Access
from web.bulk import Plan, perform, plan_of
from web.language import gettext as _
from web.language import told
from web.listing import listed, listing_of
from web.notices import Notice
from web.pages import modules as list_page
from web.pages.login import own_path
from web.pages.table import Page
from web.shelf import Result
from web.visit import Visit

MAX_CHOSEN = 10_000
MAX_NAMED = 300
# So many at once, so that they share their commits.
TOGETHER = 50


async def ask(visit: Visit) -> Response:
    """The first sending of the form asks; with the tick it is done."""
    try:
        chosen, strangers = _chosen(visit)
        plan = plan_of(visit, chosen)
    except GatewayError as error:
        if visit.refused is None:
            visit = replace(visit, refused=error)
        return await list_page.show(visit)
    if visit.text("step") == "do" and visit.refused is None:
        return await _done(visit, plan, chosen, strangers)
    return await _confirmation(visit, plan, chosen, strangers)


async def _confirmation(visit: Visit, plan: Plan, chosen: list[Module], strangers: list[str]) -> Response:
    return await visit.long_page(
        "bulk.html",
        plan=plan,
        action=visit.text("action"),
        ids=",".join(module.id for module in chosen),
        strangers=strangers[:MAX_NAMED],
        most=MAX_NAMED,
        back=_back(visit),
        group=visit.text("group"),
    )


async def _done(visit: Visit, plan: Plan, chosen: list[Module], strangers: list[str]) -> Response:
    try:
        if plan.perform is None or not plan.does:
            raise Invalid("There is nothing to be done.")
        if visit.text("confirm") != "yes":
            raise Invalid("Tick the box to confirm; nothing was done.")
    except Invalid as refused:
        return await _confirmation(replace(visit, refused=refused), plan, chosen, strangers)
    result = await _results(visit, plan)
    key = visit.site.results.put(visit.session.id if visit.session else 0, result)
    return RedirectResponse(f"/modules/bulk?done={key}", 303)


async def _results(visit: Visit, plan: Plan) -> Result:
    done: list[tuple[str, str]] = []
    failed: list[tuple[str, str, str]] = []
    for start in range(0, len(plan.does), TOGETHER):
        part = plan.does[start : start + TOGETHER]
        errors = await asyncio.gather(*(perform(plan, module) for module in part))
        for module, error in zip(part, errors, strict=True):
            title = module.name or module.id
            if error is None:
                done.append((module.id, title))
            else:
                failed.append((module.id, title, str(told(error.message))))
    return Result(plan.title, done, failed, _back(visit))


async def show(visit: Visit) -> Response:
    """What became of each."""
    session_id = visit.session.id if visit.session else 0
    result = visit.site.results.get(session_id, visit.query("done"))
    if result is None:
        return visit.go("/modules", Notice(_("Choose modules in the list first."), "info"))
    return await visit.long_page("bulk_done.html", result=result, most=MAX_NAMED)


def _chosen(visit: Visit) -> tuple[list[Module], list[str]]:
    """The modules, and ids that the visitor sees no module of; raises Invalid for too few or many."""
    core = visit.site.core
    if visit.text("all") == "yes":
        wanted = {name: value for name, value in visit.form.items() if isinstance(value, str)}
        chosen, strangers = listed(core, visit.person, listing_of(wanted))[1], []
    else:
        ids = dict.fromkeys([*visit.texts("id"), *filter(None, visit.text("ids").split(","))])
        seen = {module.id: module for module in listed(core, visit.person, listing_of({}))[0]}
        chosen = [seen[id] for id in ids if id in seen]
        strangers = [id[:64] for id in ids if id not in seen]
    if not chosen:
        raise Invalid("Choose at least one module first.")
    if len(chosen) > MAX_CHOSEN:
        raise Invalid("These are %(count)s modules; at once go %(most)s.", count=len(chosen), most=MAX_CHOSEN)
    return chosen, strangers


def _back(visit: Visit) -> str:
    return own_path(visit.text("back") or "/modules")


PAGES = [
    Page("GET", "/modules/bulk", show, Access.MANAGE),
    Page("POST", "/modules/bulk", ask, Access.MANAGE, stale=ask),
]
