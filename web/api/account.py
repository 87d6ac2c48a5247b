"""One's own account and the tokens that speak for oneself."""

from typing import Any

from gateway.core.access.personal_tokens import PersonalToken
from gateway.core.errors import Invalid
from web.access import Access
from web.api.auth import login_of
from web.api.models_people import OwnAccount, OwnPatch, TokenIn, TokenMade, TokenPage
from web.api.paging import whole
from web.api.people import user_out
from web.api.table import Call, Operation

TAG = "Own account"


async def account(call: Call) -> Any:
    accounts, person = call.visit.site.core.accounts, call.visit.person
    return user_out(accounts.people.get(person.id)) | {
        "second_factor": accounts.factors.is_on(person.id),
        "recovery_codes": accounts.factors.codes_left(person.id),
    }


async def change_account(call: Call) -> Any:
    changes = {name: value for name, value in call.body if value is not None}
    if not changes:
        raise Invalid("Nothing to change was sent; it can be name and email.")
    person = call.visit.person
    await call.visit.site.core.accounts.people.edit(person.id, person, **changes)
    return await account(call)


def _token(token: PersonalToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "role": token.role,
        "created_at": token.created_at_ms,
        "expires_at": token.expires_at_ms,
        "used_at": token.used_at_ms,
    }


async def tokens(call: Call) -> Any:
    login_of(call)
    return whole([_token(token) for token in call.visit.site.core.accounts.tokens.of(call.visit.person.id)])


async def add_token(call: Call) -> Any:
    login_of(call)
    new, known = call.body, call.visit.site.core.accounts.tokens
    token, secret = await known.add(call.visit.person, new.name, new.scope, new.role, new.days)
    return _token(token) | {"token": secret}


async def revoke_token(call: Call) -> None:
    login_of(call)
    await call.visit.site.core.accounts.tokens.revoke(call.path["number"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/account", account, Access.PERSON, "Who one is", TAG, reply=OwnAccount),
    Operation("PATCH", "/account", change_account, Access.PERSON, "Change one's name or e-mail", TAG,
              reply=OwnAccount, body=OwnPatch),
    Operation("GET", "/tokens", tokens, Access.PERSON, "One's own tokens", TAG, reply=TokenPage),
    Operation("POST", "/tokens", add_token, Access.PERSON, "Make one; it comes once", TAG, reply=TokenMade,
              body=TokenIn, status=201, errors=(409,)),
    Operation("DELETE", "/tokens/{number:int}", revoke_token, Access.PERSON, "Revoke one", TAG, status=204),
]  # fmt: skip
