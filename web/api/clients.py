"""Programs that registered themselves, for admins."""

from typing import Any

from pydantic import BaseModel, Field

from gateway.core.clients import Program
from gateway.core.errors import Invalid
from web.access import Access
from web.api.paging import PageQuery, page
from web.api.people import TAG
from web.api.table import Call, Model, Operation


class ClientPatch(Model):
    owner_id: int | None = Field(None, ge=1, description="Whose modules it sees too; null: nobody's")


class ClientOut(BaseModel):
    """A program that registered over `client.to.instance`; name and location are its own words."""

    id: int
    name: str
    location: str
    information: dict[str, Any]
    owner_id: int | None
    address: str = Field(description="Where it registered from")
    created_at: int
    last_login: int | None


class ClientPage(BaseModel):
    items: list[ClientOut]
    next: str | None


def _client(program: Program) -> dict[str, Any]:
    return {
        "id": program.id,
        "name": program.name,
        "location": program.location,
        "information": program.information,
        "owner_id": program.owner_id,
        "address": program.address,
        "created_at": program.created_at_ms,
        "last_login": program.last_login_ms,
    }


def _key(program: Program) -> str:
    return f"{program.id:012d}"


async def clients(call: Call) -> Any:
    items, following = page(call.visit.site.core.clients.all(), call.query, _key)
    return {"items": [_client(program) for program in items], "next": following}


async def give_client(call: Call) -> Any:
    if "owner_id" not in call.body.model_fields_set:
        raise Invalid("Nothing to change was sent; it can be owner_id.")
    core = call.visit.site.core
    return _client(await core.clients.give(call.path["number"], call.body.owner_id, call.visit.person))


async def remove_client(call: Call) -> None:
    await call.visit.site.core.clients.remove(call.path["number"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/clients", clients, Access.ADMINISTER, "Programs over client.to.instance", TAG,
              reply=ClientPage, query=PageQuery),
    Operation("PATCH", "/clients/{number:int}", give_client, Access.ADMINISTER,
              "Give one to a person, so that it sees that person's modules", TAG,
              reply=ClientOut, body=ClientPatch),
    Operation("DELETE", "/clients/{number:int}", remove_client, Access.ADMINISTER,
              "Remove one; its session ends", TAG, status=204),
]  # fmt: skip
