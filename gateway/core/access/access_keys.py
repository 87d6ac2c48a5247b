"""The keys that sign access tokens: made from the gateway's own, named by a `kid`, changed when asked."""

import asyncio
import hmac
from hashlib import sha256
from typing import Any

import jwt
import msgspec

from gateway.core import audit, clock
from gateway.core.errors import Forbidden
from gateway.core.events import Hub
from gateway.core.rights import Person, may_administer
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

ACCESS_S = 600
ISSUER = "passerelle"
AUDIENCE = "passerelle:api"
ALGORITHM = "HS256"
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "sid", "typ"]
KEPT_AS = "access_keys"


class Round(msgspec.Struct, frozen=True):
    """Which key it is by now, and since when (UTC ms)."""

    number: int = 1
    since_ms: int = 0


class AccessKeys:
    """The key of now, and the one before it for as long as tokens that it signed may live."""

    def __init__(self, store: Store, hub: Hub, signing_key: str) -> None:
        self._store = store
        self._hub = hub
        self._master = signing_key.encode()
        self._changing = asyncio.Lock()
        self.round = Round()

    async def load(self) -> None:
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == KEPT_AS))
        if row is not None:
            self.round = msgspec.json.decode(row.value, type=Round)

    @property
    def kid(self) -> str:
        """The name of the key that signs."""
        return _kid(self._key(self.round.number))

    async def rotate(self, by: Person) -> str:
        """Sign with a new key; returns its `kid`. Tokens of the one before live out their time."""
        if not may_administer(by):
            raise Forbidden("Only an admin changes the key that signs access tokens.")
        async with self._changing:
            following = Round(self.round.number + 1, clock.now_ms())
            kid = _kid(self._key(following.number))
            await self._store.run(lambda: _keep(following, kid, by.name))
            self.round = following
        self._hub.acted("access_key.rotate", "access tokens", by, kid=kid)
        return kid

    def sign(self, person_id: int, session_id: int) -> str:
        now_s = clock.now_ms() // 1000
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "typ": "access", "sub": str(person_id), "sid": session_id,
            "iat": now_s, "exp": now_s + ACCESS_S,
        }  # fmt: skip
        key = self._key(self.round.number)
        return jwt.encode(claims, key, ALGORITHM, headers={"kid": _kid(key)})

    def read(self, access_token: str) -> dict[str, Any] | None:
        """The claims of a token that one of our keys signed and that is good now; None for any fault.

        The `kid` only chooses among our keys; it is never a path, an address or a key itself.
        """
        try:
            key = self._living().get(str(jwt.get_unverified_header(access_token).get("kid")))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                access_token, key, [ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
                options={"require": REQUIRED},
            )  # fmt: skip
            good = claims["typ"] == "access" and claims["exp"] - claims["iat"] <= ACCESS_S
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            return None
        return claims if good else None

    def _living(self) -> dict[str, bytes]:
        numbers = [self.round.number]
        if self.round.number > 1 and clock.now_ms() < self.round.since_ms + ACCESS_S * 1000:
            numbers.append(self.round.number - 1)
        return {_kid(key): key for key in map(self._key, numbers)}

    def _key(self, number: int) -> bytes:
        return hmac.digest(self._master, f"access tokens {number}".encode(), "sha256")


def _kid(key: bytes) -> str:
    """A name that tells nothing of the key."""
    return sha256(b"kid " + key).hexdigest()[:16]


def _keep(following: Round, kid: str, by: str) -> None:
    upsert(SettingRow, [{"key": KEPT_AS, "value": msgspec.json.encode(following).decode()}])
    audit.write("access_key.rotate", "access tokens", by, kid=kid)
