"""One image: what it is, which modules have it, and which should get it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from firmware.values import Image, Job
from gateway.core.errors import Conflict, GatewayError, Invalid
from web import localtime
from web.access import Access
from web.firmwareview import ImageViews, candidates, choices
from web.jobview import job_views, open_jobs
from web.language import gettext as _
from web.language import ngettext, told
from web.notices import Notice
from web.pages.firmware import check_confirmed
from web.pages.table import Handler, Page
from web.views import seen_by
from web.visit import Visit

MAX_CHOICES = 300
MAX_JOBS = 100
MAX_NAMED = 3
Action = Callable[[Visit, Image], Awaitable[tuple[str, Notice]]]


def asked_image(visit: Visit) -> Image:
    """Raises `NotFound`."""
    return visit.site.firmware.images.get(visit.request.path_params["number"])


async def show(visit: Visit) -> Response:
    firmware, image = visit.site.firmware, asked_image(visit)
    modules, total = candidates(visit, image, MAX_CHOICES, visit.query("q"))
    fitting, others = choices(firmware, ((image, module) for module in modules))
    jobs = [job for job in open_jobs(visit) if job.image_id == image.id]
    return await visit.long_page(
        "image.html",
        image=ImageViews(firmware).view(image),
        fitting=fitting,
        others=others,
        more=total - len(modules),
        jobs=job_views(firmware, jobs, MAX_JOBS),
        jobs_total=len(jobs),
        picked=set(visit.texts("id")),
        q=visit.query("q"),
        holders=_holders(visit, image),
        zone=localtime.zone_name() or firmware.core.settings.time_zone,
    )


def _holders(visit: Visit, image: Image) -> list[str]:
    """Modules because of which it cannot be deleted."""
    serial, seen = image.serial.lower(), seen_by(visit.site.core, visit.person)
    return [m.id for m in seen if serial in (m.firmware.lower(), m.assigned_firmware.lower())]


async def assign(visit: Visit, image: Image) -> tuple[str, Notice]:
    """To each that was chosen; what could not be done is said beside what was."""
    ids = list(dict.fromkeys(visit.texts("id")))
    if not ids:
        raise Invalid("Choose at least one module first.")
    # A time that is none is said once.
    _when(visit)
    done, there, failed = await _assign_all(visit, image, ids)
    if failed and not done and not there:
        raise Conflict(" ".join(failed))
    said = [_assigned(image, done)] if done else []
    said += [_run_already(there)] if there else []
    return f"/firmware/{image.id}", Notice(" ".join(said + failed), "warn" if failed else "good")


async def _assign_all(visit: Visit, image: Image, ids: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Ids that got it, ids that run it already, and sentences about the others."""
    done: list[str] = []
    there: list[str] = []
    failed: list[str] = []
    for id in ids:
        try:
            job = await assign_one(visit, image, id)
        except GatewayError as error:
            said = str(told(error.message))
            failed.append(said if id in said else f"{id[:64]}: {said}")
        else:
            (there if job is None else done).append(id)
    return done, there, failed


def _when(visit: Visit) -> int | None:
    return localtime.at_ms(visit.text("not_before"), visit.text("zone"))


async def assign_one(visit: Visit, image: Image, id: str) -> Job | None:
    """As the form says: when, and whether whatever speaks against it."""
    return await visit.site.firmware.assignments.assign(
        id,
        image.id,
        visit.person,
        not_before_ms=_when(visit),
        override=visit.text("override") == "yes",
    )


def _assigned(image: Image, ids: list[str]) -> str:
    if len(ids) <= MAX_NAMED:
        return _("%(serial)s is assigned to %(names)s.", serial=image.serial, names=", ".join(ids))
    return ngettext(
        "%(serial)s is assigned to %(num)s module.", "%(serial)s is assigned to %(num)s modules.", len(ids),
        serial=image.serial,
    )  # fmt: skip


def _run_already(ids: list[str]) -> str:
    if len(ids) <= MAX_NAMED:
        names = ", ".join(ids)
        return ngettext("%(names)s runs it already.", "%(names)s run it already.", len(ids), names=names)
    return ngettext("%(num)s module runs it already.", "%(num)s modules run it already.", len(ids))


async def delete(visit: Visit, image: Image) -> tuple[str, Notice]:
    check_confirmed(visit)
    await visit.site.firmware.images.remove(image.id, visit.person)
    return "/firmware", Notice(_("%(serial)s and its file were deleted.", serial=image.serial))


def _page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        image = asked_image(visit)
        try:
            path, notice = await action(visit, image)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(path, notice)

    return handler


PAGES = [
    Page("GET", "/firmware/{number:int}", show, Access.MANAGE),
    Page("POST", "/firmware/{number:int}/assign", _page_after(assign), Access.MANAGE, stale=show),
    Page("POST", "/firmware/{number:int}/delete", _page_after(delete), Access.MANAGE, stale=show),
]
