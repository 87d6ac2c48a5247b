"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

import base64
import logging
import secrets
from collections import OrderedDict
from typing import Any

import msgspec

from gateway.core import audit, clock, tokens
from gateway.core.access import totp
from gateway.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from gateway.core.events import Hub, PersonChanged
from gateway.core.rights import Person, may_administer, name_of
from gateway.core.sealing import Seal
from gateway.core.values import Confidential
from gateway.storage.models_people import FactorRow, RecoveryRow
from gateway.storage.store import Store

log = logging.getLogger(__name__)

ISSUER = "Passerelle"
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_LENGTH = 16
# Without letters that look like others.
_ALPHABET = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
OFFER_MS = 10 * 60_000
MAX_OFFERS = 1000


class SecondFactorNeeded(Unauthenticated):
    """The password was right; a code of the second factor must come with it."""

    code = "second_factor"


class Offer(Confidential, frozen=True):
    """What an authenticator app is told: `secret` in base32, and the same as an address for a QR code."""

    secret: str
    address: str
    until_ms: int


class _Factor(msgspec.Struct):
    """`secret` None: it cannot be read, because the gateway's key is another one."""

    secret: bytes | None
    last_step: int
    recovery: set[str]


class SecondFactors:
    """All of them in memory. Secrets are kept sealed with a key made from the gateway's own."""

    def __init__(self, store: Store, hub: Hub, signing_key: str) -> None:
        self._store = store
        self._hub = hub
        self._seal = Seal(signing_key, "second factors")
        self._factors: dict[int, _Factor] = {}
        self._offers: OrderedDict[int, Offer] = OrderedDict()

    async def load(self) -> None:
        rows, codes = await self._store.run(lambda: (list(FactorRow.select()), list(RecoveryRow.select())))
        for row in rows:
            known = {code.digest for code in codes if code.user_id == row.user_id}
            secret = self._opened(row.user_id, row.secret)
            self._factors[row.user_id] = _Factor(secret, row.last_step, known)

    def is_on(self, person_id: int) -> bool:
        return person_id in self._factors

    def codes_left(self, person_id: int) -> int:
        """How many recovery codes were not used yet."""
        factor = self._factors.get(person_id)
        return len(factor.recovery) if factor else 0

    # Turning it on and off

    def offer(self, person: Person) -> Offer:
        """A new secret for this person's app; it counts once a code of it came back, within ten minutes."""
        if self.is_on(person.id):
            raise Conflict("There is a second factor already; turn it off first.")
        raw = secrets.token_bytes(SECRET_BYTES)
        secret = base64.b32encode(raw).decode()
        address = totp.address_of(secret, person.name, ISSUER)
        offer = Offer(secret, address, clock.now_ms() + OFFER_MS)
        self._offers.pop(person.id, None)
        self._offers[person.id] = offer
        if len(self._offers) > MAX_OFFERS:
            self._offers.popitem(last=False)
        return offer

    def offered(self, person_id: int) -> Offer | None:
        offer = self._offers.get(person_id)
        return offer if offer and clock.now_ms() < offer.until_ms else None

    async def confirm(self, person: Person, code: str) -> list[str]:
        """Turn it on with the first code of the app; returns the recovery codes, shown once."""
        offer = self.offered(person.id)
        if offer is None:
            raise Invalid("That took too long, or was not begun here; begin again.")
        raw = base64.b32decode(offer.secret)
        step = totp.step_of(raw, code, 0, _now_s())
        if step is None:
            raise Invalid("This code does not fit. Check that the clock of your phone is right.")
        codes, digests = _new_codes(person.id)
        sealed = self._sealed(person.id, raw)
        await self._store.run(lambda: _turn_on(person, sealed, step, digests))
        self._offers.pop(person.id, None)
        self._factors[person.id] = _Factor(raw, step, set(digests))
        self._changed(person.id, person.name, "user.second_factor_on", person)
        return codes

    async def renew_codes(self, person: Person) -> list[str]:
        """Ten new recovery codes; those before are worth nothing."""
        factor = self._factor(person.id)
        codes, digests = _new_codes(person.id)
        await self._store.run(lambda: _renew(person, digests))
        factor.recovery = set(digests)
        self._hub.acted("user.recovery_codes", person.name, person)
        return codes

    async def remove(self, person_id: int, username: str, by: Person | str) -> None:
        """Turn it off: one's own, or as an admin somebody else's who has lost it."""
        if isinstance(by, Person) and by.id != person_id and not may_administer(by):
            raise Forbidden("Only an admin removes somebody else's second factor.")
        self._factor(person_id)
        await self._store.run(lambda: _turn_off(person_id, username, name_of(by)))
        self._factors.pop(person_id, None)
        self._changed(person_id, username, "user.second_factor_off", by)

    # Proving it

    async def check(self, person_id: int, code: str) -> bool:
        """Whether this code is right and was not used before; it is used up durably before the answer."""
        factor = self._factor(person_id)
        digits = "".join(code.split())
        if len(digits) == totp.DIGITS and digits.isascii() and digits.isdecimal():
            return await self._check_app(person_id, factor, digits)
        return await self._check_recovery(person_id, factor, code)

    async def _check_app(self, person_id: int, factor: _Factor, code: str) -> bool:
        if factor.secret is None:
            return False
        step = totp.step_of(factor.secret, code, factor.last_step, _now_s())
        if step is None:
            return False
        # At once, so that the same code twice at the same time is right once.
        factor.last_step = step
        update = FactorRow.update(last_step=step).where(FactorRow.user_id == person_id)
        await self._store.run(update.execute)
        return True

    async def _check_recovery(self, person_id: int, factor: _Factor, code: str) -> bool:
        digest = _digest(person_id, code)
        if digest not in factor.recovery:
            return False
        factor.recovery.discard(digest)
        used = RecoveryRow.delete().where(RecoveryRow.user_id == person_id, RecoveryRow.digest == digest)
        await self._store.run(used.execute)
        return True

    def _factor(self, person_id: int) -> _Factor:
        try:
            return self._factors[person_id]
        except KeyError:
            raise NotFound("There is no second factor to this account.") from None

    def _changed(self, person_id: int, username: str, action: str, by: Person | str) -> None:
        self._hub.publish(PersonChanged(person_id, username, "second_factor"))
        self._hub.acted(action, username, by)

    def _sealed(self, person_id: int, raw: bytes) -> str:
        """Together with whose it is, so that nobody's row can be put in the place of another's."""
        return self._seal.close(f"{person_id} {base64.b32encode(raw).decode()}")

    def _opened(self, person_id: int, sealed: str) -> bytes | None:
        """None when it was sealed under another key of the gateway: then recovery codes still work."""
        whose, _, secret = (self._seal.open(sealed) or "").partition(" ")
        if whose != str(person_id):
            log.warning("The second factor of user %d cannot be opened with this secret key.", person_id)
            return None
        return base64.b32decode(secret)


def _now_s() -> int:
    return clock.now_ms() // 1000


def _new_codes(person_id: int) -> tuple[list[str], list[str]]:
    """Codes as people read them, and what is kept of them."""
    plain = [_new_code() for _ in range(RECOVERY_CODES)]
    shown = ["-".join(code[at : at + 4] for at in range(0, RECOVERY_LENGTH, 4)) for code in plain]
    return shown, [_digest(person_id, code) for code in plain]


def _new_code() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(RECOVERY_LENGTH))


def _digest(person_id: int, code: str) -> str:
    letters = "".join(letter for letter in code[:100].upper() if letter in _ALPHABET)
    return tokens.digest(f"{person_id} {letters}")


def _turn_on(person: Person, sealed: str, step: int, digests: list[str]) -> None:
    now_ms = clock.now_ms()
    FactorRow.create(user_id=person.id, secret=sealed, last_step=step, created_at_ms=now_ms)
    _replace_codes(person.id, digests)
    audit.write("user.second_factor_on", person.name, person.name)


def _renew(person: Person, digests: list[str]) -> None:
    _replace_codes(person.id, digests)
    audit.write("user.recovery_codes", person.name, person.name)


def _replace_codes(person_id: int, digests: list[str]) -> None:
    RecoveryRow.delete().where(RecoveryRow.user_id == person_id).execute()
    rows: list[dict[str, Any]] = [{"user_id": person_id, "digest": digest} for digest in digests]
    RecoveryRow.insert_many(rows).execute()


def _turn_off(person_id: int, username: str, by: str) -> None:
    FactorRow.delete().where(FactorRow.user_id == person_id).execute()
    RecoveryRow.delete().where(RecoveryRow.user_id == person_id).execute()
    audit.write("user.second_factor_off", username, by)
