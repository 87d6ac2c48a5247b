"""What the forms on a module's page do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gateway.core.errors import GatewayError, Invalid
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
    if visit.manages and "owner_id" in visit.form:
        fields["owner_id"] = _owner(visit)
    await visit.site.core.registry.edit(module.id, visit.person, **fields)
    return f"/modules/{module.id}", Notice("Saved.")


def _owner(visit: Visit) -> int | None:
    text = visit.text("owner_id")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Choose an owner from the list.")
    return visit.site.core.accounts.people.get(int(text)).id


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
    ("edit", edit, Access.PERSON),
    ("commands/{command}", send_command, Access.PERSON),
    ("commands/{command}/cancel", cancel_command, Access.PERSON),
    ("rotate-token", rotate_token, Access.MANAGE),
    ("revoke", revoke, Access.MANAGE),
    ("delete", delete, Access.MANAGE),
]
PAGES = [
    Page("POST", f"/modules/{{id}}/{path}", _page_after(action), access, stale=show)
    for path, action, access in _ACTIONS
]
