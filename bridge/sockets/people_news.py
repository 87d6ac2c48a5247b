"""What people do, and what is done to the house, as events to those who may know."""

from typing import Any

from bridge.sockets.audience import Audience
from bridge.sockets.speaker import Speaker
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.events import (
    ActionPerformed,
    CommandSent,
    MaintenanceChanged,
    PersonChanged,
    SessionsEnded,
    SessionStarted,
)
from gateway.core.values import Maintenance

# What became of somebody, as the admins hear it. A password is nobody else's business.
ADMINS_HEAR = {
    "registered": "admin:user:registered",
    "profile": "admin:user:profile_updated",
    "role": "admin:user:profile_updated",
    "active": "admin:user:profile_updated",
}


class PeopleNews:
    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        core.hub.subscribe(CommandSent, self._command_sent)
        core.hub.subscribe(SessionStarted, self._session_started)
        core.hub.subscribe(SessionsEnded, self._sessions_ended)
        core.hub.subscribe(PersonChanged, self._person_changed)
        core.hub.subscribe(ActionPerformed, self._action_performed)
        core.hub.subscribe(MaintenanceChanged, self._maintenance_changed)

    def _command_sent(self, event: CommandSent) -> None:
        command = event.command
        sent = {"moduleId": command.module_id, "command": command.name, "id": command.id}
        self._tell_person("user:command:sent", sent, event.person_id)

    def _session_started(self, event: SessionStarted) -> None:
        session = {"sessionId": event.session_id, "kind": event.kind, "address": event.address}
        self._tell_person("user:session:new", session, event.person_id)
        self._tell_admins("admin:user:logged_in", event.person_id)

    def _sessions_ended(self, event: SessionsEnded) -> None:
        self._tell_admins("admin:user:logged_out", event.person_id)

    def _person_changed(self, event: PersonChanged) -> None:
        if event.what == "password":
            self._tell_person("user:security:password_changed", {}, event.person_id)
        if word := ADMINS_HEAR.get(event.what):
            self._tell_admins(word, event.person_id)

    def _action_performed(self, event: ActionPerformed) -> None:
        own = set(self._audience.of_person(event.by.id))
        others = [sid for sid in self._audience.admins(page="admin") if sid not in own]
        if others:
            act = {"action": event.action, "subject": event.subject, "details": event.details}
            who = {"adminUserId": event.by.id, "adminName": event.by.name}
            self._say("admin:action:performed", act | who, others)

    def _maintenance_changed(self, event: MaintenanceChanged) -> None:
        self._say("system:maintenance", maintenance(event.maintenance), self._audience.everybody())

    def _tell_person(self, word: str, data: dict[str, Any], person_id: int) -> None:
        self._say(word, data, self._audience.of_person(person_id))

    def _tell_admins(self, word: str, person_id: int) -> None:
        if admins := self._audience.admins(page="admin"):
            self._say(word, {"user": self._user(person_id)}, admins)

    def _user(self, person_id: int) -> dict[str, Any]:
        user = self._core.accounts.people.get(person_id)
        return {
            "id": user.id,
            "username": user.username,
            "name": user.name or user.username,
            "email": user.email,
            "role": user.role,
            "active": user.active,
            "created_at": user.created_at_ms,
            "last_login": user.last_login_ms,
        }

    def _say(self, word: str, data: dict[str, Any], to: list[str]) -> None:
        self._speaker.say(word, data | {"timestamp": clock.now_ms()}, to)


def maintenance(state: Maintenance) -> dict[str, Any]:
    return {"inMaintenance": state.on, "reason": state.reason, "adminUserId": state.by_id}
