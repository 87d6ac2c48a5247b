"""Groups: the names that modules carry, with how many there are."""

from collections import Counter
from typing import Any

from pydantic import BaseModel, Field

from web.access import Access
from web.api.paging import whole
from web.api.table import Call, Operation
from web.views import natural, seen_by

TAG = "Modules"


class GroupOut(BaseModel):
    name: str
    modules: int = Field(description="How many of them you may see")
    online: int


class GroupPage(BaseModel):
    items: list[GroupOut]
    next: str | None = None


async def find(call: Call) -> Any:
    core = call.visit.site.core
    modules: Counter[str] = Counter()
    online: Counter[str] = Counter()
    for module in seen_by(core, call.visit.principal):
        if module.group:
            modules[module.group] += 1
            online[module.group] += core.status(module) == "online"
    names = sorted(modules, key=natural)
    return whole([{"name": name, "modules": modules[name], "online": online[name]} for name in names])


OPERATIONS = [
    Operation("GET", "/groups", find, Access.READ, "Groups of modules", TAG, reply=GroupPage),
]
