"""What the forms on a module's page do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
from gateway.core.ownership import spaced
from web.access import Access
from web.commandforms import command_label, typed_params
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
    module = asked_module(visit)
    fields: dict[str, Any] = {name: visit.text(name) for name in ("name", "location") if name in visit.form}
    await visit.site.core.registry.edit(module.id, visit.person, **fields)
    return f"/modules/{module.id}", Notice("Saved.")


async def give(visit: Visit) -> tuple[str, Notice]:
    core, text = visit.site.core, visit.text("owner_id")
    module = asked_module(visit)
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Choose from the list who gets it.")
    owner = core.accounts.people.get(int(text))
    await core.registry.edit(module.id, visit.person, owner_id=owner.id)
    return f"/modules/{module.id}", Notice(f"{module.name or module.id} belongs to {owner.username} now.")


async def unclaim(visit: Visit) -> tuple[str, Notice]:
    """Those who manage see the new code on the page; the owner sees it now, before the module is gone."""
    module = asked_module(visit)
    _check_confirmed(visit)
    code = await visit.site.core.ownership.release(module.id, visit.person)
    title = module.name or module.id
    if visit.manages:
        return f"/modules/{module.id}", Notice(f"{title} belongs to nobody now.")
    if not code:
        return "/modules", Notice(f"You gave up {title}.")
    hint = (
        f"Pass it on: whoever enters it on {visit.base_url}/claim gets the module. Only staff see it again."
    )
    said = f"You gave up {title}. Its new claim code:"
    return "/modules", Notice(said, "warn", spaced(code), "Claim code", hint)


async def send_command(visit: Visit) -> tuple[str, Notice]:
    core = visit.site.core
    module = asked_module(visit)
    kind, name = module_type(core, module.type), visit.request.path_params["command"]
    params = typed_params(visit, kind, name)
    command = await core.commands.send(module.id, name, params, visit.person)
    label = command_label(kind, name)
    said = f"{label}: sent." if command.status != "queued" else f"{label}: waits for the module."
    return f"/modules/{module.id}", Notice(said)


async def cancel_command(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    await visit.site.core.commands.cancel(module.id, visit.request.path_params["command"], visit.person)
    return f"/modules/{module.id}", Notice("The command was cancelled.")


async def rotate_token(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    token = await visit.site.core.registry.rotate_token(module.id, visit.person)
    return f"/modules/{module.id}", Notice(f"The new token of {module.id}:", "warn", token, "New token")


async def revoke(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    _check_confirmed(visit)
    await visit.site.core.registry.revoke(module.id, visit.person)
    return f"/modules/{module.id}", Notice(f"{module.id} was revoked; its sessions end now.")


async def delete(visit: Visit) -> tuple[str, Notice]:
    module = asked_module(visit)
    _check_confirmed(visit)
    await visit.site.core.registry.delete(module.id, visit.person)
    return "/modules", Notice(f"{module.id} and its history were deleted.")


def _check_confirmed(visit: Visit) -> None:
    if visit.text("confirm") != "yes":
        raise Invalid("Tick the box to confirm; nothing was done.")


_ACTIONS: list[tuple[str, Action, Access]] = [
    ("edit", edit, Access.CHANGE),
    ("give", give, Access.MANAGE),
    ("unclaim", unclaim, Access.CHANGE),
    ("commands/{command}", send_command, Access.CHANGE),
    ("commands/{command}/cancel", cancel_command, Access.CHANGE),
    ("rotate-token", rotate_token, Access.MANAGE),
    ("revoke", revoke, Access.MANAGE),
    ("delete", delete, Access.MANAGE),
]
PAGES = [
    Page("POST", f"/modules/{{id}}/{path}", _page_after(action), access, stale=show)
    for path, action, access in _ACTIONS
]
