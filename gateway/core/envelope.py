"""`{"action","parameters"}`: what a program or module sends, and what it is answered."""

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.core.errors import GatewayError, Invalid
from gateway.core.mailbox import Party
from gateway.core.values import Confidential

MOST_ACTION = 64
TOKEN_NAMES = ("token", "Token")
_MISSING = object()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends: the party of a session, if there is one, and where from. `socket` names a connection."""

    party: Party | None = None
    address: str = ""
    socket: str = ""


class Envelope(Confidential, frozen=True, kw_only=True):
    """Taken apart, liberal in shape: token and recipient may stand in several places."""

    action: str
    parameters: dict[str, Any]
    token: object = None
    recipient: object = None
    content: object = _MISSING

    @classmethod
    def of(cls, data: object) -> "Envelope":
        """Raises `Invalid`."""
        if not isinstance(data, dict):
            raise Invalid("The message must be an object with an action and parameters.")
        action, parameters = data.get("action"), data.get("parameters")
        if not isinstance(action, str) or not action:
            raise Invalid("The action is missing.")
        parameters = {} if parameters is None else parameters
        if not isinstance(parameters, dict):
            raise Invalid("The parameters must be an object.")
        recipient, content = _addressed(data, parameters)
        return cls(
            action=action, parameters=parameters, token=_token(data, parameters), recipient=recipient,
            content=content,
        )  # fmt: skip

    def message(self) -> Any:
        """What is to be handed on; raises `Invalid` when there is nothing."""
        if self.content is _MISSING:
            raise Invalid("The parameters to hand on are missing.")
        return self.content


class Reply(Confidential, frozen=True, kw_only=True):
    """`fault` says why, when it is a refusal; `party` who has just proved itself by a login."""

    action: str
    parameters: dict[str, Any]
    fault: GatewayError | None = None
    party: Party | None = None

    @property
    def envelope(self) -> dict[str, Any]:
        return {"action": self.action, "parameters": self.parameters}


def refusal(data: object, error: GatewayError) -> Reply:
    """`loginFailed {msg}` for a login, `error {action, msg}` for everything else."""
    said = data.get("action") if isinstance(data, dict) else None
    action = said[:MOST_ACTION] if isinstance(said, str) else ""
    if action == "login":
        return Reply(action="loginFailed", parameters={"msg": str(error.message)}, fault=error)
    return Reply(action="error", parameters={"action": action, "msg": str(error.message)}, fault=error)


def _token(data: dict[str, Any], parameters: dict[str, Any]) -> object:
    """The one token that was given; raises `Invalid` when several disagree."""
    given = list(_tokens(data, parameters))
    if any(type(other) is not type(given[0]) or other != given[0] for other in given[1:]):
        raise Invalid("The tokens that were given do not agree.")
    return given[0] if given else None


def _tokens(data: dict[str, Any], parameters: dict[str, Any]) -> Iterator[object]:
    authentications = (data.get("authentication"), parameters.get("authentication"))
    for place in (parameters, *authentications, data):
        if isinstance(place, dict):
            yield from (place[name] for name in TOKEN_NAMES if place.get(name) is not None)


def _addressed(data: dict[str, Any], parameters: dict[str, Any]) -> tuple[object, object]:
    """Recipient and content: `{recipient, parameters}` within the parameters, or beside them."""
    if "recipient" in parameters:
        return parameters["recipient"], parameters.get("parameters", _MISSING)
    if "recipient" in data:
        private = (*TOKEN_NAMES, "authentication")
        return data["recipient"], {name: value for name, value in parameters.items() if name not in private}
    return None, _MISSING
