"""Bounds on request bodies: size and time, refused before they are read where they say their length."""

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 1024 * 1024
BODY_TIMEOUT_S = 20.0


class BodyLimit:
    """Raises 413 for a body over `max_bytes` (declared or counted) and 408 for one that trickles.

    It stands inside the error pages, so that a refusal looks like any other of the same route.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal():
            raise HTTPException(400, "The Content-Length is not a number.")
        if int(declared[:20]) > self.max_bytes:
            raise self._too_large()
        await self.app(scope, self._bounded(receive), send)

    def _bounded(self, receive: Receive) -> Receive:
        deadline = asyncio.get_running_loop().time() + self.timeout_s
        got = 0
        whole = False

        async def bounded() -> Message:
            nonlocal got, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The request's body took too long to arrive.") from None
            got += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if got > self.max_bytes:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"The request is larger than {self.max_bytes} bytes.")
