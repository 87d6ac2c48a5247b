"""From the one error tree to HTTP: a status, and a page or a problem document (RFC 9457)."""

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from gateway.core import errors

STATUS: dict[type[errors.GatewayError], int] = {
    errors.Invalid: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Closed: 403,
    errors.Rejected: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Full: 429,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}
RETRY_LATER_S = 10


def status_of(error: errors.GatewayError) -> int:
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def headers_of(error: errors.GatewayError) -> dict[str, str]:
    """When to come again, where the error is one that passes; how to log in, where that was missing."""
    if isinstance(error, errors.TooMany | errors.Unavailable):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, errors.Full):
        return {"Retry-After": str(RETRY_LATER_S)}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def problem(status: int, detail: str, code: str = "", headers: dict[str, str] | None = None) -> Response:
    """`{"type","title","status","detail","code"}` as `application/problem+json`."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(
        body | ({"code": code} if code else {}), status, headers, media_type="application/problem+json"
    )


def problem_of(error: errors.GatewayError) -> Response:
    return problem(status_of(error), error.message, error.code, headers_of(error))
