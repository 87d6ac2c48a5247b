"""One module: its values, history, commands, settings, and what those who manage may do with it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway.core.core import Core
from gateway.core.rights import may_act
from gateway.core.values import Module
from web import localtime, wording
from web.access import Access
from web.commandforms import command_forms
from web.language import gettext as _
from web.modulecommands import commands_view
from web.moduleedit import edit_view
from web.modulefirmware import FirmwareCard, firmware_card
from web.modulenews import log_view, stays_view, timeline_view
from web.modulerights import module_rights
from web.modulesettings import Settings, settings_view
from web.modulevalues import Values, values_view
from web.ownerview import owner_view
from web.pages.table import Page
from web.plotview import plot_view
from web.views import ModuleView, module_type, view_of
from web.visit import Visit

_TROUBLE = frozenset({"failed", "rolled_back"})


def asked_module(visit: Visit) -> Module:
    """The module of the path; for those who may not see it, it does not exist."""
    return visit.site.core.registry.visible(visit.request.path_params["id"], visit.person)


async def show(visit: Visit) -> Response:
    core = visit.site.core
    module = asked_module(visit)
    kind = module_type(core, module.type)
    # What is read from the database waits for one commit together.
    plot, card, commands, timeline, stays, log = await asyncio.gather(
        plot_view(visit, module, kind),
        firmware_card(visit, module),
        commands_view(core, module, kind, visit.query("older")),
        timeline_view(visit, module),
        stays_view(visit, module),
        log_view(visit, module),
    )
    view, values, settings = view_of(core, module), values_view(core, module), settings_view(core, module)
    return await visit.long_page(
        "module.html",
        view=view,
        values=values,
        plot=plot,
        commands=commands,
        command_forms=command_forms(kind),
        settings=settings,
        owner=owner_view(visit, module),
        edit=edit_view(visit, module),
        facts=_facts(core, module),
        card=card,
        zone=localtime.zone_name() or core.settings.time_zone,
        timeline=timeline,
        stays=stays,
        log=log,
        transports=transports(core, module),
        rights=module_rights(module, core.settings.topic_root),
        attention=attention(view, values, settings, card),
        acts=may_act(visit.person),
    )


@dataclass(frozen=True, slots=True)
class Concern:
    """Something a technician looks at first; `part` is where on the page it is dealt with."""

    text: str
    part: str


def attention(view: ModuleView, values: Values, settings: Settings, card: FirmwareCard) -> list[Concern]:
    found = []
    if view.life == "approved" and view.unstable:
        found.append(Concern(_("It keeps coming and going."), "presence"))
    if values.clock_faults:
        found.append(Concern(_("Its clock is wrong; the gateway's time is used instead."), "values"))
    if values.old and view.status in ("online", "sleeping"):
        found.append(Concern(_("Some of its values are old."), "values"))
    if settings.refused:
        found.append(Concern(_("It did not take all of its settings."), "settings"))
    if card.job is not None and card.job.state in _TROUBLE and card.assigned:
        found.append(Concern(_("Its last update did not work."), "firmware"))
    return found


_TRANSPORTS = {"mqtt": "MQTT", "socketio": "Socket.IO", "node": "Socket.IO", "esp32": "WebSocket"}


def transports(core: Core, module: Module) -> list[str]:
    """Over what it is connected, each once, as people call it."""
    names = [session.split(" ")[0] for session in core.presence.of(module.id).sessions]
    return sorted({_TRANSPORTS.get(name, name) for name in names})


def _facts(core: Core, module: Module) -> list[tuple[str, Any]]:
    rows = [
        (_("Its number"), module.number),
        (_("UUID"), module.uuid),
        (_("Hardware"), module.hardware or _("not said")),
        (_("Firmware"), _firmware(module)),
        (_("Address"), module.address or _("unknown")),
        (_("Asked"), wording.clock(module.created_at_ms)),
    ]
    if module.decided_at_ms is not None:
        verb = _("Rejected") if module.life == "rejected" else _("Approved")
        when = wording.clock(module.decided_at_ms)
        rows.append((verb, _("%(time)s by %(name)s", time=when, name=module.decided_by)))
    return rows


def _firmware(module: Module) -> str:
    """What it runs, and its own word where that is something else."""
    said = module.reported_firmware
    if not said or said == module.firmware:
        return module.firmware or _("not said")
    if not module.firmware:
        return _("says it runs %(said)s, which is not in the catalogue", said=said)
    known = module.firmware
    return _("%(known)s; says it runs %(said)s, which is not in the catalogue", known=known, said=said)


PAGES = [Page("GET", "/modules/{id}", show, Access.PERSON)]
