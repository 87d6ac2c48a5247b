"""The HTTP door for devices: `POST /modules/register` and its alias `POST /modules`."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core import errors
from gateway.core.values import Application
from web.body import BodyLimit
from web.csrf import check_origin
from web.replies import headers_of, status_of
from web.site import Site

log = logging.getLogger(__name__)
MAX_REGISTRATION = 16 * 1024
PATHS = ("/modules/register", "/modules")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_CODES: dict[type[errors.GatewayError], str] = {
    errors.Invalid: "validation_failed",
    errors.TooMany: "too_many_requests",
    errors.Unavailable: "temporarily_unavailable",
}
# Devices in the field know 403 for every refusal that is not their fault.
_STATUSES: dict[type[errors.GatewayError], int] = {errors.Full: 403}


def routes(site: Site) -> list[Route]:
    bounds = [Middleware(BodyLimit, max_bytes=MAX_REGISTRATION)]
    answer = _register(site)
    return [Route(path, answer, methods=["POST"], name="register", middleware=bounds) for path in PATHS]


def _register(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def register(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            check_origin(request, site.public_url)
            application = application_of(await _data(request))
            granted = await site.core.enrolment.register(application, address)
        except errors.GatewayError as error:
            return _refusal(error)
        return JSONResponse({"token": granted.token, "id": granted.id})

    return register


async def _data(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() in _FORMS:
        form = await request.form(max_files=0, max_fields=50)
        return {key: value for key, value in form.items() if isinstance(value, str)}
    try:
        data = msgspec.json.decode(await request.body() or b"{}")
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise errors.Invalid("The body is not valid JSON") from None
    if not isinstance(data, dict):
        raise errors.Invalid("The body must be a JSON object")
    return data


def application_of(data: dict[str, Any]) -> Application:
    """What a device says of itself; lenient in shape, and nothing in it has authority."""
    return Application(
        type=_type(data.get("type")),
        serial=_text(data, "serial"),
        hardware=_text(data, "hardware") or "",
        firmware=_object(data, "firmware"),
        information=_object(data, "information"),
        shared_key=_text(data, "shared_key"),
    )


def _type(value: Any) -> int:
    """An integer or its decimal string."""
    if value is None or value == "":
        raise errors.Invalid("Module type is required")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 9:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    raise errors.Invalid("Module type must be an integer")


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise errors.Invalid(f"{name.capitalize()} must be a string")
    return value or None


def _object(data: dict[str, Any], name: str) -> dict[str, Any]:
    """A JSON object; in a form, its text."""
    value = data.get(name) or {}
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise errors.Invalid(f"{name.capitalize()} must be an object")
    return value


def _refusal(error: errors.GatewayError) -> Response:
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "access_denied")
    status = _STATUSES.get(type(error), status_of(error))
    body = {"errors": [{"error": code, "error_description": error.message.rstrip(".")}]}
    return JSONResponse(body, status, headers_of(error))
