"""Access tokens that somebody made himself: all refused, whatever is wrong with them."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest

from gateway.core.errors import Unauthenticated
from tests.gateway.core.heart import PASSWORD, open_heart

pytestmark = pytest.mark.anyio
KEY = "k" * 40


async def admin(core):
    return await core.accounts.set_up(core.accounts.setup_secret, "ann", PASSWORD)


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


SIGNS = hmac.digest(KEY.encode(), b"access tokens 1", "sha256").decode("latin-1")
KID = hashlib.sha256(b"kid " + SIGNS.encode("latin-1")).hexdigest()[:16]


def by_hand(header, claims, key=SIGNS, digest=hashlib.sha256):
    body = f"{part(header)}.{part(claims)}"
    signature = hmac.new(key.encode("latin-1"), body.encode(), digest).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


HS256 = {"alg": "HS256", "typ": "JWT", "kid": KID}
ATTACKS = {
    "no signature": lambda c: f"{part({'alg': 'none', 'kid': KID})}.{part(c)}.",
    "none, oddly written": lambda c: f"{part({'alg': 'nOnE', 'kid': KID})}.{part(c)}.",
    "named RS256, signed with the secret": lambda c: by_hand({"alg": "RS256", "kid": KID}, c),
    "another HMAC": lambda c: by_hand({"alg": "HS512", "kid": KID}, c, digest=hashlib.sha512),
    "the gateway's own key": lambda c: by_hand(HS256, c, key=KEY),
    "no kid": lambda c: by_hand({"alg": "HS256"}, c),
    "the kid of nobody": lambda c: by_hand(HS256 | {"kid": "0" * 16}, c),
    "a kid that is a path": lambda c: by_hand(HS256 | {"kid": "../../secret.key"}, c),
    "a kid that is no text": lambda c: by_hand(HS256 | {"kid": ["a"]}, c),
    "too long a life": lambda c: by_hand(HS256, c | {"exp": c["iat"] + 86400}),
    "another key": lambda c: by_hand(HS256, c, key="x" * 40),
    "an empty key by kid": lambda c: by_hand(HS256 | {"kid": "/dev/null"}, c, key=""),
    "a key of its own": lambda c: by_hand(HS256 | {"jwk": {"kty": "oct", "k": "eHh4"}}, c, key="xxx"),
    "signature cut off": lambda c: by_hand(HS256, c).rsplit(".", 1)[0] + ".",
    "over": lambda c: by_hand(HS256, c | {"exp": int(time.time()) - 60}),
    "issued in the future": lambda c: by_hand(HS256, c | {"iat": int(time.time()) + 600}),
    "not yet": lambda c: by_hand(HS256, c | {"nbf": int(time.time()) + 600}),
    "another audience": lambda c: by_hand(HS256, c | {"aud": "other"}),
    "another issuer": lambda c: by_hand(HS256, c | {"iss": "other"}),
    "another purpose": lambda c: by_hand(HS256, c | {"typ": "refresh"}),
    "another person": lambda c: by_hand(HS256, c | {"sub": "2"}),
    "another session": lambda c: by_hand(HS256, c | {"sid": 4711}),
    "no session's number": lambda c: by_hand(HS256, c | {"sid": {"$gt": 0}}),
    "an endless session": lambda c: by_hand(HS256, c | {"sid": float("inf")}),
    "garbage": lambda c: "a.b.c",
    "nothing": lambda c: "",
    "not ASCII": lambda c: "é.é.é",
    "not even text": lambda c: "\ud800.b.c",
} | {f"no {name}": lambda c, name=name: by_hand(HS256, {k: v for k, v in c.items() if k != name})
     for name in ("exp", "iat", "iss", "aud", "sub", "sid", "typ")}  # fmt: skip


async def test_forged_access_tokens_are_nobody(tmp_path):
    async with open_heart(tmp_path) as core:
        await admin(core)
        sessions = core.accounts.sessions
        issued = await core.accounts.issue_tokens("ann", PASSWORD, "10.0.0.1")
        claims = jwt.decode(issued.access_token, options={"verify_signature": False})
        assert sessions.verify(by_hand(HS256, claims))[1].name == "ann"
        passed = [name for name, forge in ATTACKS.items() if sessions.verify(forge(claims)) is not None]
        assert passed == []
        # A program's refresh token is no cookie, and a cookie no refresh token.
        assert sessions.find(issued.refresh_token) is None
        _, cookie = await core.accounts.log_in("ann", PASSWORD, "10.0.0.1")
        with pytest.raises(Unauthenticated):
            await sessions.refresh(cookie)
