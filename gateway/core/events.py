"""What happened, and the hub that tells everybody who listens.

Events have many listeners; one that fails is logged and hurts nobody.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.core.rights import Person
from gateway.core.values import Command, Join, Maintenance, Module

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class ModuleAdded(Event):
    module: Module


@dataclass(frozen=True, slots=True)
class ModuleChanged(Event):
    """Approved, rejected, renamed, given to somebody; `before` and `after` tell what."""

    before: Module
    after: Module
    by: str


@dataclass(frozen=True, slots=True)
class ModuleRemoved(Event):
    """Gone from the registry; `reason` is `expired`, `deleted` or `revoked`."""

    module: Module
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class CredentialsChanged(Event):
    """The old token of this module is dead: its live sessions end.

    `status` is what they are told first: `revoked`, `rejected`, `expired`, or `replaced` by a re-enrolment.
    """

    module_id: str
    status: str


@dataclass(frozen=True, slots=True)
class ClaimDecided(Event):
    """The re-enrolment of number `claim` was approved (`online`), `rejected` or `expired`."""

    module_id: str
    claim: int
    status: str


@dataclass(frozen=True, slots=True)
class WaitingChanged(Event):
    """Something came to or left the waiting room that is not a module by itself (re-enrolments)."""


@dataclass(frozen=True, slots=True)
class PresenceChanged(Event):
    module_id: str
    before: str
    after: str
    reason: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class TelemetryChanged(Event):
    """These top-level keys have new values now."""

    module_id: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModuleEventRaised(Event):
    module_id: str
    name: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CommandChanged(Event):
    command: Command


@dataclass(frozen=True, slots=True)
class CommandSent(Event):
    """A person sent this command; `CommandChanged` tells the rest of its life."""

    command: Command
    person_id: int


@dataclass(frozen=True, slots=True)
class DesiredChanged(Event):
    """What a module should have, or (`reported`) what it says it has.

    `forgot`: it said an older version than before, so it is to be told again.
    """

    module_id: str
    reported: bool = False
    forgot: bool = False


@dataclass(frozen=True, slots=True)
class FirmwareReported(Event):
    """What a module runs: `said` has `serial`, `digest`, `version` as far as it said them, unchecked.

    `occasion` is `hello` (by the module's own session), `register` or `change` (by `by`, for it).
    """

    module_id: str
    said: dict[str, Any]
    occasion: str
    by: str


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """A module has a new session on some transport, as it has after a reboot; `address`: if it is known."""

    module_id: str
    address: str


@dataclass(frozen=True, slots=True)
class FirmwareJobChanged(Event):
    """A step or progress of an update; `job` as REST shows it, without its history."""

    module_id: str
    job: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RolloutChanged(Event):
    """`rollout` as REST shows it, without its members; `modules`: the numbers of all that it names."""

    rollout: dict[str, Any]
    modules: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class JoinChanged(Event):
    join: Join


@dataclass(frozen=True, slots=True)
class SessionStarted(Event):
    """Somebody logged in; `kind` is `browser` or `api`."""

    person_id: int
    username: str
    session_id: int
    kind: str
    address: str


@dataclass(frozen=True, slots=True)
class SessionsEnded(Event):
    """These sessions of a person are dead: sockets opened with them end. None: all of the person's."""

    person_id: int
    session_ids: tuple[int, ...] | None
    username: str = ""


@dataclass(frozen=True, slots=True)
class PersonChanged(Event):
    """`what` is `registered`, `profile`, `role`, `scope`, `active` (locked or unlocked) or `password`."""

    person_id: int
    username: str
    what: str


@dataclass(frozen=True, slots=True)
class ServiceChanged(Event):
    """A service account was made, changed or removed."""

    name: str


@dataclass(frozen=True, slots=True)
class ClientChanged(Event):
    """A program was given to somebody else, or to nobody: it sees other modules now."""

    client_id: int


@dataclass(frozen=True, slots=True)
class ClientRemoved(Event):
    """A program registered over `client.to.instance` was removed by an admin: its live session ends."""

    client_id: int


@dataclass(frozen=True, slots=True)
class MaintenanceChanged(Event):
    maintenance: Maintenance


@dataclass(frozen=True, slots=True)
class ActionPerformed(Event):
    """A person did something that the audit trail holds; `action` and `subject` are the trail's words."""

    action: str
    subject: str
    by: Person
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert(Event):
    """For the people who keep the gateway; `level` is `info`, `warning` or `error`."""

    level: str
    message: str
    details: dict[str, Any]


E_ = TypeVar("E_", bound=Event)
Listener = Callable[[Any], None]


class Hub:
    """Events out, to whoever subscribed to their class."""

    def __init__(self) -> None:
        self._listeners: dict[type[Event], list[Listener]] = defaultdict(list)
        self.failures = 0

    def subscribe(self, kind: type[E_], listener: Callable[[E_], None]) -> Callable[[], None]:
        """Call `listener` for every event of this class; returns what ends it."""
        self._listeners[kind].append(listener)
        return lambda: self._listeners[kind].remove(listener)

    def acted(self, action: str, subject: str, by: Person | str, **details: Any) -> None:
        """Tell what a person did, in the words of its audit row; what devices and time do is no act."""
        if isinstance(by, Person):
            self.publish(ActionPerformed(action, subject, by, details))

    def publish(self, event: Event) -> None:
        for listener in tuple(self._listeners[type(event)]):
            try:
                listener(event)
            except Exception:
                self.failures += 1
                log.exception("A listener for %s failed.", type(event).__name__)
