"""The two sides of the instance dialect: programs and modules, each under the names it has on the wire."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from gateway.core.clients import Clients, checked_information, text_of
from gateway.core.enrolment import Enrolment
from gateway.core.errors import Forbidden, Invalid, NotFound, Unauthenticated
from gateway.core.mailbox import Party
from gateway.core.registry import Registry
from gateway.core.rights import Client
from gateway.core.values import Application, Module

GENERIC_TYPE = 7
MAX_HASH = 256
# What a node says of itself beside its information, kept with it.
HASH = "hash"
_NOT_VALID = "This token is not valid (any more)."

Parameters = Mapping[str, Any]


class Side(Protocol):
    word: str

    async def register(self, parameters: Parameters, address: str) -> dict[str, Any]:
        """What the newcomer is told, its token included."""

    def prove(self, token: object) -> Party:
        """Whose token it is; raises `Unauthenticated`, or `Forbidden` for one that must wait."""

    def entered(self, party: Party) -> None:
        """It logged in."""

    def describe(self, party: Party) -> dict[str, Any]:
        """What it says of itself; raises `NotFound` when it is nobody any more."""

    async def update(self, party: Party, parameters: Parameters) -> None: ...

    def find(self, key: str) -> Party | None: ...

    def name(self, party: Party) -> int | str: ...


class Programs:
    """Known by their number."""

    word = "client"

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def register(self, parameters: Parameters, address: str) -> dict[str, Any]:
        program, token = await self._clients.register(_information(parameters), address)
        return {"token": token, "id": program.id}

    def prove(self, token: object) -> Party:
        if (program := self._clients.by_token(token)) is None:
            raise Unauthenticated(_NOT_VALID)
        return Party("client", program.id)

    def entered(self, party: Party) -> None:
        self._clients.logged_in(party.number)

    def describe(self, party: Party) -> dict[str, Any]:
        return {"information": self._clients.get(party.number).information}

    async def update(self, party: Party, parameters: Parameters) -> None:
        await self._clients.update(party.number, _information(parameters))

    def find(self, key: str) -> Party | None:
        known = self._clients.known(int(key)) if is_number(key) else None
        return Party("client", known.id) if known else None

    def name(self, party: Party) -> int | str:
        return party.number

    def identity(self, party: Party) -> Client:
        return self._clients.get(party.number).identity


class Nodes:
    """Modules of the one registry, known by id, UUID or number."""

    word = "module"

    def __init__(self, registry: Registry, enrolment: Enrolment) -> None:
        self._registry = registry
        self._enrolment = enrolment

    async def register(self, parameters: Parameters, address: str) -> dict[str, Any]:
        application = _application(parameters, _information(parameters))
        granted = await self._enrolment.register(application, address)
        told: dict[str, Any] = {"token": granted.token, "id": granted.id, "status": granted.status}
        if granted.status == "pending":
            told |= {"expires_at": granted.expires_at_ms, "retry_after": granted.retry_after_s}
        return told

    def prove(self, token: object) -> Party:
        identity = self._registry.by_token(token)
        if identity is None:
            raise Unauthenticated(_NOT_VALID)
        if not identity.approved:
            raise Forbidden("This module waits for approval. Try again later.")
        return Party("module", self._registry.get(identity.id).number)

    def entered(self, party: Party) -> None:
        """The registry keeps no such time."""

    def describe(self, party: Party) -> dict[str, Any]:
        return described(self.module(party))

    async def update(self, party: Party, parameters: Parameters) -> None:
        """New information; a name or place that a person gave stays."""
        module, told = self.module(party), _information(parameters)
        changes: dict[str, Any] = {
            name: text_of(told, name)
            for name in ("name", "location")
            if name in told and getattr(module, name) == text_of(module.information, name)
        }
        changes |= {"information": told}
        if any(getattr(module, name) != value for name, value in changes.items()):
            note = {"changed": sorted(changes)}
            await self._registry.change(module, module.id, "module.update", note=note, **changes)

    def find(self, key: str) -> Party | None:
        try:
            module = self._registry.find(key)
        except NotFound:
            return None
        return Party("module", module.number) if module.life == "approved" else None

    def name(self, party: Party) -> int | str:
        module = self._registry.numbered(party.number)
        return module.id if module else party.number

    def module(self, party: Party) -> Module:
        module = self._registry.numbered(party.number)
        if module is None or module.life != "approved":
            raise NotFound("This module is not here any more.")
        return module


def described(module: Module) -> dict[str, Any]:
    """`information`, with the name and place that people know it by, and its `hash` where it gave one."""
    told = {name: value for name, value in module.information.items() if name != HASH}
    told |= {name: value for name in ("name", "location") if (value := getattr(module, name))}
    return {"information": told} | ({HASH: module.information[HASH]} if HASH in module.information else {})


def is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) <= 18


def _information(parameters: Parameters) -> dict[str, Any]:
    """The information, with the hash that may stand beside it."""
    told = checked_information(parameters.get("information", parameters.get("Information")))
    said = parameters.get(HASH)
    if said is None:
        return told
    if not isinstance(said, str | int) or len(str(said)) > MAX_HASH:
        raise Invalid("The hash is a text of at most %(max_hash)s characters.", max_hash=MAX_HASH)
    return told | {HASH: said}


def _application(parameters: Parameters, information: dict[str, Any]) -> Application:
    serial = parameters.get("serial", information.get("serial"))
    if serial is not None and not isinstance(serial, str):
        raise Invalid("The serial must be a text.")
    key = parameters.get("shared_key")
    if key is not None and not isinstance(key, str):
        raise Invalid("The shared key must be a text.")
    hardware = parameters.get("hardware", "")
    if not isinstance(hardware, str):
        raise Invalid("The hardware must be a text.")
    return Application(
        type=_type(parameters.get("type")), serial=serial or None, hardware=hardware,
        information=information, shared_key=key,
    )  # fmt: skip


def _type(value: object) -> int:
    """A number or its decimal string; the generic type where none is given."""
    if value is None or value == "":
        return GENERIC_TYPE
    if isinstance(value, str) and is_number(value):
        return int(value)
    try:
        return msgspec.convert(value, int)
    except msgspec.ValidationError:
        raise Invalid("The type must be a number.") from None
