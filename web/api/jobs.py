"""Updates of modules: assigned, looked at, taken back, tried again."""

from typing import Any

from firmware.values import Job, Step
from gateway.core.errors import Invalid, NotFound
from gateway.core.rights import Person, Role, Service, may_manage, may_see
from web.access import Access
from web.api.models_firmware import (
    AssignmentIn,
    AssignmentOut,
    JobOut,
    JobPage,
    JobQuery,
    JobWithHistory,
    RetryIn,
)
from web.api.modules import asked
from web.api.paging import cursor_of, key_of
from web.api.table import Call, Nothing, Operation

TAG = "Updates"
OPEN = ("assigned", "offered", "downloading", "downloaded", "verified", "installing")


def by_of(call: Call) -> Person | str:
    """Who does it, as the ledger calls him: a person, or the name of a program's account."""
    who = call.visit.principal
    return who.name if isinstance(who, Service) else who


async def assign(call: Call) -> Any:
    module, wanted, firmware = asked(call), call.body, call.visit.site.firmware
    if wanted.firmware_id is None:
        await firmware.assignments.unassign(module.id, by_of(call))
        return {"job": None}
    job = await firmware.assignments.assign(
        module.id, wanted.firmware_id, by_of(call), not_before_ms=wanted.not_before, override=wanted.override
    )
    return {"job": None if job is None else firmware.ledger.describe(job)}


async def find(call: Call) -> Any:
    """Newest first. Whoever sees only his own modules sees only their updates."""
    query, ledger, who = call.query, call.visit.site.firmware.ledger, call.visit.principal
    module = call.visit.site.core.registry.visible(query.module, who) if query.module else None
    places = await ledger.page(
        module_number=None if module is None else module.number,
        states=OPEN if query.state == "open" else (query.state,) if query.state else (),
        before=_place(query.cursor) if query.cursor else None,
        limit=query.limit + 1,
        owner_id=who.id if isinstance(who, Person) and who.role is Role.USER else None,
    )
    shown = places[: query.limit]
    items = [ledger.describe(_newest(call, job)) for _, job in shown if _sees(call, job)]
    return {"items": items, "next": cursor_of(str(shown[-1][0])) if len(places) > len(shown) else None}


def _place(cursor: str) -> int:
    key = key_of(cursor)
    if not (key.isdecimal() and len(key) <= 18):
        raise Invalid("This is no cursor of ours.")
    return int(key)


def _newest(call: Call, job: Job) -> Job:
    """What memory knows of it: its progress is written now and then only."""
    latest: Job | None = call.visit.site.firmware.ledger.latest(job.module_number)
    return latest if latest is not None and latest.id == job.id else job


def _sees(call: Call, job: Job) -> bool:
    module = call.visit.site.core.registry.numbered(job.module_number)
    who = call.visit.principal
    return may_manage(who) if module is None else may_see(who, module.owner_id, module.group)


async def get(call: Call) -> Any:
    ledger = call.visit.site.firmware.ledger
    job = await ledger.find(call.path["job"])
    if not _sees(call, job):
        raise NotFound("There is no update %(path)r.", path=call.path["job"][:64])
    return ledger.describe(job) | {"history": [_step(step) for step in await ledger.history(job.id)]}


def _step(step: Step) -> dict[str, Any]:
    return {"state": step.state, "at": step.at_ms, "evidence": step.evidence, "by": step.by}


async def cancel(call: Call) -> Any:
    firmware = call.visit.site.firmware
    return firmware.ledger.describe(await firmware.assignments.cancel(call.path["job"], call.visit.person))


async def retry(call: Call) -> Any:
    firmware = call.visit.site.firmware
    job = await firmware.assignments.retry(call.path["job"], call.visit.person, override=call.body.override)
    return {"job": None if job is None else firmware.ledger.describe(job)}


OPERATIONS = [
    Operation("PUT", "/modules/{id}/firmware", assign, Access.SUPPLY, "Say which image it should run", TAG,
              reply=AssignmentOut, body=AssignmentIn, errors=(409,)),
    Operation("GET", "/firmware/jobs", find, Access.READ, "Updates, the newest first", TAG, reply=JobPage,
              query=JobQuery, errors=(404,)),
    Operation("GET", "/firmware/jobs/{job}", get, Access.READ, "One update and every step of it", TAG,
              reply=JobWithHistory),
    Operation("POST", "/firmware/jobs/{job}/cancel", cancel, Access.MANAGE, "Take it back", TAG,
              reply=JobOut, body=Nothing, errors=(409,)),
    Operation("POST", "/firmware/jobs/{job}/retry", retry, Access.MANAGE, "Try again what did not succeed",
              TAG, reply=AssignmentOut, body=RetryIn, errors=(409,)),
]  # fmt: skip
