"""One module: its values, history, commands, and what those who manage may do with it."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.core.core import Core
from gateway.core.types import ModuleType
from gateway.core.values import Command, Module
from web import wording
from web.access import Access
from web.commandforms import command_forms, command_label
from web.modulefirmware import firmware_card
from web.ownerview import owner_view
from web.pages.table import Page
from web.plotview import plot_view
from web.views import module_type, view_of
from web.visit import Visit

SHOWN_COMMANDS = 20


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    at: str


@dataclass(frozen=True, slots=True)
class CommandView:
    id: str
    label: str
    params: str
    status: str
    error: str
    result: str
    by: str
    created_at_ms: int
    cancelable: bool
    steps: tuple[Step, ...]


def command_view(kind: ModuleType, command: Command) -> CommandView:
    return CommandView(
        id=command.id,
        label=command_label(kind, command.name),
        params=wording.plain(command.params),
        status=command.status,
        error=command.error or "",
        result="" if command.result is None else wording.shown(command.result),
        by=command.by,
        created_at_ms=command.created_at_ms,
        cancelable=not command.ended,
        steps=tuple(Step(name, wording.clock(at_ms)) for name, at_ms in command.history),
    )


def asked_module(visit: Visit) -> Module:
    """The module of the path; for those who may not see it, it does not exist."""
    return visit.site.core.registry.visible(visit.request.path_params["id"], visit.person)


async def show(visit: Visit) -> Response:
    core = visit.site.core
    module = asked_module(visit)
    kind = module_type(core, module.type)
    return visit.page(
        "module.html",
        view=view_of(core, module),
        plot=await plot_view(core, module, kind, visit.query("key"), visit.query("range")),
        commands=[command_view(kind, each) for each in core.commands.of(module.id)[:SHOWN_COMMANDS]],
        command_forms=command_forms(kind),
        owner=owner_view(visit, module),
        facts=_facts(core, module),
        card=await firmware_card(visit, module),
        zone=core.settings.time_zone,
    )


def _facts(core: Core, module: Module) -> list[tuple[str, Any]]:
    rows = [
        ("Number", module.number),
        ("UUID", module.uuid),
        ("Hardware", module.hardware or "not said"),
        ("Firmware", _firmware(module)),
        ("Address", module.address or "unknown"),
        ("Asked", wording.clock(module.created_at_ms)),
    ]
    if module.decided_at_ms is not None:
        verb = "Rejected" if module.life == "rejected" else "Approved"
        rows.append((verb, f"{wording.clock(module.decided_at_ms)} by {module.decided_by}"))
    if aside := core.telemetry.set_aside[module.id]:
        rows.append(("Set aside", f"{aside} readings that do not fit the type, since the start"))
    return rows


def _firmware(module: Module) -> str:
    """What it runs, and its own word where that is something else."""
    said = module.reported_firmware
    if not said or said == module.firmware:
        return module.firmware or "not said"
    word = f"says it runs {said}, which is not in the catalogue"
    return f"{module.firmware}; {word}" if module.firmware else word


PAGES = [Page("GET", "/modules/{id}", show, Access.PERSON)]
