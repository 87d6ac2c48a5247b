"""What the hub tells, put on the time lines of the modules it is about."""

from collections.abc import Callable
from typing import Any

from gateway.core.desired import DesiredSet, ReportedInStep
from gateway.core.device_log import LogWritten
from gateway.core.errors import Said
from gateway.core.events import (
    ActionPerformed,
    Alert,
    CommandChanged,
    FirmwareJobChanged,
    Hub,
    ModuleAdded,
    ModuleChanged,
    ModuleEventRaised,
    ModuleRemoved,
    PresenceChanged,
)
from gateway.core.notify.alert_values import AlertChanged, sentence
from gateway.core.registry import Registry
from gateway.core.timeline import Timeline
from gateway.core.values import Module

# Acts that change no field of the module; those that do are told by what changed.
_ACTS = {
    "module.rotate_token": ("access", "rotated"),
    "module.revoke": ("access", "revoked"),
    "module.re_enrol": ("access", "re_enrolled"),
    "claim.rejected": ("access", "claim_rejected"),
}
# Field: the word of its change.
_FIELDS = {"name": "renamed", "location": "moved", "group": "grouped", "owner_id": "owner"}
# States of an update that a person brings about.
_BY_PEOPLE = frozenset({"assigned", "cancelled"})
# Alerts of what is on the time line anyway.
_TOLD_OTHERWISE = frozenset({"update", "waiting"})
MAX_TEXT = 300


class Moments:
    """Listens for the whole life of the gateway; `_jobs` is how each module's update was told last."""

    def __init__(self, hub: Hub, registry: Registry, timeline: Timeline) -> None:
        self._registry = registry
        self._note = timeline.note
        self._jobs: dict[str, tuple[str, str, int]] = {}
        listeners: tuple[tuple[Any, Callable[[Any], None]], ...] = (
            (ModuleAdded, self._added), (ModuleChanged, self._changed), (ModuleRemoved, self._removed),
            (ActionPerformed, self._acted), (PresenceChanged, self._presence),
            (CommandChanged, self._command), (FirmwareJobChanged, self._update),
            (ModuleEventRaised, self._event), (Alert, self._alert),
            (AlertChanged, self._alert_changed),
            (LogWritten, self._logged), (DesiredSet, self._desired), (ReportedInStep, self._in_step),
        )  # fmt: skip
        for kind, listener in listeners:
            hub.subscribe(kind, listener)

    def _added(self, event: ModuleAdded) -> None:
        module = event.module
        if module.declared:
            self._note(module.id, "access", "declared", module.decided_by)
        else:
            self._note(module.id, "access", "registered")
            if module.life == "approved":
                self._note(module.id, "access", "approved", module.decided_by)

    def _changed(self, event: ModuleChanged) -> None:
        before, after = event.before, event.after
        if before.life != after.life:
            self._note(after.id, "access", after.life, event.by, reason=after.decision_reason)
        for field, word in _FIELDS.items():
            old, new = getattr(before, field), getattr(after, field)
            if old != new:
                self._note(after.id, "change", word, _who(after, event.by), before=old, after=new)
        if before.firmware != after.firmware:
            self._note(after.id, "update", "runs", before=before.firmware, after=after.firmware)

    def _removed(self, event: ModuleRemoved) -> None:
        self._jobs.pop(event.module.id, None)

    def _acted(self, event: ActionPerformed) -> None:
        if (told := _ACTS.get(event.action)) is not None:
            self._note(event.subject, *told, event.by.name)

    def _presence(self, event: PresenceChanged) -> None:
        self._note(event.module_id, "presence", event.after, before=event.before, reason=event.reason)

    def _command(self, event: CommandChanged) -> None:
        command = event.command
        if len(command.history) == 1:
            self._note(command.module_id, "command", "sent", command.by, id=command.id, command=command.name)
        elif command.ended:
            why = (command.error or "")[:MAX_TEXT]
            told = {"id": command.id, "command": command.name, "error": why}
            self._note(command.module_id, "command", command.status, **told)

    def _update(self, event: FirmwareJobChanged) -> None:
        """Its steps, and not how far a download is."""
        job = event.job
        step = (job["id"], job["state"], job["attempt"])
        if self._jobs.get(event.module_id) == step:
            return
        self._jobs[event.module_id] = step
        who = job["by"] if job["state"] in _BY_PEOPLE else ""
        told = {"job": job["id"], "firmware_id": job["firmware_id"], "error": (job["error"] or "")[:MAX_TEXT]}
        self._note(event.module_id, "update", job["state"], who, **told)

    def _event(self, event: ModuleEventRaised) -> None:
        self._note(event.module_id, "event", event.name, data=event.data)

    def _alert(self, event: Alert) -> None:
        """One that brings more than its module is kept as an alert of its own, or is a step of an update."""
        if event.details.keys() == {"moduleId"}:
            text = sentence(Said("%(text)s", text=event.message[:MAX_TEXT]))
            self._note(event.details["moduleId"], "alert", "opened", text=text)

    def _alert_changed(self, event: AlertChanged) -> None:
        if event.alert.kind in _TOLD_OTHERWISE:
            return
        number = event.alert.module_number
        module = None if number is None else self._registry.numbered(number)
        if module is not None:
            text = (event.alert.closing if event.what == "closed" else None) or event.alert.text
            self._note(module.id, "alert", event.what, text=text)

    def _logged(self, event: LogWritten) -> None:
        if event.level == "error":
            self._note(event.module_id, "log", "error", text=event.text[:MAX_TEXT])

    def _desired(self, event: DesiredSet) -> None:
        told = {"version": event.version, "changed": event.changed, "removed": event.removed}
        self._note(event.module_id, "setting", "desired", event.by, **told)

    def _in_step(self, event: ReportedInStep) -> None:
        self._note(event.module_id, "setting", "in_step", version=event.version)


def _who(module: Module, by: str) -> str:
    """Nobody else than the module itself."""
    return "" if by == module.id else by
