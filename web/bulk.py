"""What can be done to many modules at once: what it needs, what it will do, and to which."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from starlette.datastructures import FormData

from firmware.values import Image
from gateway.core.errors import Conflict, GatewayError, Invalid
from gateway.core.types import ModuleType
from gateway.core.values import Module
from web.commandforms import CommandForm, command_forms, command_label, typed_params
from web.language import gettext as _
from web.language import later, ngettext, told
from web.views import module_type, seen_by, type_name
from web.visit import Visit

# Fields of a command's parameters, so that none is taken for a field of ours.
PARAM = "param."
MAX_GROUP = 200
Perform = Callable[[Module], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Skipped:
    module: Module
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen. Without `perform` something is still to be chosen: one of `options`.

    `asks` names the field for it; `does` and `skipped` are the modules it will and will not be done to.
    """

    title: str
    says: str
    does: list[Module]
    skipped: list[Skipped] = field(default_factory=list)
    perform: Perform | None = None
    asks: str = ""
    options: list[tuple[str, str]] = field(default_factory=list)
    chosen: str = ""
    form: CommandForm | None = None
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    code: str
    title: str
    plan: Callable[[Visit, list[Module]], Plan]


def plan_of(visit: Visit, modules: list[Module]) -> Plan:
    """Of the act that the form names; raises Invalid."""
    act = ACTS.get(visit.text("action"))
    if act is None:
        raise Invalid("Choose what to do with the modules.")
    return act.plan(visit, modules)


def _approving(visit: Visit, modules: list[Module]) -> Plan:
    core = visit.site.core
    if core.decisions.proofs.required:
        raise Conflict(
            "Each device is approved with the code that it shows, so one after another, in the waiting room."
        )
    waiting = {claim.module_id for claim in tuple(core.registry.claims())}
    does = [m for m in modules if m.life == "pending" or m.id in waiting]
    there = {m.id for m in does}
    rest = [Skipped(m, _("It does not wait for approval.")) for m in modules if m.id not in there]

    async def perform(module: Module) -> None:
        (outcome,) = await core.decisions.approve([module.id], visit.person)
        if outcome.error is not None:
            raise outcome.error

    title = ngettext("Approve %(num)s module", "Approve %(num)s modules", len(does))
    says = _("From then on they may send readings and take commands.")
    return Plan(title, says, does, rest, perform)


def _assigning(visit: Visit, modules: list[Module]) -> Plan:
    firmware = visit.site.firmware
    usable = [image for image in firmware.images.all() if not firmware.images.damaged(image)]
    by_id = {str(image.id): image for image in usable}
    chosen = by_id.get(visit.text("image"))
    if chosen is None:
        title = ngettext(
            "Assign firmware to %(num)s module", "Assign firmware to %(num)s modules", len(modules)
        )
        options = [(id, _image_words(visit, image)) for id, image in by_id.items()]
        return Plan(title, _("Choose the image."), modules, asks="image", options=options)
    return _assigning_image(visit, modules, chosen)


def _assigning_image(visit: Visit, modules: list[Module], image: Image) -> Plan:
    assignments = visit.site.firmware.assignments
    does, rest = [], []
    for module in modules:
        if module.life != "approved":
            rest.append(Skipped(module, _("It is not approved.")))
        elif reasons := assignments.obstacles(module, image):
            rest.append(Skipped(module, " ".join(str(told(reason)) for reason in reasons)))
        else:
            does.append(module)

    async def perform(module: Module) -> None:
        await assignments.assign(module.id, image.id, visit.person)

    title = ngettext(
        "Assign %(image)s to %(num)s module", "Assign %(image)s to %(num)s modules", len(does),
        image=image.serial,
    )  # fmt: skip
    says = _("Each gets version %(version)s as soon as it can, and restarts then.", version=image.version)
    return Plan(title, says, does, rest, perform, asks="image", chosen=str(image.id))


def _image_words(visit: Visit, image: Image) -> str:
    return f"{image.serial} · {image.version} · {type_name(visit.site.core, image.type)}"


def _commanding(visit: Visit, modules: list[Module]) -> Plan:
    """A command that every one of them knows."""
    kinds = {code: module_type(visit.site.core, code) for code in {module.type for module in modules}}
    common = [
        form for form in command_forms(next(iter(kinds.values()))) if _known_to_all(form.name, kinds)
    ]  # fmt: skip
    if not common:
        raise Conflict("There is no command that all of these modules know.")
    chosen = next((form for form in common if form.name == visit.text("command")), None)
    if chosen is None:
        title = ngettext(
            "Send a command to %(num)s module", "Send a command to %(num)s modules", len(modules)
        )
        options = [(form.name, form.label) for form in common]
        return Plan(title, _("Choose the command."), modules, asks="command", options=options)
    return _sending(visit, modules, kinds, chosen)


def _known_to_all(name: str, kinds: dict[int, ModuleType]) -> bool:
    return all(name in kind.commands for kind in kinds.values())


def _sending(visit: Visit, modules: list[Module], kinds: dict[int, ModuleType], form: CommandForm) -> Plan:
    does = [module for module in modules if module.life == "approved"]
    rest = [Skipped(module, _("It is not approved.")) for module in modules if module.life != "approved"]
    typed = [(name[len(PARAM) :], text) for name, text in visit.form.multi_items() if name.startswith(PARAM)]
    filled = replace(visit, form=FormData(typed))

    async def perform(module: Module) -> None:
        params = typed_params(filled, kinds[module.type], form.name)
        await visit.site.core.commands.send(module.id, form.name, params, visit.person)

    label = command_label(kinds[modules[0].type], form.name)
    title = ngettext(
        "Send %(command)s to %(num)s module", "Send %(command)s to %(num)s modules", len(does), command=label
    )
    says = _("Those that are not there get it when they come back, unless it has expired by then.")
    return Plan(title, says, does, rest, perform, asks="command", chosen=form.name, form=form)


def _grouping(visit: Visit, modules: list[Module]) -> Plan:
    core, group = visit.site.core, visit.text("group")
    known = sorted({module.group for module in seen_by(core, visit.person) if module.group})

    async def perform(module: Module) -> None:
        if len(group) > MAX_GROUP:
            raise Invalid("A group has at most %(most)s characters.", most=MAX_GROUP)
        await core.registry.edit(module.id, visit.person, group=group)

    title = ngettext("Set the group of %(num)s module", "Set the group of %(num)s modules", len(modules))
    says = _("What you type takes the place of the group they are in; nothing takes them out of it.")
    options = [(name, name) for name in known]
    return Plan(title, says, modules, [], perform, asks="group", options=options, chosen=group)


def _revoking(visit: Visit, modules: list[Module]) -> Plan:
    does = [module for module in modules if module.life == "approved"]
    rest = [Skipped(module, _("It is not approved.")) for module in modules if module.life != "approved"]

    async def perform(module: Module) -> None:
        await visit.site.core.registry.revoke(module.id, visit.person)

    title = ngettext("Revoke %(num)s module", "Revoke %(num)s modules", len(does))
    says = _(
        "Their sessions end within 2 seconds and their tokens are dead. Names and history stay; to come back,"
        " each must register again and be approved."
    )
    return Plan(title, says, does, rest, perform, danger=True)


async def perform(plan: Plan, module: Module) -> GatewayError | None:
    """Do it to one; what speaks against it is returned, so that it does not hold the others."""
    try:
        if plan.perform is not None:
            await plan.perform(module)
    except GatewayError as error:
        return error
    return None


ACTS = {
    act.code: act
    for act in (
        Act("approve", later("Approve"), _approving),
        Act("firmware", later("Assign firmware"), _assigning),
        Act("command", later("Send a command"), _commanding),
        Act("group", later("Set the group"), _grouping),
        Act("revoke", later("Revoke"), _revoking),
    )
}
