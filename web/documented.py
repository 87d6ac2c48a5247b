"""The documented REST of devices: entered, registered, proved, changed. JSON in and out."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from firmware.values import Image
from gateway.core import audit
from gateway.core.devices import actor, must_provision
from gateway.core.errors import Conflict, GatewayError, Invalid, NotFound, Unauthenticated
from gateway.core.rights import Person, Service
from gateway.core.values import Module
from web.arrival import by_credential, check_call
from web.body import BodyLimit
from web.replies import problem_of
from web.site import Site

MAX_BODY = 16 * 1024
NO_STORE = {"Cache-Control": "no-store"}
Body = dict[str, Any]
_FIRMWARE = "assigned_firmware_id"
Answer = Callable[[Site, Request, Body], Awaitable[Response]]


def routes(site: Site) -> list[Route]:
    bounds = [Middleware(BodyLimit, max_bytes=MAX_BODY)]
    return [
        Route(path, _endpoint(site, answer), methods=[method], middleware=bounds)
        for method, path, answer in ROUTES
    ]


def device(site: Site, module: Module) -> dict[str, Any]:
    """A module in the document's words, beside its own."""
    return site.core.describe(module) | {
        "serial_number": module.id,
        "type_id": module.type,
        "group_id": module.group or None,
        "description": module.information.get("description"),
        "current_firmware_serial": module.firmware or None,
        "current_firmware_id": _id_of(site, module.firmware),
        "assigned_firmware_serial": module.assigned_firmware or None,
        "assigned_firmware_id": _id_of(site, module.assigned_firmware),
    }


async def create(site: Site, request: Request, body: Body) -> Response:
    """What speaks against the firmware is said before there is a device, as its key is shown once only."""
    by = _who(site, request)
    must_provision(by)
    if (image := _image(site, body)) is not None:
        _check_fits(site, image, _to_be(body, image))
    module, shared_key = await site.core.devices.create(body, by)
    told = {"shared_key": shared_key}
    if image is not None:
        try:
            await site.firmware.assignments.assign(module.id, image.id, actor(by))
        except GatewayError as error:
            # Something has changed in this very moment; the device is there, and its key is told.
            told["assigned_firmware_error"] = error.message
    return JSONResponse(await _checked_device(site, module.id) | told, 201, NO_STORE)


async def register(site: Site, request: Request, body: Body) -> Response:
    address = request.client.host if request.client else ""
    module, granted = await site.core.devices.register(body, address)
    told = {"token": granted.token, "status": granted.status}
    return JSONResponse(await _checked_device(site, module.id) | told, headers=NO_STORE)


async def authenticate(site: Site, request: Request, body: Body) -> Response:
    module = site.core.devices.authenticate(body, _who(site, request))
    return JSONResponse(device(site, module), headers=NO_STORE)


async def change(site: Site, request: Request, body: Body) -> Response:
    """The firmware comes last: whether it runs it already may be in the same words."""
    by = _who(site, request)
    must_provision(by)
    module = site.core.registry.find(request.path_params["uuid"])
    image = _image(site, body)
    if image is not None:
        _check_fits(site, image, module)
    await site.core.devices.change(module.id, body, by)
    await site.firmware.running.settled(module.id)
    if image is not None:
        await site.firmware.assignments.assign(module.id, image.id, actor(by))
    elif _FIRMWARE in body:
        await site.firmware.assignments.unassign(module.id, actor(by))
    return JSONResponse(await _checked_device(site, module.id), headers=NO_STORE)


ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("POST", "/devices", create),
    ("POST", "/registration", register),
    ("POST", "/authenticate", authenticate),
    ("PATCH", "/devices/{uuid}", change),
    ("PATCH", "/device/{uuid}", change),
)


async def _checked_device(site: Site, id: str) -> dict[str, Any]:
    """The device once it is known whether it runs what it says."""
    await site.firmware.running.settled(id)
    return device(site, site.core.registry.get(id))


def _id_of(site: Site, serial: str) -> int | None:
    image = site.firmware.images.by_serial(serial) if serial else None
    return image.id if image else None


def _image(site: Site, body: Body) -> Image | None:
    """The firmware to assign; None: nothing was said of it, or null. Raises NotFound."""
    id = body.get(_FIRMWARE)
    if id is None:
        return None
    if isinstance(id, str) and id.isascii() and id.isdecimal() and len(id) <= 18:
        id = int(id)
    if type(id) is not int:
        raise NotFound("There is no firmware %(id)r.", id=str(id)[:64])
    return site.firmware.images.get(id)


def _to_be(body: Body, image: Image) -> Module:
    """The device that is about to be, as far as firmware asks; what is wrong with it is told later."""
    code = str(body.get("type_id"))
    return Module(
        id=str(body.get("serial_number"))[:64], number=0, uuid="", name="", location="", created_at_ms=0,
        type=int(code) if code.isascii() and code.isdecimal() and len(code) <= 9 else image.type,
        life="approved",
    )  # fmt: skip


def _check_fits(site: Site, image: Image, module: Module) -> None:
    if reasons := site.firmware.assignments.obstacles(module, image):
        raise Conflict(" ".join(reasons))


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
    audit.known_as(visit.visitor.name, visit.visitor.role)
    return visit.visitor


def _decoded(raw: bytes) -> Body:
    try:
        body = msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise Invalid("The body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise Invalid("The body must be a JSON object.")
    return body
