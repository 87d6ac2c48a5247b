"""What transports tell of sessions that push each other out; core/watch_clones.py makes an alert of many."""

from dataclasses import dataclass

from gateway.core.events import Event


@dataclass(frozen=True, slots=True)
class SessionTakenOver(Event):
    """A newer session of a module ended an older one on the same transport; addresses as far as known."""

    module_id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class HardwareSaid(Event):
    """What the newest session of a module says its hardware is, unproved."""

    module_id: str
    hardware: str
