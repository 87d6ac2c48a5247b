"""From the heart to MQTT: what the gateway tells a module, on its `down/` topics."""

from typing import Any

import msgspec

from bridge import topics as words
from bridge.mqtt.link import Link
from bridge.topics import Topics
from gateway.core.commands import Handover
from gateway.core.core import Core
from gateway.core.events import (
    ClaimDecided,
    CredentialsChanged,
    DesiredChanged,
    ModuleChanged,
    ModuleRemoved,
    ServiceChanged,
)
from gateway.core.rights import ModuleIdentity, Path
from gateway.core.values import Command, Module

# What a module hears when it is removed for this reason.
_LAST_WORDS = {"expired": "expired", "deleted": "revoked"}


class Downlink:
    """Carries commands over MQTT and tells modules what becomes of them."""

    def __init__(self, core: Core, topics: Topics, link: Link) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        core.commands.carry(self)
        core.hub.subscribe(ModuleChanged, self._module_changed)
        core.hub.subscribe(ModuleRemoved, self._module_removed)
        core.hub.subscribe(CredentialsChanged, self._credentials_changed)
        core.hub.subscribe(ClaimDecided, self._claim_decided)
        core.hub.subscribe(DesiredChanged, self._desired_changed)
        core.hub.subscribe(ServiceChanged, self._service_changed)

    def deliver(self, command: Command) -> Handover | None:
        """Send a command if the module listens over MQTT now."""
        topic = self._topics.of(command.module_id, words.DOWN_COMMAND)
        if not self._link.listens(command.module_id, topic):
            return None
        payload: dict[str, Any] = {"id": command.id, "command": command.name, "params": command.params}
        if command.expires_at_ms is not None:
            payload["expires_at"] = command.expires_at_ms
        self._tell(command.module_id, words.DOWN_COMMAND, payload, expires_at_ms=command.expires_at_ms)
        return "sent"

    def resume(self, module_id: str) -> None:
        """A session (again) listens: what waits goes out, unless the broker still holds what went before."""
        if self._link.pending(ModuleIdentity(module_id, True)):
            self._core.commands.wake(module_id)
        else:
            self._core.commands.resume(module_id)

    def greet(self, module: Module) -> None:
        """The answer to a hello, and what the module should have."""
        known = self._core.types.get(module.type)
        greeting = {
            "status": "online",
            "id": module.id,
            "type": module.type,
            "commands": sorted(known.commands),
            "events": sorted(known.events),
        }
        self._tell(module.id, words.DOWN_REGISTERED, greeting)
        self._send_desired(module.id)

    def _send_desired(self, module_id: str) -> None:
        shadow = self._core.desired.of(module_id)
        if shadow.desired_version > shadow.reported_version:
            desired = {"version": shadow.desired_version, "values": shadow.desired}
            self._tell(module_id, words.DOWN_DESIRED, desired)

    def _tell(
        self,
        module_id: str,
        where: Path,
        what: dict[str, Any],
        *,
        expires_at_ms: int | None = None,
        claim: int = 0,
    ) -> None:
        self._link.publish(
            self._topics.of(module_id, where),
            msgspec.json.encode(what),
            expires_at_ms=expires_at_ms,
            only_for=ModuleIdentity(module_id, not claim, claim),
        )

    # What happened

    def _module_changed(self, event: ModuleChanged) -> None:
        if event.after.life == "approved" and event.before.life == "pending":
            self._link.refresh(event.after.id)
            self.greet(event.after)

    def _module_removed(self, event: ModuleRemoved) -> None:
        if (status := _LAST_WORDS.get(event.reason)) is not None:
            self._tell(event.module.id, words.DOWN_REGISTERED, {"status": status})
        self._link.refresh(event.module.id)
        self._link.clear(self._topics.of(event.module.id, ("",)))

    def _credentials_changed(self, event: CredentialsChanged) -> None:
        if event.status != "replaced":
            self._tell(event.module_id, words.DOWN_REGISTERED, {"status": event.status})
        self._link.refresh(event.module_id)
        if event.status == "revoked":
            self._link.clear(self._topics.of(event.module_id, ("",)))

    def _claim_decided(self, event: ClaimDecided) -> None:
        """Its session is not the module's: it hears the answer, ends, and comes back as the module."""
        self._tell(event.module_id, words.DOWN_REGISTERED, {"status": event.status}, claim=event.claim)
        self._link.refresh(event.module_id)

    def _desired_changed(self, event: DesiredChanged) -> None:
        # Its own word alone is no reason to tell it again, or two that disagree would talk for ever.
        if not event.reported or event.forgot:
            self._send_desired(event.module_id)

    def _service_changed(self, event: ServiceChanged) -> None:
        self._link.refresh(event.name)
