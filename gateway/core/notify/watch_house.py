"""The gateway's own health: its disk, its database, its certificates, and whether it was away."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.core import clock
from gateway.core.certificates import WARN_DAYS, CertificateChanged, CertificateExpires
from gateway.core.choices import Choices
from gateway.core.errors import Said
from gateway.core.events import Hub
from gateway.core.notify.alert_rules import AlertRules
from gateway.core.notify.alerts import Alerts
from gateway.core.readings.room import HistoryHealthChanged
from gateway.storage.models import SettingRow, upsert
from gateway.storage.store import Store

DISK, DATABASE, CERTIFICATE, GATEWAY = "disk", "database", "certificate", "gateway"
LOOK_S = 60.0
UNWELL_S = 5.0
MB = 1_000_000
ALIVE = "alerts.alive"
# What is still so is said again soon after a start; what is not, is over.
CONFIRMED_S = 300.0
WARN, EXPIRED, HISTORY = "soon", "expired", "history"
# What a house without a rule for modules that are away takes for a long time.
LONG_MINUTES = 10


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
        self._doubtful: set[tuple[str, str]] = set()
        self._doubtful_s = 0.0
        self.free_bytes: Callable[[], int] = lambda: shutil.disk_usage(folder).free
        hub.subscribe(CertificateExpires, lambda event: self._certificate(event.days))
        hub.subscribe(CertificateChanged, lambda event: self._certificate(event.days))
        hub.subscribe(HistoryHealthChanged, self._history)

    async def load(self, *, watched: bool) -> None:
        """`watched`: whether there are modules that could have missed us."""
        row = await self._store.run(lambda: SettingRow.get_or_none(SettingRow.key == ALIVE))
        minutes = (clock.now_ms() - msgspec.json.decode(row.value, type=int)) // 60_000 if row else 0
        if watched and minutes >= (self._rules.default or LONG_MINUTES):
            self._alerts.note(GATEWAY, Said("The gateway was away for %(minutes)s minutes.", minutes=minutes))
        self._note_alive()
        opened = [*self._alerts.opened(CERTIFICATE), *self._alerts.opened(DISK)]
        self._doubtful = {(alert.kind, alert.subject) for alert in opened if alert.subject}
        self._doubtful_s = self._now_s()

    def tick(self) -> None:
        self._look_at_the_database()
        if self._now_s() - self._looked_s < LOOK_S:
            return
        self._looked_s = self._now_s()
        self._look_at_the_disk()
        self._settle_doubts()
        self._note_alive()

    def _note_alive(self) -> None:
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

    def _settle_doubts(self) -> None:
        if self._doubtful and self._now_s() - self._doubtful_s > CONFIRMED_S:
            for kind, subject in self._doubtful:
                self._alerts.close(kind, subject, Said("This is over since the gateway started."))
            self._doubtful.clear()

    def _history(self, event: HistoryHealthChanged) -> None:
        self._doubtful.discard((DISK, HISTORY))
        if event.health.state == "ok":
            self._alerts.close(DISK, HISTORY, event.health.sentence)
        else:
            self._alerts.open(DISK, HISTORY, event.health.sentence)

    def _certificate(self, days: int) -> None:
        self._doubtful -= {(CERTIFICATE, WARN), (CERTIFICATE, EXPIRED)}
        if days > WARN_DAYS:
            for subject in (WARN, EXPIRED):
                self._alerts.close(CERTIFICATE, subject, Said("The certificate was renewed."))
        elif days > 0:
            text = Said("The certificate of the web and of MQTT expires in %(days)s days.", days=days)
            self._alerts.open(CERTIFICATE, WARN, text)
        else:
            text = Said("The certificate of the web and of MQTT has expired.")
            self._alerts.open(CERTIFICATE, EXPIRED, text)
