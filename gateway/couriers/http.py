"""HTTP out of the house: one POST, no redirects, no proxies, nothing of the answer kept."""

import asyncio
import importlib
import ssl
from typing import Any

from gateway.core.errors import Said
from gateway.core.post import Undelivered

TIMEOUT_S = 15.0


async def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Returns when it was answered with 2xx; raises `Undelivered`, which never holds the address."""
    # A gateway without channels does not load it, and one with channels not on the loop.
    httpx: Any = await asyncio.to_thread(importlib.import_module, "httpx")
    trust = await asyncio.to_thread(ssl.create_default_context)
    options = {"timeout": TIMEOUT_S, "follow_redirects": False, "trust_env": False, "verify": trust}
    try:
        async with (
            httpx.AsyncClient(**options) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            status = int(answer.status_code)
    except httpx.TimeoutException:
        raise Undelivered(Said("It did not answer in time.")) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        raise Undelivered(Said("It cannot be reached (%(reason)s).", reason=_reason(error))) from None
    if not 200 <= status < 300:
        raise _refusal(status)


def _refusal(status: int) -> Undelivered:
    refused = 300 <= status < 500 and status not in (408, 429)
    if status < 400:
        why = Said("It answered %(status)s; redirects are not followed.", status=status)
    else:
        why = Said("It answered %(status)s.", status=status)
    return Undelivered(why, refused=refused)


def _reason(error: Exception) -> str:
    """The kind of failure; its text may quote the address."""
    cause = error.__cause__ or error.__context__
    text = f"{type(error).__name__} {error} {cause}".lower()
    if "certificate" in text:
        return Said("its certificate is not trusted")
    if ("name" in text and "known" in text) or "resolution" in text:
        return Said("its name is not known")
    return Said("connection refused") if "refused" in text else type(error).__name__
