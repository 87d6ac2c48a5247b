"""Commands to modules."""

from typing import Any

from starlette.responses import JSONResponse

from gateway.core.rights import Person, Service
from gateway.core.values import Command
from web.access import Access
from web.api.models import CommandAccepted, CommandIn, CommandOut, CommandPage
from web.api.modules import asked
from web.api.paging import PageQuery, page
from web.api.table import Call, Nothing, Operation

TAG = "Commands"


def described(command: Command) -> dict[str, Any]:
    return {
        "id": command.id,
        "module_id": command.module_id,
        "command": command.name,
        "params": command.params,
        "status": command.status,
        "created_at": command.created_at_ms,
        "expires_at": command.expires_at_ms,
        "by": command.by,
        "result": command.result,
        "error": command.error,
        "history": command.history,
    }


def _sender(call: Call) -> Person | str:
    who: Person | Service | None = call.visit.visitor
    return who.name if isinstance(who, Service) else who or ""


async def send(call: Call) -> Any:
    module, wanted = asked(call), call.body
    command = await call.visit.site.core.commands.send(
        module.id, wanted.command, wanted.params, _sender(call), expires_in_s=wanted.expires_in
    )
    place = f"/api/v1/modules/{module.id}/commands/{command.id}"
    return JSONResponse({"id": command.id, "status": command.status}, 202, {"Location": place})


async def find(call: Call) -> Any:
    """Oldest pages come last: the key counts backwards, so that the newest command is first."""
    commands = call.visit.site.core.commands.of(asked(call).id)
    items, following = page(sorted(commands, key=_key), call.query, _key)
    return {"items": [described(command) for command in items], "next": following}


def _key(command: Command) -> str:
    return f"{10**15 - command.created_at_ms:015d} {command.id}"


async def get(call: Call) -> Any:
    return described(call.visit.site.core.commands.get(call.path["command"], asked(call).id))


async def cancel(call: Call) -> Any:
    commands = call.visit.site.core.commands
    return described(await commands.cancel(asked(call).id, call.path["command"], _sender(call)))


OPERATIONS = [
    Operation("POST", "/modules/{id}/commands", send, Access.ACT, "Send a command", TAG,
              reply=CommandAccepted, body=CommandIn, status=202, errors=(409, 429)),
    Operation("GET", "/modules/{id}/commands", find, Access.READ, "Commands, the newest first", TAG,
              reply=CommandPage, query=PageQuery),
    Operation("GET", "/modules/{id}/commands/{command}", get, Access.READ, "One command and its life", TAG,
              reply=CommandOut),
    Operation("POST", "/modules/{id}/commands/{command}/cancel", cancel, Access.ACT, "Take it back", TAG,
              reply=CommandOut, body=Nothing, errors=(409,)),
]  # fmt: skip
