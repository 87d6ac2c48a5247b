"""Forms that do one thing and lead back to their page, which says what was done or why not."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.responses import Response

from gateway.core.errors import GatewayError
from web.access import Access
from web.notices import Notice
from web.pages.table import Handler, Page
from web.visit import Visit

Action = Callable[[Visit], Awaitable[Notice]]


def forms(back: str, show: Handler, actions: list[tuple[str, Action]]) -> list[Page]:
    """For admins: each action's form at its path; `show` is the page at `back`."""
    return [
        Page("POST", path, _then(back, show, action), Access.ADMINISTER, stale=show)
        for path, action in actions
    ]


def _then(back: str, show: Handler, action: Action) -> Handler:
    async def handler(visit: Visit) -> Response:
        try:
            notice = await action(visit)
        except GatewayError as error:
            return await show(replace(visit, refused=error))
        return visit.go(back, notice)

    return handler
