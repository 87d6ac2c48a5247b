"""A page is a row: method, path, who may, and the function that answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.core.errors import Forbidden, Unauthenticated
from web.access import Access
from web.arrival import by_cookie, check_access, check_call, check_token, with_form
from web.body import BodyLimit
from web.pages import resume
from web.site import Site
from web.visit import Visit

Handler = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """`stale`: the page to show again, with what was typed, when a form's token is out of date.

    `files`: how many small files its form may have, within the bounds of every form.
    `streamed`: a form with a large file; its handler reads the body, within its own bounds, and checks the
    token.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    access: Access
    stale: Handler | None = None
    streamed: bool = False
    files: int = 0


def routes(site: Site, pages: list[Page]) -> list[Route]:
    bounds = [Middleware(BodyLimit)]
    return [
        Route(
            page.path,
            _endpoint(site, page),
            methods=[page.method],
            middleware=None if page.streamed else bounds,
        )
        for page in pages
    ]


def _endpoint(site: Site, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = by_cookie(request, site)
        try:
            check_access(visit, page.access)
        except Unauthenticated:
            if page.method == "POST" and not page.streamed and not page.files:
                return await resume.to_login(visit)
            return RedirectResponse(_login_path(request), 303)
        if page.method == "GET":
            return await page.handler(visit)
        if page.streamed:
            return await _streamed(visit, page)
        visit = await with_form(visit, page.files)
        try:
            return await _sent(visit, page)
        finally:
            await visit.form.close()

    return answer


async def _sent(visit: Visit, page: Page) -> Response:
    try:
        check_token(visit)
    except Forbidden as forbidden:
        return await _stale(replace(visit, refused=forbidden), page, forbidden)
    return await page.handler(visit)


async def _stale(visit: Visit, page: Page, forbidden: Forbidden) -> Response:
    """Nothing was done, and nothing that was typed is lost."""
    if page.stale is not None:
        return await page.stale(visit)
    asked = resume.outdated(visit) if visit.session is not None else None
    if asked is None:
        raise forbidden
    return asked


async def _streamed(visit: Visit, page: Page) -> Response:
    """A body that cannot bring the token in a field of its own must bring it in its header."""
    if not visit.request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        check_call(visit)
    return await page.handler(visit)


def _login_path(request: Request) -> str:
    if request.method != "GET" or request.url.path == "/":
        return "/login"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/login?next={quote(request.url.path + query, safe='')}"
