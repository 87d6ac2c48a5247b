"""The bootstrap key of a type: whether unknown serials get in by it, and a new one."""

from typing import Any

from pydantic import BaseModel, Field

from web.access import Access
from web.api.house import TAG
from web.api.table import Call, Operation


class BootstrapOut(BaseModel):
    allowed: bool
    since: int | None = Field(description="When its key was made (UTC ms)")


class BootstrapMade(BootstrapOut):
    key: str = Field(description="Shown here only; unknown devices of the type send it as shared_key")


def _shown(call: Call) -> dict[str, Any]:
    since = call.visit.site.core.bootstrap.allowed().get(call.path["code"])
    return {"allowed": since is not None, "since": since}


async def get(call: Call) -> Any:
    call.visit.site.core.types.get(call.path["code"])
    return _shown(call)


async def allow(call: Call) -> Any:
    key = await call.visit.site.core.bootstrap.allow(call.path["code"], call.visit.person)
    return _shown(call) | {"key": key}


async def forbid(call: Call) -> None:
    await call.visit.site.core.bootstrap.forbid(call.path["code"], call.visit.person)


_PATH = "/types/{code:int}/bootstrap-key"
OPERATIONS = [
    Operation("GET", _PATH, get, Access.ADMINISTER, "Whether unknown serials of the type get in by a key",
              TAG, reply=BootstrapOut),
    Operation("PUT", _PATH, allow, Access.ADMINISTER, "A new key, which comes once; the one before is dead",
              TAG, reply=BootstrapMade),
    Operation("DELETE", _PATH, forbid, Access.ADMINISTER, "Its key lets nobody in any more", TAG, status=204),
]  # fmt: skip
