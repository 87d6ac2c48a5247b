"""The waiting room: newcomers, modules that come back without their token, and who was rejected."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.core.core import Core
from gateway.core.decisions import Outcome
from gateway.core.errors import Conflict, GatewayError, Invalid
from web.access import Access
from web.joinview import join_types, join_view
from web.notices import Notice
from web.ownerview import claim_view
from web.pages.table import Page
from web.views import ModuleView, module_type, view_of
from web.visit import Visit

MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Item:
    """Somebody who waits. `number` and `module` are of a re-enrolment: its own, and the module it claims."""

    id: str
    name: str
    location: str
    type_name: str
    hardware: str
    firmware: str
    address: str
    created_at_ms: int
    expires_at_ms: int
    number: int = 0
    module: ModuleView | None = None

    @property
    def claim(self) -> bool:
        return self.module is not None


def newcomers(core: Core) -> list[Item]:
    pending = (module for module in core.registry.all() if module.life == "pending")
    return sorted(
        (
            Item(
                module.id, module.name, module.location, module_type(core, module.type).name,
                module.hardware, module.reported_firmware, module.address, module.created_at_ms,
                module.expires_at_ms or module.created_at_ms,
            )
            for module in pending
        ),
        key=lambda item: item.created_at_ms,
    )  # fmt: skip


def claims(core: Core) -> list[Item]:
    return [
        Item(
            claim.module_id, str(claim.information.get("name", ""))[:MAX_NAME],
            str(claim.information.get("location", ""))[:MAX_NAME], "", claim.hardware, claim.firmware,
            claim.address, claim.created_at_ms, claim.expires_at_ms, claim.number,
            view_of(core, core.registry.get(claim.module_id)),
        )
        for claim in core.registry.claims()
    ]  # fmt: skip


def waiting_items(core: Core) -> list[Item]:
    """All who wait, the oldest first."""
    known = [replace(item, type_name=item.module.type_name) for item in claims(core) if item.module]
    return sorted([*newcomers(core), *known], key=lambda item: item.created_at_ms)


async def show(visit: Visit) -> Response:
    core = visit.site.core
    rejected = [module for module in core.registry.all() if module.life == "rejected"]
    return visit.page(
        "waiting.html",
        newcomers=newcomers(core),
        claims=claims(core),
        rejected=sorted(rejected, key=lambda module: -(module.decided_at_ms or 0)),
        picked=set(visit.texts("id")),
        join=join_view(core),
        join_types=join_types(core),
        types=[(kind.code, kind.name) for kind in core.types.all()],
        images=_images(visit),
    )


def _images(visit: Visit) -> list[tuple[str, str]]:
    """What a device that is entered here may get when it joins."""
    firmware = visit.site.firmware
    usable = [image for image in firmware.images.all() if not firmware.images.damaged(image)]
    words = [
        (str(image.id), f"{image.serial} · {image.version} · {module_type(visit.site.core, image.type).name}")
        for image in usable
    ]
    return [("", "None"), *words]


async def decide(visit: Visit) -> Response:
    """Approve or reject one or many; what could not be done is said beside what was."""
    ids = visit.texts("id")
    decisions = visit.site.core.decisions
    try:
        if not ids:
            raise Invalid("Choose at least one device first.")
        if visit.text("decision") == "approve":
            outcomes = await decisions.approve(ids, visit.person)
        elif visit.text("decision") == "reject":
            outcomes = await decisions.reject(ids, visit.person, visit.text("reason"))
        else:
            raise Invalid("Choose to approve or to reject.")
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return await _said(visit, outcomes)


async def _said(visit: Visit, outcomes: list[Outcome]) -> Response:
    done = [outcome.id for outcome in outcomes if outcome.error is None]
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not done:
        first = failed[0] if len(failed) == 1 else Conflict(" ".join(error.message for error in failed))
        return await show(replace(visit, refused=first))
    verb = "Approved" if visit.text("decision") == "approve" else "Rejected"
    what = ", ".join(done) if len(done) <= 3 else f"{len(done)} devices"
    said = " ".join([f"{verb} {what}.", *(error.message for error in failed)])
    notice = Notice(said, "warn" if failed else "good")
    return visit.go("/waiting", _with_codes(visit, notice, done) if verb == "Approved" else notice)


def _with_codes(visit: Visit, notice: Notice, ids: list[str]) -> Notice:
    """Approving gives a module its claim code: that of one is told, those of several are printed."""
    modules = [module for id in ids if (module := visit.site.core.registry.known(id)) is not None]
    codes = {module.id: claim.code for module in modules if (claim := claim_view(visit, module))}
    if not codes:
        return notice
    if len(codes) == 1:
        [(id, code)] = codes.items()
        whose = "Its claim code" if len(ids) == 1 else f"The claim code of {id}"
        text = f"{notice.text} {whose} is {code}."
        return replace(notice, text=text, link=f"/modules/{id}#owner", link_label="Show its QR code")
    link = "/modules/labels?" + urlencode({"ids": ",".join(codes)}, safe=",")
    return replace(notice, link=link, link_label="Print labels with their claim codes")


async def decide_claim(visit: Visit) -> Response:
    number = visit.request.path_params["number"]
    decisions = visit.site.core.decisions
    try:
        if visit.text("decision") == "approve":
            module = await decisions.approve_claim(number, visit.person)
            said = f"{module.id} has its place back, with its name and history. The old token is dead."
        elif visit.text("decision") == "reject":
            await decisions.reject_claim(number, visit.person)
            said = "The re-enrolment was rejected; the module is untouched."
        else:
            raise Invalid("Choose to approve or to reject.")
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go("/waiting", Notice(said))


async def unreject(visit: Visit) -> Response:
    id = visit.request.path_params["id"]
    try:
        await visit.site.core.decisions.unreject(id, visit.person)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return visit.go("/waiting", Notice(f"{id} may ask again."))


PAGES = [
    Page("GET", "/waiting", show, Access.MANAGE),
    Page("POST", "/waiting/decide", decide, Access.MANAGE, stale=show),
    Page("POST", "/waiting/claims/{number:int}", decide_claim, Access.MANAGE, stale=show),
    Page("POST", "/modules/{id}/unreject", unreject, Access.MANAGE, stale=show),
]
