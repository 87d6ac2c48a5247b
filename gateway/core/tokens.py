"""Secrets that prove who somebody is: made here, shown once, kept as digests, compared in constant time."""

import hmac
import secrets
import string
from hashlib import sha256

_ALPHABET = string.ascii_letters + string.digits
# 62**43 is just above 2**256.
TOKEN_LENGTH = 43
_NOBODY = "0" * 64


def new_token() -> str:
    """256 random bits as letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(TOKEN_LENGTH))


def digest(token: str) -> str:
    return sha256(token.encode(errors="surrogatepass")).hexdigest()


def matches(token: object, known_digest: str) -> bool:
    """Whether a token belongs to a digest. Empty, missing or non-string never matches; constant time."""
    given = token if isinstance(token, str) else ""
    same = hmac.compare_digest(digest(given), known_digest or _NOBODY)
    return same and bool(given) and bool(known_digest)
