"""What a visitor sees when something was refused or went wrong: a page, or a problem document."""

import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ExceptionHandler

from gateway.core.errors import GatewayError
from web.arrival import by_cookie
from web.headers import security_headers
from web.language import gettext as _
from web.language import later, told
from web.listening import listening
from web.replies import headers_of, problem, problem_of, status_of
from web.site import Site

log = logging.getLogger(__name__)
_HEADINGS = {
    400: later("That did not fit"),
    403: later("Not allowed"),
    404: later("Not found"),
    405: later("Not possible here"),
    409: later("Not as things are"),
    413: later("Too large"),
    429: later("Too many tries"),
    500: later("Something went wrong"),
    503: later("Not possible right now"),
}
_SENTENCES = {
    404: later("There is no such page, or it is not for you to see."),
    405: later("This address does not take that kind of request."),
    500: later("The gateway could not answer this. It was noted in the log."),
}
_CODES = {
    400: "invalid", 404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large",
    415: "unsupported_media_type", 416: "range_not_satisfiable",
}  # fmt: skip
_PROGRAMS = (
    "/api/v1", "/fw/", "/healthz", "/readyz", "/metrics", "/node/to/", "/client/to/", "/devices", "/device/",
    "/registration", "/authenticate",
)  # fmt: skip


def handlers(site: Site) -> dict[type[Exception], ExceptionHandler]:
    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, GatewayError):
            raise error
        if _for_program(request):
            return problem_of(error)
        return _page(site, request, status_of(error), str(told(error.message)), headers_of(error))

    async def http_error(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        said = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
        sentence = said or _SENTENCES.get(error.status_code, later("This request was refused."))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = _allowed(request)
        if _for_program(request):
            code = _CODES.get(error.status_code, "refused")
            return problem(error.status_code, sentence, code, headers)
        return _page(site, request, error.status_code, _(sentence), headers)

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s failed.", request.method, request.url.path.encode("unicode_escape").decode())
        # This answer is made outside all middleware.
        headers = security_headers(request.headers.get("host", "")) | {"Cache-Control": "no-store"}
        if _for_program(request):
            return problem(500, _SENTENCES[500], "fault", headers)
        with listening(request, site.core):
            return _page(site, request, 500, _(_SENTENCES[500]), headers)

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=400)

    return {GatewayError: refused, HTTPException: http_error, ClientDisconnect: gone, Exception: broken}


def _for_program(request: Request) -> bool:
    """A program by where it asks, or by what it wants to have."""
    wanted = request.headers.get("accept", "")
    wants_json = "json" in wanted and "html" not in wanted
    return wants_json or request.url.path.startswith(_PROGRAMS)


def _allowed(request: Request) -> str:
    """All methods of this address; the router alone tells those of one of its routes."""
    matching = (
        route
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
    )
    return ", ".join(sorted({method for route in matching for method in route.methods or ()}))


def _page(site: Site, request: Request, status: int, sentence: str, headers: dict[str, str]) -> Response:
    response = by_cookie(request, site).page(
        "error.html",
        status=status,
        heading=_(_HEADINGS.get(status, HTTPStatus(status).phrase)),
        sentence=sentence,
        back_path="/login",
        status_code=status,
    )
    response.headers.update(headers)
    return response
