"""Updates that failed and rollouts that stopped; they end when somebody or something has put them right."""

from typing import Any

from gateway.core.errors import Said
from gateway.core.events import FirmwareJobChanged, Hub, RolloutChanged
from gateway.core.notify.alerts import Alerts
from gateway.core.notify.watch_lost import called
from gateway.core.registry import Registry

UPDATE, ROLLOUT = "update", "rollout"
MAX_ERROR = 300


class UpdatesWatch:
    def __init__(self, hub: Hub, alerts: Alerts, registry: Registry) -> None:
        self._alerts = alerts
        self._registry = registry
        hub.subscribe(FirmwareJobChanged, self._job_changed)
        hub.subscribe(RolloutChanged, self._rollout_changed)

    def _job_changed(self, event: FirmwareJobChanged) -> None:
        module = self._registry.known(event.module_id)
        if module is None:
            return
        match event.job["state"]:
            case "failed":
                text = Said("The update of %(module)s failed: %(error)s", **self._about(event))
                self._alerts.open(UPDATE, module.id, text, module)
            case "rolled_back":
                text = Said("The update of %(module)s was rolled back: %(error)s", **self._about(event))
                self._alerts.open(UPDATE, module.id, text, module)
            case "confirmed":
                text = Said("The update of %(module)s is confirmed.", module=called(module))
                self._alerts.close(UPDATE, module.id, text)
            case "cancelled":
                text = Said("The update of %(module)s was cancelled.", module=called(module))
                self._alerts.close(UPDATE, module.id, text)

    def _about(self, event: FirmwareJobChanged) -> dict[str, Any]:
        module = self._registry.get(event.module_id)
        return {"module": called(module), "error": str(event.job.get("error") or "")[:MAX_ERROR]}

    def _rollout_changed(self, event: RolloutChanged) -> None:
        rollout = event.rollout
        name, subject = str(rollout.get("name", "")), str(rollout["id"])
        if rollout["state"] == "stopped":
            reason = str(rollout.get("reason", ""))[:MAX_ERROR]
            text = Said("The rollout %(name)s has stopped. %(reason)s", name=name, reason=reason)
            self._alerts.open(ROLLOUT, subject, text)
        else:
            self._alerts.close(ROLLOUT, subject, Said("The rollout %(name)s goes on or is over.", name=name))
