"""The house itself: who may join."""

from typing import Any

from gateway.core.values import Join
from web.access import Access
from web.api.models import JoinIn, JoinOut
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


OPERATIONS = [
    Operation("GET", "/join", get_join, Access.PERSON, "Whether newcomers may register", TAG, reply=JoinOut),
    Operation("PUT", "/join", set_join, Access.MANAGE, "Open, close, or open for a while", TAG,
              reply=JoinOut, body=JoinIn, errors=(404,)),
]  # fmt: skip
