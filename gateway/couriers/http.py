"""HTTP out of the house: one POST, no redirects, no proxies, nothing of the answer kept."""

import asyncio
import importlib
import ssl
from typing import Any

from gateway.core.errors import Said
from gateway.core.notify.post import Undelivered

TIMEOUT_S = 15.0
# The first that fits.
_REASONS = (
    ("certificate", Said("Its certificate is not trusted.")),
    ("gaierror", Said("Its name is not known.")),
    ("resolution", Said("Its name is not known.")),
    ("ssl", Said("No encrypted connection comes about.")),
    ("connect", Said("Nobody answers there.")),
)


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
        raise Undelivered(_reason(error)) from None
    if not 200 <= status < 300:
        raise _refusal(status)


def _refusal(status: int) -> Undelivered:
    refused = 300 <= status < 500 and status not in (408, 429)
    if status < 400:
        why = Said("It answered %(status)s; redirects are not followed.", status=status)
    else:
        why = Said("It answered %(status)s.", status=status)
    return Undelivered(why, refused=refused)


def _reason(error: BaseException) -> Said:
    """A sentence by what caused it; the texts of the failure itself may quote the address."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(texts) < 10:
        texts.append(f"{type(cause).__name__} {cause}".lower())
        cause = cause.__cause__ or cause.__context__
    whole = " ".join(texts)
    for mark, said in _REASONS:
        if mark in whole:
            return said
    return Said("It cannot be reached (%(reason)s).", reason=type(error).__name__)
