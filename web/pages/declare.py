"""A device that is entered before it ever spoke: it may join with its key, and gets its firmware then."""

from dataclasses import replace

from starlette.responses import Response

from firmware.values import Image
from gateway.core.errors import Conflict, GatewayError, Invalid
from gateway.core.values import Module
from web.access import Access
from web.language import gettext as _
from web.language import later
from web.notices import Notice
from web.pages.assign import chosen_number
from web.pages.table import Page
from web.pages.waiting import show
from web.visit import Visit

KEY_HINT = later(
    "Copy it now: it is shown this once and kept only as a digest. "
    "The device registers with its serial and this key, and then gets its own token."
)


async def declare(visit: Visit) -> Response:
    core, firmware = visit.site.core, visit.site.firmware
    try:
        entry = _entry(visit)
        image = firmware.images.get(chosen_number(visit)) if visit.text("image") else None
        # Before there is a device: its key is shown once only.
        if image is not None:
            _check_fits(visit, image, int(entry["type_id"]))
        module, key = await core.devices.create(entry, visit.person)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    said = _("%(id)s may join. Its shared key:", id=module.id)
    if image is not None:
        said = await _assigned(visit, module, image)
    link, label = f"/modules/{module.id}", _("Show %(name)s", name=module.id)
    notice = Notice(said, "warn", key, _("Shared key"), _(KEY_HINT), link, label)
    return visit.go("/waiting", notice)


def _entry(visit: Visit) -> dict[str, str]:
    if not visit.text("type").isdecimal():
        raise Invalid("Choose the type of the device.")
    fields = {"serial_number": "serial", "type_id": "type", "name": "name", "group_id": "group"}
    fields["description"] = "description"
    return {field: text for field, name in fields.items() if (text := visit.text(name))}


def _check_fits(visit: Visit, image: Image, type: int) -> None:
    draft = Module(
        id=visit.text("serial")[:64], number=0, uuid="", name="", location="", type=type, life="approved",
        created_at_ms=0,
    )  # fmt: skip
    if reasons := visit.site.firmware.assignments.obstacles(draft, image):
        raise Conflict(" ".join(reasons))


async def _assigned(visit: Visit, module: Module, image: Image) -> str:
    """It is there already, so a refusal in this very moment is told beside its key."""
    try:
        await visit.site.firmware.assignments.assign(module.id, image.id, visit.person)
    except GatewayError as error:
        return _(
            "%(id)s may join, but was assigned no firmware. %(why)s Its shared key:",
            id=module.id, why=error.message,
        )  # fmt: skip
    return _("%(id)s may join and gets %(image)s then. Its shared key:", id=module.id, image=image.serial)


PAGES = [Page("POST", "/waiting/declare", declare, Access.MANAGE, stale=show)]
