"""The headers every answer carries, so that a browser runs and shows nothing but our own files."""

import re
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?\Z|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?\Z")
_CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'{sockets}; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


# Without includeSubDomains and preload: they would decide for hosts that are not ours.
_HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}
# The choice that says whether browsers are told so; see declared_choices.py.
HSTS = "web.hsts"


def security_headers(host: str) -> dict[str, str]:
    """For a request to `host`. Its websockets are named because older browsers need it."""
    sockets = f" ws://{host} wss://{host}" if _HOST.match(host) else ""
    return {**_ALWAYS, "Content-Security-Policy": _CSP.format(sockets=sockets)}


class SecurityHeaders:
    """Adds the headers; nothing is stored by browsers or proxies unless the answer itself says so."""

    def __init__(self, app: ASGIApp, hsts: Callable[[], bool] = lambda: True) -> None:
        self.app = app
        self._hsts = hsts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ours = security_headers(Headers(scope=scope).get("host", ""))
        if scope.get("scheme") == "https" and self._hsts():
            ours |= _HTTPS_ONLY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.update(ours)
            await send(message)

        await self.app(scope, receive, send_with_headers)
