"""Modules: find, read, change, decide upon."""

from typing import Any

from pydantic import Field

from gateway.core.decisions import Outcome
from gateway.core.errors import Invalid
from gateway.core.rights import may_see
from gateway.core.values import Module
from web.access import Access
from web.api.models import Approval, ModuleOut, ModulePage, ModulePatch, NewToken, Rejection
from web.api.paging import PageQuery, page
from web.api.table import Call, Nothing, Operation
from web.views import matches

TAG = "Modules"


class ModuleQuery(PageQuery):
    status: str = Field("", max_length=16)
    type: int | None = Field(None, ge=0)
    q: str = Field("", max_length=100, description="Part of the id, name or location")


def asked(call: Call) -> Module:
    """The module of the path, by id, UUID or number; for those who may not see it, it does not exist."""
    return call.visit.site.core.registry.visible(call.path["id"], call.visit.principal)


async def find(call: Call) -> Any:
    core, query = call.visit.site.core, call.query
    wanted = "" if query.type is None else str(query.type)
    seen = [
        module
        for module in core.registry.all()
        if may_see(call.visit.principal, module.owner_id, module.group)
        and matches(core, module, status=query.status, type=wanted, q=query.q)
    ]
    items, following = page(sorted(seen, key=_key), query, _key)
    return {"items": [core.describe(module) for module in items], "next": following}


def _key(module: Module) -> str:
    return f"{module.number:012d}"


async def get(call: Call) -> Any:
    return call.visit.site.core.describe(asked(call))


async def change(call: Call) -> Any:
    fields = call.body.model_dump(exclude_unset=True)
    if not fields:
        raise Invalid("Nothing to change was sent; it can be name, location, group and owner_id.")
    if None in (fields.get(name, "") for name in ("name", "location", "group")):
        raise Invalid("Name, location and group are texts, never null.")
    core = call.visit.site.core
    if fields.get("owner_id") is not None:
        core.accounts.people.get(fields["owner_id"])
    return core.describe(await core.registry.edit(asked(call).id, call.visit.person, **fields))


async def delete(call: Call) -> None:
    await call.visit.site.core.registry.delete(asked(call).id, call.visit.person)


async def approve(call: Call) -> Any:
    core = call.visit.site.core
    return _decided(call, await core.decisions.approve([asked(call).id], call.visit.person, call.body.code))


async def reject(call: Call) -> Any:
    core = call.visit.site.core
    return _decided(call, await core.decisions.reject([asked(call).id], call.visit.person, call.body.reason))


def _decided(call: Call, outcomes: list[Outcome]) -> Any:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return call.visit.site.core.describe(asked(call))


async def revoke(call: Call) -> Any:
    core = call.visit.site.core
    return core.describe(await core.registry.revoke(asked(call).id, call.visit.person))


async def rotate_token(call: Call) -> Any:
    return {"token": await call.visit.site.core.registry.rotate_token(asked(call).id, call.visit.person)}


OPERATIONS = [
    Operation("GET", "/modules", find, Access.READ, "Find modules", TAG, reply=ModulePage, query=ModuleQuery),
    Operation("GET", "/modules/{id}", get, Access.READ, "One module, by id, UUID or number", TAG,
              reply=ModuleOut),
    Operation("PATCH", "/modules/{id}", change, Access.CHANGE, "Rename, move or give away", TAG,
              reply=ModuleOut, body=ModulePatch),
    Operation("DELETE", "/modules/{id}", delete, Access.MANAGE, "Delete it and its history", TAG, status=204),
    Operation("POST", "/modules/{id}/approve", approve, Access.MANAGE, "Let a waiting module in", TAG,
              reply=ModuleOut, body=Approval, errors=(409,)),
    Operation("POST", "/modules/{id}/reject", reject, Access.MANAGE, "Refuse a waiting module", TAG,
              reply=ModuleOut, body=Rejection, errors=(409,)),
    Operation("POST", "/modules/{id}/revoke", revoke, Access.MANAGE, "End its sessions and tokens", TAG,
              reply=ModuleOut, body=Nothing),
    Operation("POST", "/modules/{id}/rotate-token", rotate_token, Access.MANAGE, "A new token, shown once",
              TAG, reply=NewToken, body=Nothing),
]  # fmt: skip
