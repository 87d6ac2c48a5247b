"""Whether newcomers may register: always, while a window is open, or never. The end of a window is stored."""

import asyncio

import msgspec

from gateway.core import audit, clock
from gateway.core.errors import Closed, Forbidden, Invalid
from gateway.core.events import Hub, JoinChanged
from gateway.core.rights import Person, may_manage
from gateway.core.values import Join
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

KEY = "join"
MODES = ("open", "window", "closed")
WINDOW_S = (10, 3600)


class Joining:
    def __init__(self, store: Store, hub: Hub, default_mode: str) -> None:
        self._store = store
        self._hub = hub
        self._changing = asyncio.Lock()
        self.join = msgspec.convert({"mode": default_mode}, Join)

    async def load(self) -> None:
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == KEY))
        if row is not None:
            self.join = msgspec.json.decode(row.value, type=Join)

    async def set(
        self, mode: str, by: Person, *, seconds: int = 300, type: int | None = None, quota: int | None = 20
    ) -> Join:
        """Open, close, or open for a while (10-3600 s) with a type filter and a quota."""
        if not may_manage(by):
            raise Forbidden("Only a technician or an admin may open or close registration.")
        if mode not in MODES:
            raise Invalid("Join must be one of %(modes)s.", modes=", ".join(MODES))
        if mode != "window":
            return await self._keep(msgspec.convert({"mode": mode}, Join), by)
        if not WINDOW_S[0] <= seconds <= WINDOW_S[1]:
            raise Invalid(
                "A window is open for %(window_s)s to %(window_s_2)s seconds.",
                window_s=WINDOW_S[0],
                window_s_2=WINDOW_S[1],
            )
        if quota is not None and quota < 1:
            raise Invalid("The quota of a window is at least 1.")
        until_ms = clock.now_ms() + seconds * 1000
        return await self._keep(Join(mode="window", until_ms=until_ms, type=type, quota_left=quota), by)

    async def _keep(self, join: Join, by: Person) -> Join:
        value, details = msgspec.json.encode(join).decode(), msgspec.to_builtins(join)
        details["before"] = msgspec.to_builtins(self.join)

        def work() -> None:
            upsert(SettingRow, [{"key": KEY, "value": value}])
            audit.write("join.set", KEY, by.name, **details)

        async with self._changing:
            await self._store.run(work)
            self.join = join
        self._hub.publish(JoinChanged(join))
        self._hub.acted("join.set", KEY, by, **details)
        return join

    def check(self, type_code: int, *, counted: bool = False) -> None:
        """Raises `Closed` when none of this type may come; `counted`: it is within the quota already."""
        join = msgspec.structs.replace(self.join, quota_left=None) if counted else self.join
        if not join.is_open(clock.now_ms(), type_code):
            raise Closed("This gateway takes no newcomers at the moment. Ask for the window to be opened.")

    def count_in(self) -> None:
        """One more has come in through the window."""
        if self.join.mode == "window" and self.join.quota_left is not None:
            self.join = msgspec.structs.replace(self.join, quota_left=self.join.quota_left - 1)
            value = msgspec.json.encode(self.join).decode()
            self._store.submit(lambda: upsert(SettingRow, [{"key": KEY, "value": value}]))
            self._hub.publish(JoinChanged(self.join))
