"""The real core on a temporary database, people of every role, and a clock that a test moves."""

from contextlib import asynccontextmanager

from gateway.core import clock
from gateway.core.core import open_core
from gateway.core.rights import Person, Role
from gateway.core.values import Application
from gateway.settings import Settings

ADMIN = Person(1, "ann", Role.ADMIN)
TECHNICIAN = Person(2, "tom", Role.TECHNICIAN)
OWNER = Person(3, "olga", Role.USER)
STRANGER = Person(4, "sam", Role.USER)
GENERIC, STATION, LED = 7, 1, 0
PASSWORD = "correct horse battery"


def open_heart(folder, **settings):
    return open_core(Settings(data=folder, secret_key="k" * 40, **settings))


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch):
        self.ms = clock.now_ms()
        self.s = 1000.0
        monkeypatch.setattr("gateway.core.clock.now_ms", lambda: self.ms)

    def pass_s(self, seconds):
        self.ms += int(seconds * 1000)
        self.s += seconds

    def monotonic(self):
        return self.s


def application(serial="MC-1", type=GENERIC, **more):
    return Application(type=type, serial=serial, **more)


async def approved(core, serial="MC-1", type=GENERIC, address="10.0.0.1", owner_id=None):
    """A module that is in, and its token."""
    granted = await core.enrolment.register(application(serial, type), address)
    (outcome,) = await core.decisions.approve([granted.id], TECHNICIAN)
    assert outcome.error is None
    if owner_id is not None:
        await core.registry.edit(granted.id, TECHNICIAN, owner_id=owner_id)
    return core.registry.get(granted.id), granted.token


def heard(core, *kinds):
    """The events of these classes, as they come."""
    events = []
    for kind in kinds:
        core.hub.subscribe(kind, events.append)
    return events


@asynccontextmanager
async def raises(error):
    """The error of this class itself, not of one below or above it."""
    try:
        yield
    except Exception as raised:
        assert type(raised) is error, repr(raised)
    else:
        raise AssertionError(f"{error.__name__} was not raised")
