"""Whose a module is: claim it with its code, give it up, show its code to those who manage."""

from typing import Any

from pydantic import BaseModel, Field

from gateway.core.ownership import spaced
from web.access import Access
from web.api.models import ModuleOut
from web.api.modules import TAG, asked
from web.api.table import Call, Model, Nothing, Operation
from web.ownerview import claim_url


class ClaimIn(Model):
    code: str = Field(max_length=300, description="Case, spaces and dashes do not matter")


class ClaimCodeOut(BaseModel):
    code: str | None = Field(description="None while the module cannot be claimed")
    url: str | None = Field(description="The page that claims it, for a link or a QR code")


def _shown(call: Call, code: str) -> dict[str, str | None]:
    if not code:
        return {"code": None, "url": None}
    return {"code": spaced(code), "url": claim_url(call.visit, code)}


async def claim(call: Call) -> Any:
    core, visit = call.visit.site.core, call.visit
    return core.describe(await core.ownership.claim(call.body.code, visit.person, visit.address))


async def unclaim(call: Call) -> Any:
    ownership = call.visit.site.core.ownership
    return _shown(call, await ownership.release(asked(call).id, call.visit.person))


async def code_of(call: Call) -> Any:
    ownership = call.visit.site.core.ownership
    return _shown(call, ownership.code_of(asked(call).id, call.visit.person))


OPERATIONS = [
    Operation("POST", "/modules/claim", claim, Access.CHANGE, "Make the module of a claim code one's own",
              TAG, reply=ModuleOut, body=ClaimIn, errors=(404, 409, 429)),
    Operation("POST", "/modules/{id}/unclaim", unclaim, Access.CHANGE,
              "Give it up (its owner), or take it from its owner (staff); answers with the next code", TAG,
              reply=ClaimCodeOut, body=Nothing, errors=(409,)),
    Operation("GET", "/modules/{id}/claim-code", code_of, Access.MANAGE, "The code to claim it with", TAG,
              reply=ClaimCodeOut, errors=(409,)),
]  # fmt: skip
