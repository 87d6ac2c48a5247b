"""Modules that keep coming and going: one alert each, until they have been steady for a while."""

from collections.abc import Callable

from gateway.core.errors import Said
from gateway.core.events import Hub, PresenceChanged
from gateway.core.notify.alerts import Alerts
from gateway.core.notify.watch_lost import UNSTABLE, called
from gateway.core.presence import PresenceBook
from gateway.core.registry import Registry

STEADY_S = 600.0


class UnstableWatch:
    def __init__(
        self,
        hub: Hub,
        alerts: Alerts,
        registry: Registry,
        presence: PresenceBook,
        now_s: Callable[[], float],
    ) -> None:
        self._alerts = alerts
        self._registry = registry
        self._presence = presence
        self._now_s = now_s
        self._changed_s: dict[str, float] = {}
        hub.subscribe(PresenceChanged, self._presence_changed)

    def load(self) -> None:
        now_s = self._now_s()
        self._changed_s = {alert.subject: now_s for alert in self._alerts.opened(UNSTABLE)}

    def _presence_changed(self, event: PresenceChanged) -> None:
        module = self._registry.known(event.module_id)
        if module is None or module.life != "approved":
            return
        if self._presence.of(module.id).unstable:
            text = Said("%(module)s keeps coming and going.", module=called(module))
            self._alerts.open(UNSTABLE, module.id, text, module)
            self._changed_s[module.id] = self._now_s()
        elif module.id in self._changed_s:
            self._changed_s[module.id] = self._now_s()

    def tick(self) -> None:
        now_s = self._now_s()
        for module_id, changed_s in tuple(self._changed_s.items()):
            if now_s - changed_s < STEADY_S:
                continue
            del self._changed_s[module_id]
            module = self._registry.known(module_id)
            name, minutes = called(module) if module else module_id, int(STEADY_S // 60)
            text = Said("%(module)s has been steady for %(minutes)s minutes.", module=name, minutes=minutes)
            self._alerts.close(UNSTABLE, module_id, text)
