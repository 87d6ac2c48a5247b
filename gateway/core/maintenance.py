"""Maintenance: while it is on only admins log in. Those who are in stay, and see why."""

import asyncio

import msgspec

from gateway.core import audit, clock
from gateway.core.errors import Forbidden, Invalid, Unavailable
from gateway.core.events import Hub, MaintenanceChanged
from gateway.core.rights import Person, may_administer
from gateway.core.values import Maintenance
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

KEY = "maintenance"
MAX_REASON = 200
RETRY_AFTER_S = 60


class MaintenanceMode:
    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._changing = asyncio.Lock()
        self.state = Maintenance()

    async def load(self) -> None:
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
        if row is not None:
            self.state = msgspec.json.decode(row.value, type=Maintenance)

    async def set(self, on: bool, reason: str, by: Person) -> Maintenance:
        """Turn it on with a reason that everybody reads, change the reason, or turn it off."""
        if not may_administer(by):
            raise Forbidden("Only an admin turns maintenance on or off.")
        words = " ".join(reason.split()) if on else ""
        if len(words) > MAX_REASON or not words.isprintable():
            raise Invalid(
                "The reason is one line of at most %(max_reason)s characters.", max_reason=MAX_REASON
            )
        async with self._changing:
            before = self.state
            if (before.on, before.reason) == (on, words):
                return before
            since_ms = before.since_ms if before.on and on else clock.now_ms()
            after = Maintenance(on=on, reason=words, by=by.name, by_id=by.id, since_ms=since_ms)
            action = f"maintenance.{'on' if on else 'off'}"
            await self._store.run(lambda: _keep(after, action))
            self.state = after
        self._hub.publish(MaintenanceChanged(after))
        self._hub.acted(action, KEY, by, reason=words)
        return after

    def admit(self, person: Person) -> None:
        """Raises `Unavailable` for somebody who wants to log in and must wait until it is over."""
        if self.state.on and not may_administer(person):
            why = self.state.reason.rstrip(" .")
            because = f" ({why})" if why else ""
            raise Unavailable(
                "The gateway is in maintenance%(because)s. Until it is over only admins can log in.",
                RETRY_AFTER_S,
                because=because,
            )


def _keep(state: Maintenance, action: str) -> None:
    upsert(SettingRow, [{"key": KEY, "value": msgspec.json.encode(state).decode()}])
    audit.write(action, KEY, state.by, reason=state.reason)
