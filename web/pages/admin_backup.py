"""A backup of everything, downloaded by an admin."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.core.backups import MAX_PASSPHRASE, MIN_PASSPHRASE, last_backup
from gateway.core.errors import GatewayError, Invalid
from web.access import Access
from web.pages.table import Page
from web.visit import Visit

PATH = "/admin/backup"


class Download(StreamingResponse):
    """Lets go of what it `held`, however it ends."""

    def __init__(
        self, pieces: AsyncIterator[bytes], headers: dict[str, str], held: AbstractAsyncContextManager[object]
    ) -> None:
        super().__init__(pieces, headers=headers, media_type="application/octet-stream")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


async def show(visit: Visit) -> Response:
    return visit.page(
        "admin_backup.html",
        backup=await last_backup(visit.site.core.store),
        least=MIN_PASSPHRASE,
        most=MAX_PASSPHRASE,
    )


async def download(visit: Visit) -> Response:
    """The passphrase is never written down: who forgets it has no backup."""
    passphrase = str(visit.form.get("passphrase", ""))
    try:
        if passphrase != visit.form.get("again"):
            raise Invalid("The two passphrases are not the same.")
        return await _streamed(visit, passphrase)
    except GatewayError as error:
        return await show(replace(visit, refused=error))


async def _streamed(visit: Visit, passphrase: str) -> Response:
    """The backup is ready to leave before the answer begins, so that a refusal can still be said."""
    async with AsyncExitStack() as opening:
        pieces = await opening.enter_async_context(visit.site.roof.backups.streamed(passphrase, visit.person))
        held = opening.pop_all()
    name = f"passerelle-{datetime.now(UTC):%Y%m%d-%H%M}.backup"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Download(pieces, headers, held)


PAGES = [
    Page("GET", PATH, show, Access.ADMINISTER),
    Page("POST", PATH, download, Access.ADMINISTER, stale=show),
]
