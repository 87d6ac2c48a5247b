"""When a module that is away becomes an alert: after so many minutes, by default and for each group."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from gateway.core import audit
from gateway.core.choices import Choices
from gateway.core.errors import Forbidden, Invalid
from gateway.core.events import Event, Hub
from gateway.core.rights import Person, may_administer
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

KEY = "alerts.groups"
DEFAULT = "alerts.offline_minutes"
MOST_MINUTES = 10_080
MOST_GROUPS = 200
MAX_GROUP = 200
NEVER = 0


@dataclass(frozen=True, slots=True)
class RulesChanged(Event):
    """Groups have other minutes from here on."""


class AlertRules:
    """`groups`: minutes by the name of a group; 0: never. Groups without a rule have the default."""

    def __init__(self, store: Store, hub: Hub, choices: Choices) -> None:
        self._store = store
        self._hub = hub
        self._choices = choices
        self._changing = asyncio.Lock()
        self.groups: Mapping[str, int] = {}

    async def load(self) -> None:
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
        if row is not None:
            self.groups = msgspec.json.decode(row.value, type=dict[str, int])

    @property
    def default(self) -> int:
        return self._choices.number(DEFAULT)

    def minutes(self, group: str) -> int:
        """After how many minutes; 0: never."""
        return self.groups.get(group, self.default) if group else self.default

    async def set(self, groups: Mapping[str, int], by: Person) -> None:
        """All rules of groups at once; a group that is not named has the default again."""
        if not may_administer(by):
            raise Forbidden("Only an admin decides what becomes an alert.")
        wanted = {name.strip(): _checked(name.strip(), minutes) for name, minutes in groups.items()}
        if len(wanted) > MOST_GROUPS:
            raise Invalid("At most %(most)s groups have a rule of their own.", most=MOST_GROUPS)
        async with self._changing:
            before = dict(self.groups)
            if before == wanted:
                return
            await self._store.run(lambda: _keep(wanted, before, by.name))
            self.groups = wanted
        self._hub.publish(RulesChanged())
        self._hub.acted("alerts.rules", "alerts", by, before=before, after=wanted)


def _checked(name: str, minutes: int) -> int:
    if not name or len(name) > MAX_GROUP or not name.isprintable():
        raise Invalid("The name of a group is 1 to %(most)s letters on one line.", most=MAX_GROUP)
    if not NEVER <= minutes <= MOST_MINUTES:
        raise Invalid(
            "For the group %(name)s: minutes are a whole number from 0 (never) to %(most)s.",
            name=name,
            most=MOST_MINUTES,
        )
    return minutes


def _keep(groups: dict[str, int], before: dict[str, int], by: str) -> None:
    upsert(SettingRow, [{"key": KEY, "value": msgspec.json.encode(groups).decode()}])
    audit.write("alerts.rules", "alerts", by, before=before, after=groups)
