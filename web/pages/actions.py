"""What the forms on a module's page do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from gateway.core.ownership import spaced
from gateway.core.values import Command
from web.access import Access
from web.commandforms import command_label, typed_params
from web.language import gettext as _
from web.moduleedit import conflict, overtaken, owner_conflict, wanted
from web.modulenews import number
from web.modulesettings import value_of
from web.notices import Notice
from web.pages.module import asked_module, show
from web.pages.table import Handler, Page
from web.views import module_type
from web.visit import Visit

Action = Callable[[Visit], Awaitable[tuple[str, Notice]]]


def _page_after(action: Action) -> Handler:
    """Do it and go to the page that shows it; or show the form again, with what was typed and why not."""

    async def handler(visit: Visit) -> Response:
        try:
            path, notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(path, notice)

    return handler


async def edit(visit: Visit) -> tuple[str, Notice]:
    """Changes what the form changed; of two people at the same field the second is told."""
    module, core = asked_module(visit), visit.site.core
    fields = wanted(visit)
    if names := overtaken(visit, module, fields):
        raise await conflict(core, module, names, fields)
    if not fields:
        return f"/modules/{module.id}", Notice(_("Nothing was changed."), "info")
    await core.registry.edit(module.id, visit.person, **fields)
    return f"/modules/{module.id}", Notice(_("Saved."))


async def give(visit: Visit) -> tuple[str, Notice]:
    core, text = visit.site.core, visit.text("owner_id")
    module = asked_module(visit)
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Choose from the list who gets it.")
    if overtaken(visit, module, {"owner_id": int(text)}):
        raise await owner_conflict(core, module)
    owner = core.accounts.people.get(int(text))
    await core.registry.edit(module.id, visit.person, owner_id=owner.id)
    return f"/modules/{module.id}", Notice(
        _("%(module)s belongs to %(owner)s now.", module=module.name or module.id, owner=owner.username)
    )


async def unclaim(visit: Visit) -> tuple[str, Notice]:
    """Those who manage see the new code on the page; the owner sees it now, before the module is gone."""
    module = asked_module(visit)
    _check_confirmed(visit)
    code = await visit.site.core.ownership.release(module.id, visit.person)
    title = module.name or module.id
    if visit.manages:
        return f"/modules/{module.id}", Notice(_("%(module)s belongs to nobody now.", module=title))
    if not code:
        return "/modules", Notice(_("You gave up %(module)s.", module=title))
    hint = _(
        "Pass it on: whoever enters it on %(url)s gets the module. Only staff see it again.",
        url=f"{visit.base_url}/claim",
    )
    said = _("You gave up %(module)s. Its new claim code:", module=title)
    return "/modules", Notice(said, "warn", spaced(code), _("Claim code"), hint)


async def send_command(visit: Visit) -> tuple[str, Notice]:
    core = visit.site.core
    module = asked_module(visit)
    kind, name = module_type(core, module.type), visit.request.path_params["command"]
    params = typed_params(visit, kind, name)
    command = await core.commands.send(module.id, name, params, visit.person)
    return f"/modules/{module.id}", _sent(command_label(kind, name), command)


def _sent(label: str, command: Command) -> Notice:
    if command.status == "queued":
        return Notice(_("%(command)s: waits for the module.", command=label))
    return Notice(_("%(command)s: sent.", command=label))


async def repeat_command(visit: Visit) -> tuple[str, Notice]:
    """The same again, as a command of its own."""
    core, module = visit.site.core, asked_module(visit)
    before = await core.commands.find(module.id, visit.request.path_params["command"])
    command = await core.commands.send(module.id, before.name, before.params, visit.person)
    return f"/modules/{module.id}", _sent(command_label(module_type(core, module.type), before.name), command)


async def cancel_command(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    await visit.site.core.commands.cancel(module.id, visit.request.path_params["command"], visit.person)
    return f"/modules/{module.id}", Notice(_("The command was cancelled."))


async def rotate_token(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    token = await visit.site.core.registry.rotate_token(module.id, visit.person)
    said = _("The new token of %(module)s:", module=module.id)
    return f"/modules/{module.id}", Notice(said, "warn", token, _("New token"))


async def revoke(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    _check_confirmed(visit)
    await visit.site.core.registry.revoke(module.id, visit.person)
    said = _("%(module)s was revoked; its sessions end now.", module=module.id)
    return f"/modules/{module.id}", Notice(said)


async def delete(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    _check_confirmed(visit)
    await visit.site.core.registry.delete(module.id, visit.person)
    return "/modules", Notice(_("%(module)s and its history were deleted.", module=module.id))


async def desire(visit: Visit) -> tuple[str, Notice]:
    """Set one key of what the module should have, made from the version that was shown."""
    module, key = asked_module(visit), visit.text("key")
    if not key:
        raise Invalid("Name the setting.")
    value = value_of(visit.text("value"))
    await visit.site.core.desired.change(module.id, key, value, _version(visit), visit.person)
    return f"/modules/{module.id}", Notice(_("%(key)s: the module is told.", key=key))


async def desire_nothing(visit: Visit) -> tuple[str, Notice]:
    module, key = asked_module(visit), visit.text("key")
    await visit.site.core.desired.take_away(module.id, key, _version(visit), visit.person)
    said = _("Nothing is desired of %(key)s any more; the module keeps what it has.", key=key)
    return f"/modules/{module.id}", Notice(said)


def _version(visit: Visit) -> int:
    version = number(visit.text("version"))
    if version is None:
        raise Invalid("The form does not say which version it was made from.")
    return version


def _check_confirmed(visit: Visit) -> None:
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")


_ACTIONS: list[tuple[str, Action, Access]] = [
    ("edit", edit, Access.CHANGE),
    ("give", give, Access.MANAGE),
    ("unclaim", unclaim, Access.CHANGE),
    ("settings", desire, Access.CHANGE),
    ("settings/remove", desire_nothing, Access.CHANGE),
    ("commands/{command}", send_command, Access.CHANGE),
    ("commands/{command}/cancel", cancel_command, Access.CHANGE),
    ("commands/{command}/repeat", repeat_command, Access.CHANGE),
    ("rotate-token", rotate_token, Access.MANAGE),
    ("revoke", revoke, Access.MANAGE),
    ("delete", delete, Access.MANAGE),
]
PAGES = [
    Page("POST", f"/modules/{{id}}/{path}", _page_after(action), access, stale=show)
    for path, action, access in _ACTIONS
]
