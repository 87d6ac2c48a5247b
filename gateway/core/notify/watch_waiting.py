"""Devices that wait for somebody to decide; a flood of them is one alert."""

from gateway.core.errors import Said
from gateway.core.events import Hub, ModuleAdded, ModuleChanged, ModuleRemoved, WaitingChanged
from gateway.core.notify.alerts import Alerts
from gateway.core.notify.watch_lost import called
from gateway.core.registry import Registry

WAITING = "waiting"
MOST = 5
ALL = ""


class WaitingWatch:
    def __init__(self, hub: Hub, alerts: Alerts, registry: Registry) -> None:
        self._alerts = alerts
        self._registry = registry
        self._stale = True
        for kind in (WaitingChanged, ModuleAdded, ModuleChanged, ModuleRemoved):
            hub.subscribe(kind, self._changed)

    def _changed(self, event: object) -> None:
        self._stale = True

    def tick(self) -> None:
        if not self._stale:
            return
        self._stale = False
        waiting = self._waiting()
        for alert in self._alerts.opened(WAITING):
            if alert.subject != ALL and alert.subject not in waiting:
                text = Said("%(module)s does not wait any more.", module=alert.subject)
                self._alerts.close(WAITING, alert.subject, text)
        self._tell(waiting)

    def _waiting(self) -> dict[str, Said]:
        """By module: the sentence that tells of it."""
        texts = {
            module.id: Said("%(module)s asks to join and waits for approval.", module=called(module))
            for module in self._registry.all()
            if module.life == "pending"
        }
        return texts | {claim.module_id: _returned(claim.module_id) for claim in self._registry.claims()}

    def _tell(self, waiting: dict[str, Said]) -> None:
        room = MOST - sum(alert.subject != ALL for alert in self._alerts.opened(WAITING))
        untold = [id for id in waiting if not self._alerts.is_open(WAITING, id)]
        if self._alerts.is_open(WAITING, ALL):
            if len(waiting) <= MOST:
                self._alerts.close(WAITING, ALL, Said("Not many devices wait any more."))
            else:
                room = 0
        for id in untold[: max(0, room)]:
            self._alerts.open(WAITING, id, waiting[id], self._registry.known(id))
        if len(untold) > room and len(waiting) > MOST:
            text = Said("More than %(count)s devices wait for approval.", count=MOST)
            self._alerts.open(WAITING, ALL, text)


def _returned(module_id: str) -> Said:
    return Said(
        "A device that says it is %(module)s has lost its token and waits for approval.", module=module_id
    )
