"""An operation is a row: method, path, who may, what goes in and out, and the function that answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core.errors import Invalid, Unauthenticated
from web import kept
from web.access import Access
from web.arrival import by_credential, check_access, check_call
from web.body import BodyLimit
from web.site import Site
from web.visit import Visit

PREFIX = "/api/v1"
JSON = "application/json"


class Model(BaseModel):
    """What comes in: unknown fields are refused, so that a misspelt one is not silently nothing."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Nothing(Model):
    """No fields; `{}` or no body at all."""


@dataclass(frozen=True, slots=True)
class Call:
    """A visit by a program, its query and body checked."""

    visit: Visit
    query: Any
    body: Any

    @property
    def path(self) -> dict[str, Any]:
        return self.visit.request.path_params


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` None: none is read. `reply` None: no content, or (with `media`) not JSON.

    `upload`: the body is a form with a file, which the handler reads and bounds by itself.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    access: Access
    summary: str
    tag: str
    reply: Any = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] = Nothing
    status: int = 200
    media: str = "application/json"
    errors: tuple[int, ...] = field(default=())
    upload: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether its answers are kept for who asks again with the same key."""
        return self.method == "POST" and self.access is not Access.PUBLIC and not self.upload


def routes(site: Site, operations: tuple[Operation, ...]) -> list[Route]:
    bounds = [Middleware(BodyLimit)]
    return [
        Route(
            PREFIX + row.path,
            _endpoint(site, row),
            methods=[row.method],
            middleware=[] if row.upload else bounds,
        )
        for row in operations
    ]


def _endpoint(site: Site, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = _arrived(request, site)
        check_access(visit, operation.access)
        check_call(visit)
        query = checked(operation.query, dict(request.query_params), "query")
        body = None
        if operation.body is not None and not operation.upload:
            body = await _body(request, operation.body)
        call = Call(visit, query, body)
        key = request.headers.get(kept.HEADER)
        if key is None or not operation.is_kept:
            return await _done(operation, call)
        asked = await _asked(call, operation, kept.key_of(key))
        return await site.kept.answer(asked, lambda: _done(operation, call))

    return answer


def _arrived(request: Request, site: Site) -> Visit:
    """Who calls, if he does not call too often."""
    address = request.client.host if request.client else ""
    try:
        visit = by_credential(request, site)
    except Unauthenticated:
        site.pace.spend(None, address)
        raise
    site.pace.spend(visit.visitor, address)
    return visit


async def _done(operation: Operation, call: Call) -> Response:
    reply = await operation.handler(call)
    if isinstance(reply, Response):
        return reply
    if operation.reply is None:
        return Response(status_code=204)
    return JSONResponse(msgspec.to_builtins(reply, enc_hook=str), operation.status)


async def _asked(call: Call, operation: Operation, key: str) -> kept.Asked:
    request = call.visit.request
    whole = [request.url.path, request.url.query, await request.body()]
    caller = kept.caller_of(call.visit.principal, logged_in=call.visit.login is not None)
    return kept.Asked(caller, f"POST {operation.path}", key, msgspec.msgpack.encode(whole))


def _check_json(request: Request) -> None:
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(415, "The body must be application/json.")


async def _body(request: Request, model: type[BaseModel]) -> BaseModel:
    raw = await request.body()
    if raw.strip():
        _check_json(request)
    try:
        data = msgspec.json.decode(raw) if raw.strip() else {}
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("The body is not valid JSON.") from None
    if not isinstance(data, dict):
        raise Invalid("The body must be a JSON object.")
    return checked(model, data, "body")


def checked(model: type[BaseModel], data: dict[str, Any], where: str) -> BaseModel:
    """What was sent as the model has it; raises `Invalid` with the first thing that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part)[:64] for part in first["loc"])
        raise Invalid(
            "In the %(where)s, %(value)s: %(first)s.", where=where, value=name or "it", first=first["msg"]
        ) from None
