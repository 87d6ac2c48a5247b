"""The documented REST of devices: entered, registered, proved, changed. JSON in and out."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid, Unauthenticated
from gateway.core.rights import Person, Service
from gateway.core.values import Module
from web.arrival import by_credential, check_call
from web.body import BodyLimit
from web.replies import problem_of
from web.site import Site

MAX_BODY = 16 * 1024
NO_STORE = {"Cache-Control": "no-store"}
Body = dict[str, Any]
Answer = Callable[[Site, Request, Body], Awaitable[Response]]


def routes(site: Site) -> list[Route]:
    bounds = [Middleware(BodyLimit, max_bytes=MAX_BODY)]
    return [
        Route(path, _endpoint(site, answer), methods=[method], middleware=bounds)
        for method, path, answer in ROUTES
    ]


def device(core: Core, module: Module) -> dict[str, Any]:
    """A module in the document's words, beside its own."""
    return core.describe(module) | {
        "serial_number": module.id,
        "type_id": module.type,
        "group_id": module.group or None,
        "description": module.information.get("description"),
        "current_firmware_serial": module.firmware or None,
        "assigned_firmware_id": None,
    }


async def create(site: Site, request: Request, body: Body) -> Response:
    module, shared_key = await site.core.devices.create(body, _who(site, request))
    return JSONResponse(device(site.core, module) | {"shared_key": shared_key}, 201, NO_STORE)


async def register(site: Site, request: Request, body: Body) -> Response:
    address = request.client.host if request.client else ""
    module, granted = await site.core.devices.register(body, address)
    told = {"token": granted.token, "status": granted.status}
    return JSONResponse(device(site.core, module) | told, headers=NO_STORE)


async def authenticate(site: Site, request: Request, body: Body) -> Response:
    module = site.core.devices.authenticate(body, _who(site, request))
    return JSONResponse(device(site.core, module), headers=NO_STORE)


async def change(site: Site, request: Request, body: Body) -> Response:
    module = await site.core.devices.change(request.path_params["uuid"], body, _who(site, request))
    return JSONResponse(device(site.core, module), headers=NO_STORE)


ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("POST", "/devices", create),
    ("POST", "/registration", register),
    ("POST", "/authenticate", authenticate),
    ("PATCH", "/devices/{uuid}", change),
    ("PATCH", "/device/{uuid}", change),
)


def _endpoint(site: Site, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await answer(site, request, _decoded(await request.body()))
        except GatewayError as error:
            return problem_of(error)

    return endpoint


def _who(site: Site, request: Request) -> Person | Service:
    visit = by_credential(request, site)
    if visit.visitor is None:
        raise Unauthenticated("Please log in first.")
    check_call(visit)
    return visit.visitor


def _decoded(raw: bytes) -> Body:
    try:
        body = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object.")
    return body
