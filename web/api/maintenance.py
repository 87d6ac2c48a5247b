"""Maintenance: whether only admins may log in now, and why."""

from typing import Any

from pydantic import BaseModel, Field

from gateway.core.maintenance import MAX_REASON
from gateway.core.values import Maintenance
from web.access import Access
from web.api.house import TAG
from web.api.table import Call, Model, Operation


class MaintenanceIn(Model):
    on: bool
    reason: str = Field("", max_length=MAX_REASON, description="Everybody reads it, before logging in too")


class MaintenanceOut(BaseModel):
    on: bool
    reason: str
    by: str
    since: int | None = Field(description="When it was last turned on or off")


def _shown(state: Maintenance) -> dict[str, Any]:
    return {"on": state.on, "reason": state.reason, "by": state.by, "since": state.since_ms}


async def get(call: Call) -> Any:
    return _shown(call.visit.site.core.maintenance.state)


async def change(call: Call) -> Any:
    wanted = call.body
    return _shown(await call.visit.site.core.maintenance.set(wanted.on, wanted.reason, call.visit.person))


OPERATIONS = [
    Operation("GET", "/maintenance", get, Access.READ, "Whether only admins may log in now", TAG,
              reply=MaintenanceOut),
    Operation("PUT", "/maintenance", change, Access.ADMINISTER, "Turn it on with a reason, or off", TAG,
              reply=MaintenanceOut, body=MaintenanceIn),
]  # fmt: skip
