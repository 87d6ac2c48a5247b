"""One-time codes that change every half minute (TOTP, RFC 6238), as every authenticator app makes them."""

import hmac
from urllib.parse import quote, urlencode

DIGITS, STEP_S = 6, 30
# A phone's clock may be half a minute off, either way.
DRIFT = (0, -1, 1)


def code_of(secret: bytes, step: int) -> str:
    """The code of one time step (RFC 4226). The hash is what apps understand; HMAC is sound with it."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, code: str, after: int, now_s: int) -> int | None:
    """The time step that this is the code of, if it is near `now_s` and later than `after`."""
    given = "".join(code.split()).encode(errors="replace")
    near = [now_s // STEP_S + drift for drift in DRIFT]
    right = [step for step in near if hmac.compare_digest(code_of(secret, step).encode(), given)]
    return next((step for step in right if step > after), None)


def address_of(secret: str, account: str, issuer: str) -> str:
    """What a QR code tells an app; `secret` in base32."""
    label = f"{quote(issuer)}:{quote(account)}"
    rest = urlencode({"secret": secret, "issuer": issuer, "digits": DIGITS, "period": STEP_S})
    return f"otpauth://totp/{label}?{rest}"
