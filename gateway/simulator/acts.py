"""What a device does while it is online: report, and whatever its profile plans against us."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from bridge import topics as words
from bridge.topics import Topics
from gateway.core.rights import Path
from gateway.simulator import profiles
from gateway.simulator.connection import Connection
from gateway.simulator.packets import Login
from gateway.simulator.place import Place, Tally
from gateway.simulator.profiles import GARBAGES, Profile, Step
from gateway.simulator.readings import Readings

OFFLINE, ONLINE = b"offline", b"online"


@dataclass(slots=True)
class Session:
    """A device that is logged in."""

    connection: Connection
    login: Login
    place: Place
    profile: Profile
    readings: Readings
    tally: Tally

    @property
    def topics(self) -> Topics:
        return self.place.topics

    def topic(self, path: Path) -> str:
        return self.topics.of(self.login.client_id, path)

    def say(self, path: Path, what: object) -> None:
        """QoS 1, without waiting for the acknowledgement."""
        self.connection.send(self.topic(path), msgspec.json.encode(what), qos=1)

    def say_offline(self) -> None:
        self.connection.send(self.topic(words.UP_AVAILABILITY), OFFLINE, qos=1, retain=True)

    async def report(self, qos: int) -> None:
        payload = msgspec.json.encode(self.readings.after(self.profile.interval_s))
        if qos:
            await self.connection.publish(self.topic(words.UP_TELEMETRY), payload)
        elif not self.connection.send(self.topic(words.UP_TELEMETRY), payload):
            self.tally.counts["left out"] += 1
            return
        self.tally.counts["readings"] += 1


# An act returns for how long the device is away after it; None while it stays.
Act = Callable[[Session, Step], Awaitable[float | None]]


async def _report(session: Session, step: Step) -> None:
    await session.report(session.profile.qos)


async def _sleep(session: Session, step: Step) -> float:
    asleep = msgspec.json.encode({"state": "sleeping", "wake_in": max(1, round(step.amount))})
    await session.connection.publish(session.topic(words.UP_AVAILABILITY), asleep, retain=True)
    return step.amount


async def _restart(session: Session, step: Step) -> float:
    await session.connection.publish(session.topic(words.UP_AVAILABILITY), OFFLINE, retain=True)
    return step.amount


async def _flood(session: Session, step: Step) -> None:
    for _ in range(int(step.amount)):
        await session.report(0)


async def _drop(session: Session, step: Step) -> float:
    """The power goes, and comes back."""
    session.connection.drop()
    return step.amount


async def _garbage(session: Session, step: Step) -> None:
    payload = GARBAGES[int(step.amount * len(GARBAGES))]
    session.connection.send(session.topic(words.UP_TELEMETRY), payload, qos=1)


async def _clone(session: Session, step: Step) -> None:
    """Somebody copied the device: the copy logs in, reports, and breaks off. The newest session wins."""
    copy = await session.place.open(session.login, lambda topic, payload: None)
    original, session.connection = session.connection, copy
    try:
        await session.report(1)
    finally:
        session.connection = original
        copy.drop()


ACTS: dict[str, Act] = {
    profiles.REPORT: _report,
    profiles.SLEEP: _sleep,
    profiles.RESTART: _restart,
    profiles.FLOOD: _flood,
    profiles.DROP: _drop,
    profiles.GARBAGE: _garbage,
    profiles.CLONE: _clone,
}
