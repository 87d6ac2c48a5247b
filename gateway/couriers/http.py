"""HTTP out of the house: one POST, no redirects, no proxies, nothing of the answer kept."""

from typing import Any

from gateway.core.post import Undelivered

TIMEOUT_S = 15.0


async def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Returns when it was answered with 2xx; raises `Undelivered`, which never holds the address."""
    # A gateway without channels does not load it.
    import httpx

    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except httpx.TimeoutException:
        raise Undelivered("It did not answer in time.") from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        raise Undelivered(f"It cannot be reached ({_reason(error)}).") from None
    if not 200 <= status < 300:
        raise Undelivered(_refusal(status), refused=300 <= status < 500 and status not in (408, 429))


def _reason(error: Any) -> str:
    """The kind of failure; its text may quote the address."""
    cause = error.__cause__ or error.__context__
    text = f"{type(error).__name__} {cause}".lower()
    if "certificate" in text:
        return "its certificate is not trusted"
    return "connection refused" if "refused" in text else type(error).__name__


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed."
    return f"It answered {status}."
