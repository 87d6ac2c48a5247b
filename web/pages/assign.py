"""What people do about one module's firmware: assign, take back, try again."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from firmware.values import Job
from gateway.core.errors import GatewayError, Invalid, NotFound
from gateway.core.values import Module
from web.access import Access
from web.language import gettext as _
from web.notices import Notice
from web.pages.firmware import check_confirmed
from web.pages.image import assign_one
from web.pages.login import own_path
from web.pages.module import asked_module, show
from web.pages.table import Handler, Page
from web.visit import Visit

Action = Callable[[Visit, Module], Awaitable[tuple[str, Notice]]]


def chosen_number(visit: Visit, field: str = "image") -> int:
    """The number of an image that was chosen; raises `Invalid`."""
    text = visit.text(field)
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Choose an image from the list.")
    return int(text)


async def assign(visit: Visit, module: Module) -> tuple[str, Notice]:
    image = visit.site.firmware.images.get(chosen_number(visit))
    job = await assign_one(visit, image, module.id)
    if job is None:
        said = _("%(id)s runs %(serial)s already.", id=module.id, serial=image.serial)
    else:
        said = _("%(serial)s is assigned.", serial=image.serial)
    return f"/modules/{module.id}", Notice(said)


async def cancel(visit: Visit, module: Module) -> tuple[str, Notice]:
    check_confirmed(visit)
    job = await _its_job(visit, module)
    await visit.site.firmware.assignments.cancel(job.id, visit.person)
    back = visit.text("back")
    path = own_path(back) if back else f"/modules/{module.id}"
    return path, Notice(
        _("The update of %(id)s was cancelled; it keeps what it runs.", id=module.id)
    )


async def retry(visit: Visit, module: Module) -> tuple[str, Notice]:
    job = await _its_job(visit, module)
    override = visit.text("override") == "yes"
    again = await visit.site.firmware.assignments.retry(job.id, visit.person, override=override)
    said = _("It runs that image already.") if again is None else _("It is tried again.")
    return f"/modules/{module.id}", Notice(said)


async def unassign(visit: Visit, module: Module) -> tuple[str, Notice]:
    await visit.site.firmware.assignments.unassign(module.id, visit.person)
    return f"/modules/{module.id}", Notice(_("Nothing is assigned to %(id)s any more.", id=module.id))


async def _its_job(visit: Visit, module: Module) -> Job:
    job = await visit.site.firmware.ledger.find(visit.text("job")[:64])
    if job.module_number != module.number:
        raise NotFound("%(id)s has no such update.", id=module.id)
    return job


def _page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        module = asked_module(visit)
        try:
            path, notice = await action(visit, module)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(path, notice)

    return handler


_ACTIONS: list[tuple[str, Action]] = [
    ("/modules/{id}/firmware", assign),
    ("/modules/{id}/firmware/cancel", cancel),
    ("/modules/{id}/firmware/retry", retry),
    ("/modules/{id}/firmware/unassign", unassign),
]
PAGES = [Page("POST", path, _page_after(action), Access.MANAGE, stale=show) for path, action in _ACTIONS]
