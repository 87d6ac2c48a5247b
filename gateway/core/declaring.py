"""Modules that a person enters before they ever spoke: every line is checked, and all are entered or none."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from gateway.core import audit, clock, records, tokens
from gateway.core.enrolment import is_valid_id
from gateway.core.errors import Conflict, Forbidden, GatewayError, Invalid, Said
from gateway.core.events import Hub
from gateway.core.records import LISTED, Digests
from gateway.core.registry import MAX_TEXT, Registry
from gateway.core.rights import Person, may_manage, may_see, name_of
from gateway.core.types import Types
from gateway.core.values import Module

# What a device proves itself with: its token from the start, a key for its first registration, or nothing,
# and then it is let in when it asks while a window is open.
Means = Literal["token", "key", "window"]
Entry = Mapping[str, Any]
Draft = tuple[Module, Digests]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with one line."""

    line: int
    message: str


class Declarations:
    def __init__(self, registry: Registry, types: Types, hub: Hub) -> None:
        self._registry = registry
        self._types = types
        self._hub = hub

    def faults(self, entries: Sequence[Entry]) -> list[Fault]:
        """Everything that keeps these entries from being entered, line by line."""
        return list(self._faults(entries))

    async def enter(
        self, entries: Sequence[Entry], by: Person | str, means: Means
    ) -> list[tuple[Module, str]]:
        """All of them or none; they are approved at once.

        Each entry has serial, type and optionally name, location, group, information. Returns each with its
        token or key, empty for `window`. Raises Invalid or Conflict for the first line that is wrong.
        """
        if isinstance(by, Person) and not may_manage(by):
            raise Forbidden("Only a technician or an admin enters devices.")
        if isinstance(by, Person):
            _check_reach(entries, by)
        # Thousands of secrets take their time, and the loop has others to serve.
        drafts, secrets = await asyncio.to_thread(self._drafts, entries, name_of(by), means)

        def note() -> None:
            about = [(draft.id, {"type": draft.type}) for draft, _ in drafts]
            audit.write_all(about, "module.declare", name_of(by))

        modules = await self._registry.insert(drafts, note)
        for module in modules:
            self._hub.acted("module.declare", module.id, by, type=module.type)
        return list(zip(modules, secrets, strict=True))

    def _drafts(self, entries: Sequence[Entry], by: str, means: Means) -> tuple[list[Draft], list[str]]:
        for fault in self._faults(entries):
            kind = Conflict if isinstance(fault, Taken) else Invalid
            raise kind("Entry %(line)s: %(fault)s", line=fault.line, fault=fault.message)
        drafts: list[Draft] = []
        secrets: list[str] = []
        for entry in entries:
            drawn = "" if means == "window" else tokens.new_token()
            drafts.append((_draft(entry, by), _digests(drawn, means)))
            secrets.append(drawn)
        return drafts, secrets

    def _faults(self, entries: Sequence[Entry]) -> Iterator[Fault]:
        lines: dict[str, int] = {}
        for line, entry in enumerate(entries, 1):
            try:
                self._check(entry)
            except GatewayError as error:
                yield Fault(line, error.message)
                continue
            serial = str(entry["serial"])
            earlier = lines.setdefault(serial.lower(), line)
            if earlier != line:
                said = Said("%(id)r stands in entry %(earlier)s already.", id=serial, earlier=earlier)
                yield Taken(line, said)
            elif self._registry.known(serial) is not None:
                yield Taken(line, Said("there is a module %(id)r already.", id=serial))

    def _check(self, entry: Entry) -> None:
        serial = str(entry.get("serial") or "")
        if not is_valid_id(serial):
            raise Invalid("%(serial)r is no serial (1-64 letters, digits, '_' or '-').", serial=serial[:64])
        try:
            self._types.get(int(entry.get("type", "")))
        except (ValueError, TypeError, OverflowError, GatewayError):
            raise Invalid("%(type)r is no known type.", type=str(entry.get("type"))[:64]) from None
        for name in ("name", "location", "group"):
            text = str(entry.get(name) or "")
            if len(text) > MAX_TEXT or any(letter < " " for letter in text):
                raise Invalid(
                    "the %(name)s must be one line of at most %(most)s characters.", name=name, most=MAX_TEXT
                )


def _check_reach(entries: Sequence[Entry], by: Person) -> None:
    """Whoever looks after some groups enters devices into these; raises `Forbidden`."""
    groups = {str(entry.get("group") or "") for entry in entries}
    if any(not may_see(by, None, group) for group in groups):
        raise Forbidden("You enter devices into your own groups only: give each of them its group.")


class Taken(Fault, frozen=True):
    """The line is right by itself, but there is one of this serial already."""


def _draft(entry: Entry, by: str) -> Module:
    return Module(
        id=str(entry["serial"]), number=0, uuid=records.new_uuid(), name=str(entry.get("name") or ""),
        location=str(entry.get("location") or ""), group=str(entry.get("group") or ""),
        type=int(entry["type"]), life="approved", declared=True, information=entry.get("information") or {},
        created_at_ms=clock.now_ms(), decided_by=by, decided_at_ms=clock.now_ms(),
    )  # fmt: skip


def _digests(drawn: str, means: Means) -> Digests:
    if means == "window":
        return Digests(shared_key=LISTED)
    digest = tokens.digest(drawn)
    return Digests(token=digest) if means == "token" else Digests(shared_key=digest)
