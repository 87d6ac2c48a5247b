"""Known modules that registered again without their token, and rejected ones that may ask anew."""

from typing import Any

from pydantic import BaseModel, Field

from gateway.core.rights import may_see
from gateway.core.values import Claim
from web.access import Access
from web.api.models import ModuleOut
from web.api.modules import TAG, asked
from web.api.paging import PageQuery, page
from web.api.table import Call, Model, Nothing, Operation


class ReturnIn(Model):
    code: str = Field("", max_length=64, description="What the device shows, where that is asked for")


class ClaimOut(BaseModel):
    """A re-enrolment: what it says of itself is unproved; the module is untouched until it is approved."""

    number: int
    module_id: str
    hardware: str
    firmware: str
    address: str
    information: dict[str, Any]
    created_at: int
    expires_at: int


class ClaimPage(BaseModel):
    items: list[ClaimOut]
    next: str | None


def _shown(claim: Claim) -> dict[str, Any]:
    return {
        "number": claim.number, "module_id": claim.module_id, "hardware": claim.hardware,
        "firmware": claim.firmware, "address": claim.address, "information": claim.information,
        "created_at": claim.created_at_ms, "expires_at": claim.expires_at_ms,
    }  # fmt: skip


def _key(claim: Claim) -> str:
    return f"{claim.number:012d}"


async def find(call: Call) -> Any:
    registry, who = call.visit.site.core.registry, call.visit.principal
    of = {claim.number: registry.get(claim.module_id) for claim in registry.claims()}
    seen = [
        claim
        for claim in registry.claims()
        if may_see(who, of[claim.number].owner_id, of[claim.number].group)
    ]
    items, following = page(sorted(seen, key=_key), call.query, _key)
    return {"items": [_shown(claim) for claim in items], "next": following}


async def approve(call: Call) -> Any:
    core, number = call.visit.site.core, call.path["number"]
    return core.describe(await core.decisions.approve_claim(number, call.visit.person, call.body.code))


async def reject(call: Call) -> None:
    await call.visit.site.core.decisions.reject_claim(call.path["number"], call.visit.person)


async def unreject(call: Call) -> None:
    await call.visit.site.core.decisions.unreject(asked(call).id, call.visit.person)


OPERATIONS = [
    Operation("GET", "/claims", find, Access.MANAGE, "Re-enrolments that wait", TAG, reply=ClaimPage,
              query=PageQuery),
    Operation("POST", "/claims/{number:int}/approve", approve, Access.MANAGE,
              "Give the module back to it; the old token is dead", TAG, reply=ModuleOut, body=ReturnIn,
              errors=(409, 429)),
    Operation("POST", "/claims/{number:int}/reject", reject, Access.MANAGE,
              "Refuse it; the module is untouched", TAG, body=Nothing, status=204, errors=(409,)),
    Operation("POST", "/modules/{id}/unreject", unreject, Access.MANAGE,
              "Forget a rejected module, so that it may ask anew", TAG, body=Nothing, status=204,
              errors=(409,)),
]  # fmt: skip
