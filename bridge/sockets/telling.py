"""What happens in the house, as events to the browsers that may know."""

from typing import Any

import msgspec

from bridge.sockets import states
from bridge.sockets.audience import Audience
from bridge.sockets.speaker import Speaker
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.events import (
    Alert,
    CommandChanged,
    JoinChanged,
    ModuleAdded,
    ModuleChanged,
    ModuleRemoved,
    PresenceChanged,
    WaitingChanged,
)
from gateway.core.rights import Role
from gateway.core.values import Module


class Telling:
    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        hub = core.hub
        hub.subscribe(PresenceChanged, self._presence_changed)
        hub.subscribe(ModuleAdded, self._module_added)
        hub.subscribe(ModuleChanged, self._module_changed)
        hub.subscribe(ModuleRemoved, self._module_removed)
        hub.subscribe(CommandChanged, self._command_changed)
        hub.subscribe(JoinChanged, self._join_changed)
        hub.subscribe(WaitingChanged, self._waiting_changed)
        hub.subscribe(Alert, self._alert)

    def _presence_changed(self, event: PresenceChanged) -> None:
        module = self._core.registry.known(event.module_id)
        if module is None:
            return
        online = event.after == "online"
        change = states.status(self._core, module, reason=event.reason)
        self._speaker.say("module:status:changed", change, self._audience.live(module.owner_id, module.group))
        if module.owner_id is not None and online is not (event.before == "online"):
            word = "user:module:online" if online else "user:module:offline"
            self._speaker.say(word, change, self._audience.of_person(module.owner_id))

    def _module_added(self, event: ModuleAdded) -> None:
        self._tell_admins("added", event.module)
        self._tell_owner("added", event.module, event.module.owner_id)
        self._waiting_changed()

    def _module_changed(self, event: ModuleChanged) -> None:
        before, after = event.before.owner_id, event.after.owner_id
        self._tell_admins("updated", event.after)
        if before != after:
            self._tell_owner("removed", event.before, before)
        self._tell_owner("updated" if before == after else "added", event.after, after)
        if event.before.life != event.after.life:
            self._waiting_changed()

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._tell_admins("removed", event.module)
        self._tell_owner("removed", event.module, event.module.owner_id)
        self._waiting_changed()

    def _tell_admins(self, action: str, module: Module) -> None:
        admins = self._audience.admins(page="admin")
        if admins:
            self._speaker.say(f"admin:module:{action}", self._about(action, module), admins)

    def _tell_owner(self, action: str, module: Module, owner_id: int | None) -> None:
        if owner_id is not None and (tabs := self._audience.of_person(owner_id)):
            self._speaker.say(f"user:module:{action}", self._about(action, module), tabs)

    def _about(self, action: str, module: Module) -> dict[str, Any]:
        about = {"action": action, "moduleId": module.id, "timestamp": clock.now_ms()}
        if action == "removed":
            # To whom it is gone, it is who it was, and nothing more.
            return about | {"module": {"id": module.id, "name": module.name, "type": module.type}}
        return about | {"module": self._core.describe(module)}

    def _command_changed(self, event: CommandChanged) -> None:
        module = self._core.registry.known(event.command.module_id)
        if module is not None:
            seers = self._audience.who_see(module.owner_id, module.group)
            data = msgspec.to_builtins(event.command)
            self._speaker.say("module:command:updated", data, seers)

    def _join_changed(self, event: JoinChanged) -> None:
        self._speaker.say("join:changed", msgspec.to_builtins(event.join), self._staff())

    def _waiting_changed(self, _: WaitingChanged | None = None) -> None:
        counted: dict[int, list[str]] = {}
        # For those who look after all, which are most, it is counted once.
        whole = self._core.registry.waiting()
        for browser in self._audience.all():
            if browser.person.role is not Role.USER:
                sees_all = browser.may_see(None)
                count = whole if sees_all else self._core.registry.waiting_for(browser.person)
                counted.setdefault(count, []).append(browser.sid)
        for count, sids in counted.items():
            said = {"waiting": count, "timestamp": clock.now_ms()}
            self._speaker.say("waiting:changed", said, sids)

    def _alert(self, event: Alert) -> None:
        data = msgspec.to_builtins(event) | {"timestamp": clock.now_ms()}
        self._speaker.say("system:alert", data, self._audience.admins())

    def _staff(self) -> list[str]:
        return [b.sid for b in self._audience.all() if b.person.role is not Role.USER]
