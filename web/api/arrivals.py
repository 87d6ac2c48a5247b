"""Coming to be a user: invitations, and asking for an account."""

from typing import Any

from starlette.responses import JSONResponse, Response

from gateway.core.access.invitations import Invitation
from gateway.core.access.sign_ups import SignUp
from web.access import Access
from web.api.models import UserOut
from web.api.models_people import (
    Acceptance,
    Admission,
    InvitationIn,
    InvitationMade,
    InvitationPage,
    SignUpIn,
    SignUpPage,
)
from web.api.paging import whole
from web.api.people import user_out
from web.api.table import Call, Nothing, Operation

TAG = "Invitations and sign-ups"
JOIN = "/join-us"


def _invitation(made: Invitation) -> dict[str, Any]:
    return {
        "id": made.id,
        "role": made.role,
        "groups": list(made.groups),
        "note": made.note,
        "by": made.by,
        "created_at": made.created_at_ms,
        "expires_at": made.expires_at_ms,
    }


async def invitations(call: Call) -> Any:
    return whole([_invitation(made) for made in call.visit.site.core.accounts.invitations.all()])


async def invite(call: Call) -> Any:
    new = call.body
    made, code = await call.visit.site.core.accounts.invitations.add(
        new.role, call.visit.person, groups=",".join(new.groups), note=new.note, days=new.days
    )
    return _invitation(made) | {"code": code, "link": f"{call.visit.base_url}{JOIN}#{code}"}


async def take_back(call: Call) -> None:
    await call.visit.site.core.accounts.invitations.take_back(call.path["number"], call.visit.person)


async def accept(call: Call) -> Any:
    new = call.body
    user = await call.visit.site.core.accounts.join(
        new.code, new.username, new.password, call.visit.address, name=new.name, email=new.email
    )
    return user_out(user)


def _sign_up(asked: SignUp) -> dict[str, Any]:
    return {
        "id": asked.id,
        "username": asked.username,
        "name": asked.name,
        "email": asked.email,
        "note": asked.note,
        "address": asked.address,
        "created_at": asked.created_at_ms,
    }


async def sign_ups(call: Call) -> Any:
    return whole([_sign_up(asked) for asked in call.visit.site.core.accounts.sign_ups.all()])


async def sign_up(call: Call) -> Response:
    """The answer is the same whether or not there is somebody of that name."""
    new = call.body
    await call.visit.site.core.accounts.sign_ups.ask(
        new.username, new.password, call.visit.address, name=new.name, email=new.email, note=new.note
    )
    return JSONResponse({}, 202)


async def approve(call: Call) -> Any:
    known, wanted = call.visit.site.core.accounts.sign_ups, call.body
    return user_out(await known.approve(call.path["number"], wanted.role, call.visit.person, wanted.username))


async def reject(call: Call) -> None:
    await call.visit.site.core.accounts.sign_ups.reject(call.path["number"], call.visit.person)


OPERATIONS = [
    Operation("GET", "/invitations", invitations, Access.ADMINISTER, "Open invitations", TAG,
              reply=InvitationPage),
    Operation("POST", "/invitations", invite, Access.ADMINISTER, "Invite a person; the code comes once", TAG,
              reply=InvitationMade, body=InvitationIn, status=201, errors=(409,)),
    Operation("DELETE", "/invitations/{number:int}", take_back, Access.ADMINISTER, "Take one back", TAG,
              status=204),
    Operation("POST", "/invitations/accept", accept, Access.PUBLIC, "Make the account of an invitation", TAG,
              reply=UserOut, body=Acceptance, status=201, errors=(403, 409, 429)),
    Operation("GET", "/sign-ups", sign_ups, Access.ADMINISTER, "Who asks for an account", TAG,
              reply=SignUpPage),
    Operation("POST", "/sign-ups", sign_up, Access.PUBLIC, "Ask for an account, where that is allowed", TAG,
              reply=Nothing, body=SignUpIn, status=202, errors=(403, 429)),
    Operation("POST", "/sign-ups/{number:int}/approve", approve, Access.ADMINISTER, "Give it", TAG,
              reply=UserOut, body=Admission, status=201, errors=(409,)),
    Operation("POST", "/sign-ups/{number:int}/reject", reject, Access.ADMINISTER, "Refuse it", TAG,
              body=Nothing, status=204),
]  # fmt: skip
