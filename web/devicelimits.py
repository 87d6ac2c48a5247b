"""`GET /limits`: what a module, by its own token, may send at most, so that it can keep to it."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core.errors import GatewayError, Unauthenticated
from gateway.core.types import MAX_DEPTH, MAX_KEYS
from web.body import MAX_BODY
from web.devices import MAX_REGISTRATION
from web.replies import problem_of
from web.site import Site

PATH = "/limits"
# At least so much: the bound is switched off.
UNLIMITED = 1 << 60
# Of a connection over MQTT; what is not here is the house's own business.
_MQTT = (
    "packet_bytes", "topic_levels", "subscriptions", "window", "queue_messages", "packets_per_s",
    "packets_burst",
)  # fmt: skip


def routes(site: Site) -> list[Route]:
    return [Route(PATH, _limits(site), methods=["GET"])]


def _limits(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def limits(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            id = _module_of(site, request)
        except GatewayError as error:
            return problem_of(error)
        return JSONResponse({"id": id, **told(site, address)}, headers={"Cache-Control": "no-store"})

    return limits


def _module_of(site: Site, request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    address = request.client.host if request.client else ""
    identity = site.core.registry.by_token(token.strip()) if scheme.lower() == "bearer" else None
    if identity is None:
        site.pace.spend(None, address)
        raise Unauthenticated("Show the module's token (Authorization: Bearer ..).")
    return identity.id


def told(site: Site, address: str) -> dict[str, Any]:
    """Bytes, counts, and rates a second; null where nothing is bounded (benchmarks)."""
    mqtt = site.roof.device_limits()
    throttle = site.core.enrolment.throttle
    return {
        "mqtt": {name: mqtt[name] if mqtt[name] < UNLIMITED else None for name in _MQTT if name in mqtt},
        "telemetry": {"keys": MAX_KEYS, "depth": MAX_DEPTH},
        "http": {"registration_bytes": MAX_REGISTRATION, "body_bytes": MAX_BODY},
        "registrations": {"left": throttle.left(address), "retry_after": throttle.wait_s(address)},
    }

