"""What an admin chooses while the gateway runs: one table of declared choices, kept in the database.

Settings of the environment say how a gateway is run (ports, folders, keys); choices say how it behaves. A
part reads `choices.number("history.raw_days")` whenever it needs it, or listens for `ChoiceChanged`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core import audit
from gateway.core.errors import Forbidden, Invalid, NotFound
from gateway.core.events import Event, Hub
from gateway.core.rights import Person, may_administer
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

Value = bool | int | str
PREFIX = "choice:"
MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class ChoiceChanged(Event):
    name: str


class Choice(msgspec.Struct, frozen=True):
    """One declared choice. `group` is its section on the page; `label` and `hint` are what people read.

    Numbers lie within `low` and `high`; a text is one of `options` (code, words) where there are some.
    `secret`: written, never shown, and not in the audit trail either.
    """

    name: str
    group: str
    label: str
    default: Value
    hint: str = ""
    unit: str = ""
    low: int = 0
    high: int = 1_000_000
    options: tuple[tuple[str, str], ...] = ()
    secret: bool = False

    def check(self, value: object) -> Value:
        """The value, if it fits; raises `Invalid` with a sentence."""
        if isinstance(self.default, bool):
            return self._switch(value)
        if isinstance(self.default, int):
            return self._number(value)
        return self._text(value)

    def _switch(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Invalid("%(name)s is true or false.", name=self.name)
        return value

    def _number(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise Invalid(
                "%(name)s is a whole number from %(low)s to %(high)s.",
                name=self.name, low=self.low, high=self.high,
            )  # fmt: skip
        return value

    def _text(self, value: object) -> str:
        if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable():
            raise Invalid(
                "%(name)s is one line of at most %(most)s letters.", name=self.name, most=MAX_TEXT
            )
        codes = dict(self.options)
        if codes and value not in codes:
            raise Invalid(
                "%(name)s is one of %(known)s.", name=self.name, known=", ".join(codes)
            )
        return value


class Choices(Mapping[str, Value]):
    """All choices by name, with what was chosen or else the default."""

    def __init__(self, store: Store, hub: Hub, declared: tuple[Choice, ...]) -> None:
        self._store = store
        self._hub = hub
        self._declared = {choice.name: choice for choice in declared}
        self._chosen: dict[str, Value] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        for name, text in await self._store.run(_kept):
            choice = self._declared.get(name)
            # What an older or newer version kept may not fit this one: then the default holds.
            if choice is not None:
                try:
                    self._chosen[name] = choice.check(msgspec.json.decode(text))
                except (Invalid, msgspec.DecodeError):
                    continue

    def declared(self) -> list[Choice]:
        """In the order of the table."""
        return list(self._declared.values())

    def __getitem__(self, name: str) -> Value:
        return self._chosen.get(name, self._declared[name].default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def number(self, name: str) -> int:
        return int(self[name])

    def text(self, name: str) -> str:
        return str(self[name])

    def is_on(self, name: str) -> bool:
        return self[name] is True

    async def set(self, changes: Mapping[str, object], by: Person) -> None:
        """All of them or none. Raises `NotFound` for an unknown name and `Invalid` for a value."""
        if not may_administer(by):
            raise Forbidden("Only an admin changes how the gateway behaves.")
        async with self._changing:
            values = {name: self._checked(name, value) for name, value in changes.items()}
            changed = {name: value for name, value in values.items() if value != self[name]}
            if not changed:
                return
            note = {name: self._told(name, self[name], value) for name, value in changed.items()}
            await self._store.run(lambda: _keep(changed, by.name, note))
            self._chosen |= changed
        for name in changed:
            self._hub.publish(ChoiceChanged(name))
        self._hub.acted("settings.change", "settings", by, **note)

    def _checked(self, name: str, value: object) -> Value:
        if name not in self._declared:
            raise NotFound("There is no setting %(name)s.", name=name[:64])
        return self._declared[name].check(value)

    def _told(self, name: str, before: Value, after: Value) -> dict[str, Value]:
        """Before and after, as the audit trail has it; of a secret only that it changed."""
        if self._declared[name].secret:
            return {"changed": True}
        return {"before": before, "after": after}


def _kept() -> list[tuple[str, str]]:
    rows = SettingRow.select().where(SettingRow.key.startswith(PREFIX))
    return [(row.key.removeprefix(PREFIX), row.value) for row in rows]


def _keep(changed: Mapping[str, Value], by: str, note: dict[str, Any]) -> None:
    rows = [
        {"key": PREFIX + name, "value": msgspec.json.encode(value).decode()}
        for name, value in changed.items()
    ]
    upsert(SettingRow, rows)
    audit.write("settings.change", "settings", by, **note)
