"""The house itself: who may join, and the types."""

from typing import Any

import msgspec

from gateway.core.types import ModuleType
from gateway.core.values import Join
from web.access import Access
from web.api.models import JoinIn, JoinOut, TypeIn, TypeOut, TypePage
from web.api.paging import whole
from web.api.table import Call, Operation

TAG = "Gateway"


def _join(join: Join) -> dict[str, Any]:
    return {"mode": join.mode, "until": join.until_ms, "type": join.type, "quota_left": join.quota_left}


async def get_join(call: Call) -> Any:
    return _join(call.visit.site.core.joining.join)


async def set_join(call: Call) -> Any:
    core, wanted = call.visit.site.core, call.body
    if wanted.type is not None:
        core.types.get(wanted.type)
    return _join(
        await core.joining.set(
            wanted.mode, call.visit.person, seconds=wanted.seconds, type=wanted.type, quota=wanted.quota
        )
    )


def _type(kind: ModuleType) -> dict[str, Any]:
    declared: dict[str, Any] = msgspec.to_builtins(kind)
    return {
        "code": kind.code, "name": kind.name, "suffix": kind.suffix, "open": kind.open,
        "power": kind.power, "timeout_s": kind.silence_s, "restore": kind.restore,
    } | {part: declared.get(part, {}) for part in ("keys", "commands", "events")}  # fmt: skip


async def types(call: Call) -> Any:
    return whole([_type(kind) for kind in call.visit.site.core.types.all()])


async def add_type(call: Call) -> Any:
    data = call.body.model_dump(exclude_unset=True)
    return _type(await call.visit.site.core.own_types.add(data, call.visit.person))


OPERATIONS = [
    Operation("GET", "/join", get_join, Access.PERSON, "Whether newcomers may register", TAG, reply=JoinOut),
    Operation("PUT", "/join", set_join, Access.MANAGE, "Open, close, or open for a while", TAG,
              reply=JoinOut, body=JoinIn),
    Operation("GET", "/types", types, Access.READ, "The module types", TAG, reply=TypePage),
    Operation("POST", "/types", add_type, Access.ADMINISTER, "Declare a type", TAG, reply=TypeOut,
              body=TypeIn, status=201, errors=(409,)),
]  # fmt: skip
