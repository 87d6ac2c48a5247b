"""The waiting room: newcomers, modules that come back without their token, and who was rejected."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.responses import Response

from gateway.core.core import Core
from gateway.core.decisions import Outcome
from gateway.core.errors import Conflict, GatewayError, Invalid
from gateway.core.rights import Principal, may_see
from web.access import Access
from web.joinview import join_types, join_view
from web.language import gettext as _
from web.language import ngettext, told
from web.notices import Notice
from web.ownerview import claim_view
from web.pages.table import Page
from web.views import ModuleView, seen_by, type_name, view_of
from web.visit import Visit

MAX_NAME = 100
MAX_NAMED = 3


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
    locked: bool = False

    @property
    def claim(self) -> bool:
        return self.module is not None


def newcomers(core: Core, visitor: Principal) -> list[Item]:
    pending = (module for module in seen_by(core, visitor) if module.life == "pending")
    return sorted(
        (
            Item(
                module.id, module.name, module.location, type_name(core, module.type),
                module.hardware, module.reported_firmware, module.address, module.created_at_ms,
                module.expires_at_ms or module.created_at_ms,
                locked=_locked(core, core.registry.digests(module).token),
            )
            for module in pending
        ),
        key=lambda item: item.created_at_ms,
    )  # fmt: skip


def claims(core: Core, visitor: Principal) -> list[Item]:
    waiting = ((claim, core.registry.get(claim.module_id)) for claim in core.registry.claims())
    return [
        Item(
            claim.module_id, str(claim.information.get("name", ""))[:MAX_NAME],
            str(claim.information.get("location", ""))[:MAX_NAME], "", claim.hardware, claim.firmware,
            claim.address, claim.created_at_ms, claim.expires_at_ms, claim.number,
            view_of(core, module),
            _locked(core, core.registry.claim_digest(claim.number)),
        )
        for claim, module in waiting
        if may_see(visitor, module.owner_id, module.group)
    ]  # fmt: skip


def _locked(core: Core, token_digest: str) -> bool:
    """Whether too many wrong codes were typed for it."""
    return core.decisions.proofs.required and core.decisions.proofs.locked(token_digest)


def waiting_items(core: Core, visitor: Principal) -> list[Item]:
    """All who wait for this visitor's decision, the oldest first."""
    known = [replace(item, type_name=item.module.type_name) for item in claims(core, visitor) if item.module]
    return sorted([*newcomers(core, visitor), *known], key=lambda item: item.created_at_ms)


async def show(visit: Visit) -> Response:
    core = visit.site.core
    rejected = [module for module in seen_by(core, visit.person) if module.life == "rejected"]
    return visit.page(
        "waiting.html",
        newcomers=newcomers(core, visit.person),
        claims=claims(core, visit.person),
        rejected=sorted(rejected, key=lambda module: -(module.decided_at_ms or 0)),
        picked=set(visit.texts("id")),
        join=join_view(core),
        join_types=join_types(core),
        proof=core.decisions.proofs.required,
        types=[(kind.code, _(kind.name)) for kind in core.types.all()],
        images=_images(visit),
    )


def _images(visit: Visit) -> list[tuple[str, str]]:
    """What a device that is entered here may get when it joins."""
    firmware = visit.site.firmware
    usable = [image for image in firmware.images.all() if not firmware.images.damaged(image)]
    words = [
        (str(image.id), f"{image.serial} · {image.version} · {type_name(visit.site.core, image.type)}")
        for image in usable
    ]
    return [("", _("None")), *words]


async def decide(visit: Visit) -> Response:
    """Approve or reject one or many; what could not be done is said beside what was."""
    ids = visit.texts("id")
    try:
        if not ids:
            raise Invalid("Choose at least one device first.")
        outcomes = await _decided(visit, ids)
    except GatewayError as error:
        return await show(replace(visit, refused=error))
    return await _said(visit, outcomes)


async def _decided(visit: Visit, ids: list[str]) -> list[Outcome]:
    decisions = visit.site.core.decisions
    match visit.text("decision"):
        case "approve":
            return await decisions.approve(ids, visit.person, visit.text("code"))
        case "reject":
            return await decisions.reject(ids, visit.person, visit.text("reason"))
        case "unlock":
            for id in ids:
                await decisions.unlock(id, visit.person)
            return [Outcome(id) for id in ids]
    raise Invalid("Choose to approve or to reject.")


async def _said(visit: Visit, outcomes: list[Outcome]) -> Response:
    done = [outcome.id for outcome in outcomes if outcome.error is None]
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not done:
        first = failed[0] if len(failed) == 1 else Conflict(" ".join(_sentences(failed)))
        return await show(replace(visit, refused=first))
    said = " ".join([_words(visit.text("decision"), done), *_sentences(failed)])
    notice = Notice(said, "warn" if failed else "good")
    approved = visit.text("decision") == "approve"
    return visit.go("/waiting", _with_codes(visit, notice, done) if approved else notice)


def _sentences(errors: list[GatewayError]) -> list[str]:
    return [str(told(error.message)) for error in errors]


def _words(decision: str, ids: list[str]) -> str:
    what = ", ".join(ids)
    if len(ids) > MAX_NAMED:
        what = ngettext("%(num)s device", "%(num)s devices", len(ids))
    said = {"approve": _("Approved %(what)s.", what=what), "reject": _("Rejected %(what)s.", what=what)}
    return said.get(decision) or _("Unlocked %(what)s.", what=what)


def _with_codes(visit: Visit, notice: Notice, ids: list[str]) -> Notice:
    """Approving gives a module its claim code: that of one is told, those of several are printed."""
    modules = [module for id in ids if (module := visit.site.core.registry.known(id)) is not None]
    codes = {module.id: claim.code for module in modules if (claim := claim_view(visit, module))}
    if not codes:
        return notice
    if len(codes) == 1:
        [(id, code)] = codes.items()
        if len(ids) == 1:
            said = _("Its claim code is %(code)s.", code=code)
        else:
            said = _("The claim code of %(id)s is %(code)s.", id=id, code=code)
        text = f"{notice.text} {said}"
        return replace(notice, text=text, link=f"/modules/{id}#owner", link_label=_("Show its QR code"))
    link = "/modules/labels?" + urlencode({"ids": ",".join(codes)}, safe=",")
    return replace(notice, link=link, link_label=_("Print labels with their claim codes"))


async def decide_claim(visit: Visit) -> Response:
    number = visit.request.path_params["number"]
    decisions = visit.site.core.decisions
    try:
        if visit.text("decision") == "approve":
            module = await decisions.approve_claim(number, visit.person, visit.text("code"))
            said = _(
                "%(id)s has its place back, with its name and history. The old token is dead.", id=module.id
            )
        elif visit.text("decision") == "reject":
            await decisions.reject_claim(number, visit.person)
            said = _("The re-enrolment was rejected; the module is untouched.")
        elif visit.text("decision") == "unlock":
            id = visit.site.core.registry.claim(number).module_id
            await decisions.unlock(id, visit.person, number)
            said = _("Unlocked %(what)s.", what=id)
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
    return visit.go("/waiting", Notice(_("%(id)s may ask again.", id=id)))


PAGES = [
    Page("GET", "/waiting", show, Access.MANAGE),
    Page("POST", "/waiting/decide", decide, Access.MANAGE, stale=show),
    Page("POST", "/waiting/claims/{number:int}", decide_claim, Access.MANAGE, stale=show),
    Page("POST", "/modules/{id}/unreject", unreject, Access.MANAGE, stale=show),
]
