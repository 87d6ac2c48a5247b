"""What is done while a request is answered says in the audit trail where the request came from."""

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core import audit


class Origins:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        with audit.coming_from(client[0] if client else ""):
            await self.app(scope, receive, send)
