"""The module types: the built-in ones and those that admins declare."""

from typing import Any

import msgspec

from gateway.core.own_types import is_own, version_of
from gateway.core.types import ModuleType
from web.access import Access
from web.api.models import TypeChange, TypeIn, TypeOut, TypePage
from web.api.paging import whole
from web.api.table import Call, Operation

TAG = "Types"


def _type(kind: ModuleType) -> dict[str, Any]:
    declared: dict[str, Any] = msgspec.to_builtins(kind)
    return {
        "code": kind.code, "name": kind.name, "suffix": kind.suffix, "open": kind.open,
        "power": kind.power, "timeout_s": kind.silence_s, "restore": kind.restore, "own": is_own(kind),
        "version": version_of(kind),
    } | {part: declared.get(part, {}) for part in ("keys", "commands", "events", "keep")}  # fmt: skip


async def types(call: Call) -> Any:
    return whole([_type(kind) for kind in call.visit.site.core.types.all()])


async def get(call: Call) -> Any:
    return _type(call.visit.site.core.types.get(call.path["code"]))


async def add(call: Call) -> Any:
    data, _ = _declared(call)
    return _type(await call.visit.site.core.own_types.add(data, call.visit.person))


async def change(call: Call) -> Any:
    data, version = _declared(call)
    own = call.visit.site.core.own_types
    return _type(await own.edit(call.path["code"], data, call.visit.person, version))


def _declared(call: Call) -> tuple[dict[str, Any], str]:
    data: dict[str, Any] = call.body.model_dump(exclude_unset=True)
    if "keep" in data:
        data["keep"] = {name: days for name, days in data["keep"].items() if days is not None}
    return data, data.pop("version", "")


async def remove(call: Call) -> None:
    await call.visit.site.core.own_types.remove(call.path["code"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/types", types, Access.READ, "The module types", TAG, reply=TypePage),
    Operation("POST", "/types", add, Access.ADMINISTER, "Declare a type", TAG, reply=TypeOut, body=TypeIn,
              status=201, errors=(409,)),
    Operation("GET", "/types/{code:int}", get, Access.READ, "One type", TAG, reply=TypeOut),
    Operation("PUT", "/types/{code:int}", change, Access.ADMINISTER, "Declare a type anew", TAG,
              reply=TypeOut, body=TypeChange, errors=(409,)),
    Operation("DELETE", "/types/{code:int}", remove, Access.ADMINISTER, "Remove a type no module has", TAG,
              status=204, errors=(409,)),
]  # fmt: skip
