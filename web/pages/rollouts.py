"""Rollouts: planned, watched, halted, taken back."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from firmware.rollout_values import Rollout
from firmware.rollouts import Rollouts
from firmware.values import Image
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import Person
from web import wording
from web.access import Access
from web.firmwareview import ImageViews, candidates
from web.language import gettext as _
from web.language import later
from web.notices import Notice
from web.pages.firmware import check_confirmed
from web.pages.table import Handler, Page
from web.rolloutplan import typed_plan
from web.rolloutsteps import step_views
from web.rolloutview import member_views, plan_rows, rollout_view, rollout_views, wave_views
from web.views import seen_by
from web.visit import Visit

MAX_MEMBERS = 300
MAX_LISTED = 200
MAX_CHOICES = 500
Plain = Callable[[Rollouts, int, Person], Awaitable[Rollout]]
Step = Callable[[Visit, Rollouts, int], Awaitable[Rollout]]


async def show_all(visit: Visit) -> Response:
    return visit.page("rollouts.html", rollouts=rollout_views(visit.site.firmware, visit.person, MAX_LISTED))


async def show_new(visit: Visit) -> Response:
    """The form for one image; another choice asks for the page anew."""
    firmware = visit.site.firmware
    images = [image for image in firmware.images.all() if not firmware.images.damaged(image)]
    image = _chosen(visit, images)
    modules, total = candidates(visit, image, MAX_CHOICES) if image else ([], 0)
    return await visit.long_page(
        "rollout_new.html",
        images=images,
        image=ImageViews(firmware).view(image) if image else None,
        modules=modules,
        total=total,
        groups=_groups(visit, image),
        picked=set(visit.texts("id")),
        canaries=set(visit.texts("canary")),
        days=list(enumerate(wording.days())),
        chosen_days=set(visit.texts("day")) if visit.refused else set("0123456"),
        zone=firmware.core.settings.time_zone,
    )


def _chosen(visit: Visit, images: list[Image]) -> Image | None:
    wanted = visit.text("firmware") or visit.query("firmware")
    return next((image for image in images if str(image.id) == wanted), images[0] if images else None)


def _groups(visit: Visit, image: Image | None) -> list[tuple[str, str]]:
    modules = seen_by(visit.site.core, visit.person)
    names = {module.group for module in modules if image is not None and module.type == image.type}
    return [(name, name) for name in sorted(names - {""})]


async def create(visit: Visit) -> Response:
    firmware = visit.site.firmware
    try:
        image = firmware.images.get(_number(visit.text("firmware")))
        rollout = await firmware.rollouts.create(typed_plan(visit, image), visit.person)
    except GatewayError as error:
        return await show_new(replace(visit, refused=error))
    return visit.go(f"/rollouts/{rollout.id}", Notice(_("%(name)s has begun.", name=rollout.name)))


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Choose the image that is rolled out.")
    return int(text)


async def show(visit: Visit) -> Response:
    firmware, rollout = visit.site.firmware, asked_rollout(visit)
    return await visit.long_page(
        "rollout.html",
        rollout=rollout_view(firmware, rollout),
        waves=wave_views(firmware, rollout),
        members=member_views(firmware, rollout, MAX_MEMBERS),
        plan=plan_rows(rollout.plan, firmware.core.settings.time_zone),
        steps=step_views(firmware, rollout, admin=visit.administers),
    )


def asked_rollout(visit: Visit) -> Rollout:
    """Raises `NotFound`."""
    return visit.site.firmware.rollouts.get_to(visit.request.path_params["number"], visit.person)


def _page_after(step: Step, said: str) -> Handler:
    async def handler(visit: Visit) -> Response:
        rollout = asked_rollout(visit)
        try:
            check_confirmed(visit)
            await step(visit, visit.site.firmware.rollouts, rollout.id)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(f"/rollouts/{rollout.id}", Notice(_(said)))

    return handler


def _plain(step: Plain) -> Step:
    return lambda visit, rollouts, id: step(rollouts, id, visit.person)


async def _retry(visit: Visit, rollouts: Rollouts, id: int) -> Rollout:
    return await rollouts.retry(id, visit.person, override=visit.text("override") == "yes")


_STEPS: list[tuple[str, Step, str]] = [
    ("pause", _plain(Rollouts.pause), later("Paused: nothing more begins, what is under way goes on.")),
    ("resume", _plain(Rollouts.resume), later("It goes on.")),
    ("cancel", _plain(Rollouts.cancel), later("Cancelled: what was under way is called back.")),
    ("retry", _retry, later("Those that did not succeed are tried again.")),
    ("revert", _plain(Rollouts.revert), later("Every module that has it gets back what it ran before.")),
]
PAGES = [
    Page("GET", "/rollouts", show_all, Access.MANAGE),
    Page("GET", "/rollouts/new", show_new, Access.MANAGE),
    Page("POST", "/rollouts", create, Access.MANAGE, stale=show_new),
    Page("GET", "/rollouts/{number:int}", show, Access.MANAGE),
    *(
        Page("POST", f"/rollouts/{{number:int}}/{name}", _page_after(step, said), Access.MANAGE, stale=show)
        for name, step, said in _STEPS
    ),
]
