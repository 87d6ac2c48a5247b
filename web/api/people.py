"""People and programs, for admins."""

from typing import Any

from gateway.core.access.people import User
from gateway.core.access.services import ServiceAccount
from gateway.core.errors import Invalid
from web.access import Access
from web.api.models import (
    NewToken,
    ServiceIn,
    ServiceMade,
    ServicePage,
    UserIn,
    UserOut,
    UserPage,
    UserPatch,
)
from web.api.models_people import Ended, EverywhereQuery, ScopeIn, ServiceRights, UserDetail
from web.api.paging import PageQuery, page, whole
from web.api.table import Call, Nothing, Operation
from web.serviceview import service_view

TAG = "People and programs"


def user_out(user: User) -> dict[str, Any]:
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
    return {"items": [user_out(user) for user in items], "next": following}


def _key(user: User) -> str:
    return f"{user.id:012d}"


async def add_user(call: Call) -> Any:
    new = call.body
    people = call.visit.site.core.accounts.people
    user = await people.add(
        new.username, new.password, new.role, call.visit.person, name=new.name, email=new.email
    )
    return user_out(user)


async def change_user(call: Call) -> Any:
    changes = {
        name: value for name, value in call.body if name in call.body.model_fields_set and value is not None
    }
    if not changes:
        raise Invalid("Nothing to change was sent; it can be role, active, name and email.")
    people = call.visit.site.core.accounts.people
    return user_out(await people.edit(call.path["user"], call.visit.person, **changes))


async def user(call: Call) -> Any:
    accounts = call.visit.site.core.accounts
    found = accounts.people.get(call.path["user"])
    return user_out(found) | {
        "second_factor": accounts.factors.is_on(found.id),
        "sessions": len(accounts.sessions.living(found.id)),
        "tokens": len(accounts.tokens.of(found.id)),
        "groups": sorted(found.groups),
        "acts": found.acts,
    }


async def set_scope(call: Call) -> Any:
    people, wanted = call.visit.site.core.accounts.people, call.body
    await people.set_scope(call.path["user"], wanted.groups, wanted.acts, call.visit.person)
    return await user(call)


async def end_sessions(call: Call) -> Any:
    accounts = call.visit.site.core.accounts
    ended = await accounts.log_out_everywhere(
        call.path["user"], call.visit.person, tokens_too=call.query.tokens
    )
    return {"sessions": ended}


async def remove_second_factor(call: Call) -> None:
    accounts = call.visit.site.core.accounts
    found = accounts.people.get(call.path["user"])
    await accounts.factors.remove(found.id, found.username, call.visit.person)


async def services(call: Call) -> Any:
    return whole([_service(account) for account in call.visit.site.core.services.all()])


async def add_service(call: Call) -> Any:
    new = call.body
    account, token = await call.visit.site.core.services.add(new.name, new.role, call.visit.person)
    return _service(account) | {"token": token}


async def service(call: Call) -> Any:
    site = call.visit.site
    view = service_view(site.core.services.get(call.path["name"]), site.roof.topic)
    rights = [f"{right.verb}: {right.what} {right.topic}".rstrip() for right in view.rights]
    return {"name": view.account.name, "role": view.account.role, "rights": rights}


async def rotate_service(call: Call) -> Any:
    return {"token": await call.visit.site.core.services.rotate(call.path["name"], call.visit.person)}


async def remove_service(call: Call) -> None:
    await call.visit.site.core.services.remove(call.path["name"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/users", users, Access.ADMINISTER, "People", TAG, reply=UserPage, query=PageQuery),
    Operation("POST", "/users", add_user, Access.ADMINISTER, "Add a person", TAG, reply=UserOut, body=UserIn,
              status=201, errors=(409,)),
    Operation("PATCH", "/users/{user:int}", change_user, Access.ADMINISTER, "Change role, lock, rename", TAG,
              reply=UserOut, body=UserPatch, errors=(409,)),
    Operation("GET", "/users/{user:int}", user, Access.ADMINISTER, "One person", TAG, reply=UserDetail),
    Operation("PUT", "/users/{user:int}/scope", set_scope, Access.ADMINISTER,
              "Which groups of modules somebody reaches", TAG, reply=UserDetail, body=ScopeIn, errors=(409,)),
    Operation("DELETE", "/users/{user:int}/sessions", end_sessions, Access.ADMINISTER,
              "Log somebody out everywhere", TAG, reply=Ended, query=EverywhereQuery),
    Operation("DELETE", "/users/{user:int}/second-factor", remove_second_factor, Access.ADMINISTER,
              "Remove somebody's second factor", TAG, status=204),
    Operation("GET", "/service-accounts", services, Access.ADMINISTER, "Accounts of programs", TAG,
              reply=ServicePage),
    Operation("POST", "/service-accounts", add_service, Access.ADMINISTER, "Add one; its token comes once",
              TAG, reply=ServiceMade, body=ServiceIn, status=201, errors=(409,)),
    Operation("GET", "/service-accounts/{name}", service, Access.ADMINISTER, "One, with its rights in words",
              TAG, reply=ServiceRights),
    Operation("POST", "/service-accounts/{name}/rotate-token", rotate_service, Access.ADMINISTER,
              "A new token; the old one is dead at once", TAG, reply=NewToken, body=Nothing),
    Operation("DELETE", "/service-accounts/{name}", remove_service, Access.ADMINISTER, "Remove one", TAG,
              status=204),
]  # fmt: skip
