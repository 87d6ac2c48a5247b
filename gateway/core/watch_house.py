"""The gateway's own health: its disk, its database, its certificates, and whether it was away."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.core import clock
from gateway.core.alert_rules import AlertRules
from gateway.core.alerts import Alerts
from gateway.core.choices import Choices
from gateway.core.errors import Said
from gateway.core.events import Event, Hub
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

DISK, DATABASE, CERTIFICATE, GATEWAY = "disk", "database", "certificate", "gateway"
LOOK_S = 60.0
UNWELL_S = 5.0
MB = 1_000_000
DAY_MS = 86_400_000
WARN_DAYS = 30
ALIVE = "alerts.alive"
# What a house without a rule for modules that are away takes for a long time.
LONG_MINUTES = 10


@dataclass(frozen=True, slots=True)
class CertificateSeen(Event):
    """A certificate that we show to others is in use; said at the start and whenever it was loaded anew.

    `name` tells it from our others; `expires_at_ms` UTC.
    """

    name: str
    expires_at_ms: int


class HouseWatch:
    """`free_bytes` tells the room on the disk that holds the data."""

    def __init__(
        self,
        hub: Hub,
        store: Store,
        choices: Choices,
        alerts: Alerts,
        rules: AlertRules,
        folder: Path,
        now_s: Callable[[], float],
    ) -> None:
        self._store = store
        self._choices = choices
        self._alerts = alerts
        self._rules = rules
        self._now_s = now_s
        self._looked_s = float("-inf")
        self._unwell_s: float | None = None
        self._certificates: dict[str, int] = {}
        self.free_bytes: Callable[[], int] = lambda: shutil.disk_usage(folder).free
        hub.subscribe(CertificateSeen, self._certificate_seen)

    async def load(self, *, watched: bool) -> None:
        """`watched`: whether there are modules that could have missed us."""
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == ALIVE))
        minutes = (clock.now_ms() - msgspec.json.decode(row.value, type=int)) // 60_000 if row else 0
        if watched and minutes >= (self._rules.default or LONG_MINUTES):
            self._alerts.note(GATEWAY, Said("The gateway was away for %(minutes)s minutes.", minutes=minutes))

    def tick(self) -> None:
        self._look_at_the_database()
        if self._now_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = self._now_s()
        self._look_at_the_disk()
        for name in self._certificates:
            self._look_at(name)
        alive = msgspec.json.encode(clock.now_ms()).decode()
        self._store.submit(lambda: upsert(SettingRow, [{"key": ALIVE, "value": alive}]))

    def _look_at_the_database(self) -> None:
        if self._store.healthy:
            self._unwell_s = None
            self._alerts.close(DATABASE, "", Said("The database takes writes again."))
            return
        if self._unwell_s is None:
            self._unwell_s = self._now_s()
        if self._now_s() - self._unwell_s >= UNWELL_S:
            text = Said("The database cannot take writes; what arrives waits in memory.")
            self._alerts.open(DATABASE, "", text)

    def _look_at_the_disk(self) -> None:
        least = self._choices.number("alerts.disk_megabytes")
        try:
            free = self.free_bytes() // MB
        except OSError:
            return  # the database will say that it cannot write
        if free < least:
            text = Said("The disk is nearly full: %(free)s MB are left.", free=free)
            self._alerts.open(DISK, "", text)
        elif free >= least + least // 10:
            self._alerts.close(DISK, "", Said("The disk has room again: %(free)s MB.", free=free))

    def _certificate_seen(self, event: CertificateSeen) -> None:
        self._certificates[event.name] = event.expires_at_ms
        self._look_at(event.name)

    def _look_at(self, name: str) -> None:
        days = (self._certificates[name] - clock.now_ms()) // DAY_MS
        if days < 0:
            text = Said("The certificate %(name)s has expired.", name=name)
            self._alerts.open(CERTIFICATE, f"{name} expired", text)
        if days < WARN_DAYS:
            text = Said("The certificate %(name)s expires in %(days)s days.", name=name, days=max(0, days))
            self._alerts.open(CERTIFICATE, name, text)
            return
        text = Said("The certificate %(name)s was renewed.", name=name)
        self._alerts.close(CERTIFICATE, name, text)
        self._alerts.close(CERTIFICATE, f"{name} expired", text)
