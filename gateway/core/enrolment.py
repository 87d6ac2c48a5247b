"""How an unknown device becomes a waiting module, or a known one gets back in. Never shows what exists."""

import re
import secrets
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import msgspec

from gateway.core import audit, clock, records, tokens
from gateway.core.bootstrap import Bootstrap
from gateway.core.errors import Conflict, Forbidden, Full, Invalid, NotFound, Rejected
from gateway.core.events import CredentialsChanged, FirmwareReported, Hub, WaitingChanged
from gateway.core.joining import Joining
from gateway.core.limits import Throttle
from gateway.core.proof import Proofs
from gateway.core.records import Digests
from gateway.core.registry import Registry
from gateway.core.types import Types
from gateway.core.values import Application, Claim, Granted, Module

VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
# Words that stand in the place of a module id in paths, and so can be nobody's id.
RESERVED_IDS = frozenset({"register", "discovery", "labels", "rows", "bulk", "import"})
MAX_TEXT = 200
MAX_INFORMATION = 4096
RETRY_AFTER_S = 10
CHOSEN_LENGTH = (16, 128)
BURST = 60
EVERY_S = 1.0
# The same for an unknown serial, a wrong key and a known serial with a bootstrap key.
WRONG_KEY = "Serial or shared key is wrong."
_LETTERS = string.ascii_uppercase + string.digits


class Enrolment:
    def __init__(
        self,
        registry: Registry,
        joining: Joining,
        types: Types,
        bootstrap: Bootstrap,
        proofs: Proofs,
        hub: Hub,
        *,
        pending_ttl_s: int,
        pending_max: int,
        rate_limits: bool,
    ) -> None:
        self._registry = registry
        self._joining = joining
        self._types = types
        self._bootstrap = bootstrap
        self._proofs = proofs
        self._hub = hub
        self._pending_ttl_s = pending_ttl_s
        self._pending_max = pending_max
        self._arriving = 0
        self.throttle = Throttle(BURST, EVERY_S, enabled=rate_limits)
        # By a bootstrap key, which many know, as many of a type get in as might wait meanwhile.
        self.let_in = Throttle(pending_max, pending_ttl_s / pending_max, enabled=rate_limits)

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
        if known is not None and self._may_come_in(known, application):
            return await self._come_in(known, application, address, token)
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
                raise Invalid(
                    "Serial and hardware are texts of at most %(max_text)s characters.", max_text=MAX_TEXT
                )
        if len(msgspec.json.encode([application.information, application.firmware])) > MAX_INFORMATION:
            raise Invalid(
                "Information and firmware may take %(max_information)s bytes together.",
                max_information=MAX_INFORMATION,
            )

    async def _with_key(
        self, known: Module | None, application: Application, address: str, token: str
    ) -> Granted:
        right = self._registry.knows_key(known, application.shared_key)
        opens = self._bootstrap.opens(application.type, application.shared_key)
        if known is None and opens and is_valid_id(application.serial or ""):
            return await self._let_in(application, address, token)
        # One sentence for an unknown serial, a wrong key and a module without one.
        if known is None or not right:
            raise Forbidden(WRONG_KEY)
        if self._registry.digests(known).token:
            return await self._claim(known, application, address, token)
        return await self._come_in(known, application, address, token)

    def _may_come_in(self, known: Module, application: Application) -> bool:
        """Listed without a secret: it is expected, and somebody has opened a window for its type."""
        listed = self._registry.digests(known).listed and known.type == application.type
        join = self._joining.join
        window = join.mode == "window" and join.is_open(clock.now_ms(), known.type)
        return listed and window and not self._proofs.required

    async def _come_in(self, known: Module, application: Application, address: str, token: str) -> Granted:
        """One that a person has entered gets its own token."""
        before = self._registry.digests(known)
        digests = msgspec.structs.replace(before, token=tokens.digest(token))
        if before.listed:
            self._joining.count_in()
            digests = Digests(tokens.digest(token))
        module = await self._registry.change(
            known, known.id, "module.register", digests=digests, note={"address": address},
            registered_at_ms=clock.now_ms(), **_told(application, address),
        )  # fmt: skip
        self._report(module.id, application)
        return _approved(module.id, token)

    async def _let_in(self, application: Application, address: str, token: str) -> Granted:
        """A serial that nobody knew, by the key of its type: approved at once, with a token of its own."""
        self._joining.check(application.type)
        self.let_in.spend(application.type, "Too many of this type came in by its bootstrap key.")
        draft = self._draft(
            application, address, life="approved", decided_by="bootstrap key", decided_at_ms=clock.now_ms()
        )
        self._joining.count_in()
        if (module := await self._insert(draft, token, "module.bootstrap")) is None:
            raise Forbidden(WRONG_KEY)
        self._report(module.id, application)
        return _approved(module.id, token)

    async def _newcomer(self, application: Application, address: str, token: str) -> Granted:
        draft = self._draft(application, address, life="pending", expires_at_ms=self._expiry_ms())
        with self._place():
            module = await self._insert(draft, token, "module.register")
        if module is None:
            return await self._claim(self._registry.get(draft.id), application, address, token)
        self._report(module.id, application)
        return self._pending(module.id, token, module.expires_at_ms)

    def _draft(self, application: Application, address: str, **standing: Any) -> Module:
        serial = application.serial or ""
        return Module(
            id=serial if is_valid_id(serial) else self._generated_id(application.type),
            number=0,
            uuid=records.new_uuid(),
            name=_text(application.information.get("name")),
            location=_text(application.information.get("location")),
            type=application.type,
            created_at_ms=clock.now_ms(),
            registered_at_ms=clock.now_ms(),
            **standing,
            **_told(application, address),
        )

    async def _insert(self, draft: Module, token: str, action: str) -> Module | None:
        """The new module; None when somebody registered the same serial in this very moment."""

        def note() -> None:
            audit.write(action, draft.id, draft.id, address=draft.address, type=draft.type)

        try:
            (module,) = await self._registry.insert([(draft, Digests(tokens.digest(token)))], note)
        except Conflict:
            return None
        return module

    async def _ask_again(self, module: Module, application: Application, token: str) -> Granted:
        """The same newcomer from the same address, who never got our answer: a new token, the old expiry."""
        self._proofs.forget(self._registry.digests(module).token)
        await self._registry.change(
            module, module.id, "module.register", digests=Digests(tokens.digest(token)),
            note={"address": module.address}, **_told(application, module.address),
        )  # fmt: skip
        self._hub.publish(CredentialsChanged(module.id, "replaced"))
        self._report(module.id, application)
        return self._pending(module.id, token, module.expires_at_ms)

    async def _claim(self, module: Module, application: Application, address: str, token: str) -> Granted:
        """A known serial without its token: an item beside the untouched module."""
        draft = Claim(
            number=0,
            module_id=module.id,
            created_at_ms=clock.now_ms(),
            expires_at_ms=self._expiry_ms(),
            hardware=application.hardware,
            firmware=firmware_said(application.firmware).get("serial", ""),
            information=application.information,
            address=address,
        )
        earlier = self._registry.claim_of(module.id, address)
        with nullcontext() if earlier is not None else self._place():
            claim = await self._registry.add_claim(draft, token)
        self._hub.publish(WaitingChanged())
        return self._pending(module.id, token, claim.expires_at_ms)

    def _report(self, id: str, application: Application) -> None:
        if said := firmware_said(application.firmware):
            self._hub.publish(FirmwareReported(id, said, "register", id))

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


def firmware_said(firmware: Mapping[str, Any]) -> dict[str, str]:
    """What a device says that it runs: those of `serial`, `digest` and `version` that it named."""
    said = {name: _text(firmware.get(name)) for name in ("serial", "digest", "version")}
    return {name: text for name, text in said.items() if text}


def _told(application: Application, address: str) -> dict[str, Any]:
    """What a device said of itself, as fields of a module; its word on firmware is checked by others."""
    told = {
        "hardware": application.hardware, "information": application.information, "address": address,
    }  # fmt: skip
    serial = firmware_said(application.firmware).get("serial")
    return told | {"reported_firmware": serial} if serial else told


def _approved(id: str, token: str) -> Granted:
    return Granted(id=id, token=token, status="approved", expires_at_ms=None, retry_after_s=0)


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _chosen(token: str) -> str:
    shortest, longest = CHOSEN_LENGTH
    if not shortest <= len(token) <= longest:
        raise Invalid(
            "A password that is built into a device has %(shortest)s to %(longest)s characters.",
            shortest=shortest,
            longest=longest,
        )
    return token
