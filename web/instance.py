"""`client.to.instance` and `node.to.instance` over HTTP: the same acts; the reply as the body."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core.envelope import Caller, Reply, refusal
from gateway.core.errors import Full, GatewayError, Invalid
from gateway.core.mailbox import Kind
from web.body import BodyLimit
from web.csrf import check_origin
from web.replies import headers_of, status_of
from web.site import Site

MAX_MESSAGE = 128 * 1024
PATHS: dict[str, Kind] = {"/node/to/instance": "module", "/client/to/instance": "client"}


def routes(site: Site) -> list[Route]:
    bounds = [Middleware(BodyLimit, max_bytes=MAX_MESSAGE)]
    return [
        Route(path, _answer(site, kind), methods=["PUT", "POST"], middleware=bounds)
        for path, kind in PATHS.items()
    ]


def _answer(site: Site, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
    """Nobody is logged in over HTTP: whoever acts says its token each time."""

    async def answer(request: Request) -> Response:
        caller = Caller(address=request.client.host if request.client else "")
        data: Any = None
        try:
            check_origin(request, site.public_url)
            data = _decoded(await request.body())
        except GatewayError as error:
            return _response(refusal(data, error))
        return _response(await site.core.instance.answer(kind, data, caller))

    return answer


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("The body is not valid JSON.") from None


def _response(reply: Reply) -> Response:
    headers = {"Cache-Control": "no-store"}
    if reply.fault is None:
        return JSONResponse(reply.parameters, headers=headers)
    body = {"action": "login"} | reply.parameters
    # A full house is no fault of who asks too often, and devices know it by this.
    status = 403 if isinstance(reply.fault, Full) else status_of(reply.fault)
    return JSONResponse(body, status, headers | headers_of(reply.fault))
