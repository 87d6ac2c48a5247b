"""How an unknown device becomes a waiting module, or a known one gets back in. Never shows what exists."""

import re
import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec

from gateway.core import audit, clock, records, tokens
from gateway.core.errors import Conflict, Forbidden, Full, Invalid, NotFound, Rejected
from gateway.core.events import CredentialsChanged, Hub, WaitingChanged
from gateway.core.joining import Joining
from gateway.core.limits import Throttle
from gateway.core.records import Digests
from gateway.core.registry import Registry
from gateway.core.types import Types
from gateway.core.values import Application, Claim, Granted, Module

VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
# Words that stand in the place of a module id in paths, and so can be nobody's id.
RESERVED_IDS = frozenset({"register", "discovery", "labels"})
MAX_TEXT = 200
MAX_INFORMATION = 4096
RETRY_AFTER_S = 10
CHOSEN_LENGTH = (16, 128)
BURST = 60
EVERY_S = 1.0
_LETTERS = string.ascii_uppercase + string.digits


class Enrolment:
    def __init__(
        self,
        registry: Registry,
        joining: Joining,
        types: Types,
        hub: Hub,
        *,
        pending_ttl_s: int,
        pending_max: int,
        rate_limits: bool,
    ) -> None:
        self._registry = registry
        self._joining = joining
        self._types = types
        self._hub = hub
        self._pending_ttl_s = pending_ttl_s
        self._pending_max = pending_max
        self._arriving = 0
        self.throttle = Throttle(BURST, EVERY_S, enabled=rate_limits)

    async def register(
        self, application: Application, address: str, *, chosen_token: str | None = None
    ) -> Granted:
        """A device asks to be let in; it waits for approval, or is in at once when it knows its shared key.

        `chosen_token`: the secret that is built into the device and becomes its token, for firmware that
        cannot be given one (16 to 128 characters).
        Raises Invalid, TooMany, Closed, Rejected, Full, Forbidden (shared key), each with a sentence.
        """
        self.throttle.spend(address, "Too many registrations from this address.")
        self._check(application)
        token = _chosen(chosen_token) if chosen_token is not None else tokens.new_token()
        serial = application.serial or ""
        known = self._registry.known(serial) if is_valid_id(serial) else None
        if application.shared_key is not None:
            return await self._with_key(known, application, address, token)
        if known is not None and known.life == "rejected":
            raise Rejected("This module was rejected. A technician can take that back.")
        # One with a password of its own has shown it before; another password is another device.
        again = chosen_token is None and _is_waiting(known, address)
        self._joining.check(application.type, counted=again)
        if known is None:
            return await self._newcomer(application, address, token)
        if again:
            return await self._ask_again(known, application, token)
        return await self._claim(known, application, address, token)

    def _check(self, application: Application) -> None:
        try:
            self._types.get(application.type)
        except NotFound as unknown:
            raise Invalid(unknown.message) from None
        for text in (application.serial, application.hardware):
            if text is not None and len(text) > MAX_TEXT:
                raise Invalid(f"Serial and hardware are texts of at most {MAX_TEXT} characters.")
        if len(msgspec.json.encode([application.information, application.firmware])) > MAX_INFORMATION:
            raise Invalid(f"Information and firmware may take {MAX_INFORMATION} bytes together.")

    async def _with_key(
        self, known: Module | None, application: Application, address: str, token: str
    ) -> Granted:
        # One sentence for an unknown serial, a wrong key and a module without one.
        if known is None or not self._registry.knows_key(known, application.shared_key):
            raise Forbidden("Serial or shared key is wrong.")
        if self._registry.digests(known).token:
            return await self._claim(known, application, address, token)
        digests = msgspec.structs.replace(self._registry.digests(known), token=tokens.digest(token))
        module = await self._registry.change(
            known, known.id, "module.register", digests=digests, note={"address": address},
            registered_at_ms=clock.now_ms(), **_told(application, address),
        )  # fmt: skip
        return Granted(id=module.id, token=token, status="approved", expires_at_ms=None, retry_after_s=0)

    async def _newcomer(self, application: Application, address: str, token: str) -> Granted:
        serial = application.serial or ""
        draft = Module(
            id=serial if is_valid_id(serial) else self._generated_id(application.type),
            number=0,
            uuid=records.new_uuid(),
            name=_text(application.information.get("name")),
            location=_text(application.information.get("location")),
            type=application.type,
            life="pending",
            created_at_ms=clock.now_ms(),
            registered_at_ms=clock.now_ms(),
            expires_at_ms=self._expiry_ms(),
            **_told(application, address),
        )

        def note() -> None:
            audit.write("module.register", draft.id, draft.id, address=address, type=draft.type)

        with self._place():
            try:
                (module,) = await self._registry.insert([(draft, Digests(tokens.digest(token)))], note)
            except Conflict:
                # Somebody registered the same serial in this very moment.
                module = None
        if module is None:
            return await self._claim(self._registry.get(draft.id), application, address, token)
        return self._pending(module.id, token, module.expires_at_ms)

    async def _ask_again(self, module: Module, application: Application, token: str) -> Granted:
        """The same newcomer from the same address, who never got our answer: a new token, the old expiry."""
        await self._registry.change(
            module, module.id, "module.register", digests=Digests(tokens.digest(token)),
            note={"address": module.address}, **_told(application, module.address),
        )  # fmt: skip
        self._hub.publish(CredentialsChanged(module.id, "replaced"))
        return self._pending(module.id, token, module.expires_at_ms)

    async def _claim(self, module: Module, application: Application, address: str, token: str) -> Granted:
        """A known serial without its token: an item beside the untouched module."""
        draft = Claim(
            number=0,
            module_id=module.id,
            created_at_ms=clock.now_ms(),
            expires_at_ms=self._expiry_ms(),
            **_told(application, address),
        )
        earlier = self._registry.claim_of(module.id, address)
        with nullcontext() if earlier is not None else self._place():
            claim = await self._registry.add_claim(draft, token)
        self._hub.publish(WaitingChanged())
        return self._pending(module.id, token, claim.expires_at_ms)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place in the waiting room, counted before it is taken, as many may arrive at once."""
        if self._registry.waiting() + self._arriving >= self._pending_max:
            raise Full("Too many modules wait for approval already. Try again later.")
        self._joining.count_in()
        self._arriving += 1
        try:
            yield
        finally:
            self._arriving -= 1

    def _expiry_ms(self) -> int:
        return clock.now_ms() + self._pending_ttl_s * 1000

    def _generated_id(self, type_code: int) -> str:
        suffix = self._types.get(type_code).suffix
        while True:
            drawn = "".join(secrets.choice(_LETTERS) for _ in range(8))
            id = f"MC-{drawn}-{suffix}" if suffix else f"MC-{drawn}"
            if self._registry.known(id) is None:
                return id

    def _pending(self, id: str, token: str, expires_at_ms: int | None) -> Granted:
        return Granted(
            id=id, token=token, status="pending", expires_at_ms=expires_at_ms, retry_after_s=RETRY_AFTER_S
        )


def is_valid_id(serial: str) -> bool:
    return bool(VALID_ID.match(serial)) and serial.lower() not in RESERVED_IDS


def _is_waiting(known: Module | None, address: str) -> bool:
    return known is not None and known.life == "pending" and known.address == address


def _told(application: Application, address: str) -> dict[str, Any]:
    """What a device said of itself, as fields of a module or claim."""
    return {
        "hardware": application.hardware,
        "firmware": _text(application.firmware.get("serial")),
        "information": application.information,
        "address": address,
    }


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _chosen(token: str) -> str:
    shortest, longest = CHOSEN_LENGTH
    if not shortest <= len(token) <= longest:
        raise Invalid(f"A password that is built into a device has {shortest} to {longest} characters.")
    return token
