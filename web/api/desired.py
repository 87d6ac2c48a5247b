"""What a module should have, against what it says it has."""

from typing import Any

from gateway.core.desired import Shadow
from web.access import Access
from web.api.models import DesiredIn, DesiredOut
from web.api.modules import TAG, asked
from web.api.table import Call, Operation


async def get(call: Call) -> Any:
    return _plain(call.visit.site.core.desired.of(asked(call).id))


async def put(call: Call) -> Any:
    desired, wanted = call.visit.site.core.desired, call.body
    return _plain(await desired.set(asked(call).id, wanted.values, wanted.version, call.visit.person))


def _plain(shadow: Shadow) -> dict[str, Any]:
    return {
        "version": shadow.desired_version,
        "values": shadow.desired,
        "reported_version": shadow.reported_version,
        "reported": shadow.reported,
    }


OPERATIONS = [
    Operation("GET", "/modules/{id}/desired", get, Access.READ, "Desired and reported values", TAG,
              reply=DesiredOut),
    Operation("PUT", "/modules/{id}/desired", put, Access.CHANGE, "Change the desired values", TAG,
              reply=DesiredOut, body=DesiredIn, errors=(409,)),
]  # fmt: skip
