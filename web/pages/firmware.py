"""The catalogue of images, updates under way, whose signatures count."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from firmware.facts import Facts
from firmware.images import MAX_BYTES
from gateway.core.errors import GatewayError, Invalid, TooLarge
from web import updatewords, wording
from web.access import Access
from web.firmwareview import MAX_LISTED, ImageViews
from web.jobview import job_views, open_jobs, troubled
from web.language import gettext as _
from web.notices import Notice
from web.pages.table import Handler, Page
from web.rolloutview import rollout_views
from web.upload import receive_image
from web.views import seen_by
from web.visit import Visit

SHOWN_JOBS = 100
SHOWN_ROLLOUTS = 5
FIELDS = ("serial", "version", "type", "notes", "hardware", "min_version", "signature")
# Which field of the form a refusal is about, by the words it is made of; the first that fits.
_ABOUT = (
    ("the minimum version", "min_version"), ("hardware name", "hardware"), ("kinds of hardware", "hardware"),
    ("the notes", "notes"), ("signature", "signature"), ("module type", "type"), ("the version", "version"),
    ("the serial", "serial"), ("there is a firmware", "serial"), ("", "file"),
)  # fmt: skip
Action = Callable[[Visit], Awaitable[Notice]]


async def show(visit: Visit) -> Response:
    core, firmware = visit.site.core, visit.site.firmware
    jobs = open_jobs(visit)
    signing = firmware.signing
    return await visit.long_page(
        "firmware.html",
        images=ImageViews(firmware).newest(MAX_LISTED),
        images_total=len(firmware.images.all()),
        jobs=job_views(firmware, jobs, SHOWN_JOBS),
        jobs_total=len(jobs),
        troubled=troubled(firmware, seen_by(core, visit.person), SHOWN_JOBS),
        rollouts=rollout_views(firmware, visit.person, SHOWN_ROLLOUTS),
        types=[(kind.code, _(kind.name)) for kind in core.types.all()],
        policy=signing.policy,
        public_key=signing.public_key,
        keys=sorted(signing.keys.items()),
        wrong=_wrong(visit),
        max_bytes=MAX_BYTES,
        max_text=wording.measured(MAX_BYTES // 1024**2, "MB"),
    )


def _wrong(visit: Visit) -> str:
    """The field beside which the refusal of an upload is said."""
    if visit.refused is None or visit.path != "/firmware":
        return ""
    said = visit.refused.message.lower()
    return next(field for words, field in _ABOUT if words in said)


async def upload(visit: Visit) -> Response:
    """The file is read as it comes; what is not taken leaves no trace but the words in the form."""
    fields: dict[str, str] = {}
    try:
        async with receive_image(visit, FIELDS) as (fields, received):
            image = await visit.site.firmware.images.add(received, _facts(fields), visit.person)
    except GatewayError as error:
        return await show(replace(visit, refused=error, form=FormData(fields)))
    except HTTPException as error:
        refused = TooLarge(error.detail) if error.status_code == 413 else Invalid(error.detail)
        return await show(replace(visit, refused=refused, form=FormData(fields)))
    said = _(
        "%(serial)s is in the catalogue: %(size)s, SHA-256 %(digest)s.",
        serial=image.serial, size=updatewords.size(image.size), digest=image.digest,
    )  # fmt: skip
    notice = Notice(said, link=f"/firmware/{image.id}", link_label=_("Assign it to modules"))
    return visit.go("/firmware", notice)


def _facts(fields: dict[str, str]) -> Facts:
    number = fields.get("type", "")
    if not number.isdecimal() or len(number) > 9:
        raise Invalid("Choose the module type it is for.")
    texts = {name: fields.get(name, "").strip() for name in FIELDS if name not in ("type", "hardware")}
    names = (name.strip() for name in fields.get("hardware", "").split(","))
    return Facts(type=int(number), hardware=tuple(name for name in names if name), **texts)


async def set_policy(visit: Visit) -> Notice:
    require = {"yes": True, "no": False}.get(visit.text("require_vendor"))
    if require is None:
        raise Invalid("Choose whether a vendor's signature is required.")
    if require:
        check_confirmed(visit)
    await visit.site.firmware.signing.set_policy(require, visit.person)
    if require:
        return Notice(_("Images need a vendor's signature now."))
    return Notice(_("Images need no vendor's signature now."))


async def add_key(visit: Visit) -> Notice:
    name = visit.text("name")
    await visit.site.firmware.signing.add_key(name, visit.text("public_key"), visit.person)
    return Notice(_("Images that %(name)s has signed are trusted now.", name=name))


async def remove_key(visit: Visit) -> Notice:
    check_confirmed(visit)
    name = visit.request.path_params["name"]
    await visit.site.firmware.signing.remove_key(name, visit.person)
    return Notice(_("%(name)s is trusted no longer.", name=name))


def check_confirmed(visit: Visit) -> None:
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")


def _page_after(action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go("/firmware", notice)

    return handler


_ACTIONS: list[tuple[str, Action]] = [
    ("/firmware/policy", set_policy),
    ("/firmware/keys", add_key),
    ("/firmware/keys/{name}/delete", remove_key),
]
PAGES = [
    Page("GET", "/firmware", show, Access.MANAGE),
    Page("POST", "/firmware", upload, Access.MANAGE, stale=show, streamed=True),
    *(Page("POST", path, _page_after(action), Access.ADMINISTER, stale=show) for path, action in _ACTIONS),
]
