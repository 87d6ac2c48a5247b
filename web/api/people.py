"""People and programs, for admins."""

from typing import Any

from gateway.core.errors import Invalid
from gateway.core.people import User
from gateway.core.services import ServiceAccount
from web.access import Access
from web.api.models import ServiceIn, ServiceMade, ServicePage, UserIn, UserOut, UserPage, UserPatch
from web.api.paging import PageQuery, page, whole
from web.api.table import Call, Operation

TAG = "People and programs"


def _user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "active": user.active,
        "created_at": user.created_at_ms,
        "last_login": user.last_login_ms,
    }


def _service(account: ServiceAccount) -> dict[str, Any]:
    return {
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at_ms,
    }


async def users(call: Call) -> Any:
    known = sorted(call.visit.site.core.accounts.people.all(), key=_key)
    items, following = page(known, call.query, _key)
    return {"items": [_user(user) for user in items], "next": following}


def _key(user: User) -> str:
    return f"{user.id:012d}"


async def add_user(call: Call) -> Any:
    new = call.body
    people = call.visit.site.core.accounts.people
    user = await people.add(
        new.username, new.password, new.role, call.visit.person, name=new.name, email=new.email
    )
    return _user(user)


async def change_user(call: Call) -> Any:
    changes = {
        name: value for name, value in call.body if name in call.body.model_fields_set and value is not None
    }
    if not changes:
        raise Invalid("Nothing to change was sent; it can be role, active, name and email.")
    people = call.visit.site.core.accounts.people
    return _user(await people.edit(call.path["user"], call.visit.person, **changes))


async def services(call: Call) -> Any:
    return whole([_service(account) for account in call.visit.site.core.services.all()])


async def add_service(call: Call) -> Any:
    new = call.body
    account, token = await call.visit.site.core.services.add(new.name, new.role, call.visit.person)
    return _service(account) | {"token": token}


async def remove_service(call: Call) -> None:
    await call.visit.site.core.services.remove(call.path["name"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/users", users, Access.ADMINISTER, "People", TAG, reply=UserPage, query=PageQuery),
    Operation("POST", "/users", add_user, Access.ADMINISTER, "Add a person", TAG, reply=UserOut, body=UserIn,
              status=201, errors=(409,)),
    Operation("PATCH", "/users/{user:int}", change_user, Access.ADMINISTER, "Change role, lock, rename", TAG,
              reply=UserOut, body=UserPatch, errors=(409,)),
    Operation("GET", "/service-accounts", services, Access.ADMINISTER, "Accounts of programs", TAG,
              reply=ServicePage),
    Operation("POST", "/service-accounts", add_service, Access.ADMINISTER, "Add one; its token comes once",
              TAG, reply=ServiceMade, body=ServiceIn, status=201, errors=(409,)),
    Operation("DELETE", "/service-accounts/{name}", remove_service, Access.ADMINISTER, "Remove one", TAG,
              status=204),
]  # fmt: skip
