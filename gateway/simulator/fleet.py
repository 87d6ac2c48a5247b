"""Many devices at once: who they are, how they are started and ended, and what to say of them."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from gateway.core.types import ModuleType
from gateway.simulator.desk import Desk
from gateway.simulator.device import Device
from gateway.simulator.place import Place, Tally
from gateway.simulator.profiles import Profile
from gateway.simulator.tokens import Tokens

FAREWELL_S = 1.0
STATES = ("enrolling", "pending", "online", "sleeping", "turned away")


@dataclass(frozen=True, slots=True)
class Member:
    serial: str
    type: ModuleType


def members(count: int, types: list[ModuleType], prefix: str = "SIM") -> list[Member]:
    """Serials like SIM-0001-LED; the types take turns."""
    chosen = (types[index % len(types)] for index in range(count))
    return [Member(f"{prefix}-{number:04d}-{type.suffix}", type) for number, type in enumerate(chosen, 1)]


class Fleet:
    """`async with Fleet(...)`: its devices live until the end, and then say goodbye."""

    def __init__(
        self, crew: Iterable[Member], profile: Profile, place: Place, tokens: Tokens, seed: int = 1
    ) -> None:
        self._profile = profile
        self._tokens = tokens
        self._seed = seed
        self.tally = Tally()
        desk = Desk(place)
        self._devices = [
            Device(member.serial, member.type, profile, seed, place, desk, tokens, self.tally)
            for member in crew
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._begun_s = (time.monotonic(), time.process_time())

    async def __aenter__(self) -> Self:
        self._begun_s = (time.monotonic(), time.process_time())
        self._tasks = [asyncio.create_task(device.run()) for device in self._devices]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tokens.save()
        await asyncio.sleep(FAREWELL_S)

    async def until_one_fails(self) -> None:
        """For ever, unless a device ends by a mistake of ours, which is raised."""
        await asyncio.gather(*self._tasks)

    def line(self) -> str:
        """The state of things in one line."""
        states, counts = self.tally.states, self.tally.counts
        parts = [f"{states[state]} {state}" for state in STATES if states[state]]
        parts += [f"{counts[what]} {what}" for what in ("readings", "commands", "lost") if counts[what]]
        return f"{len(self._devices)} devices: " + ", ".join(parts or ["starting"])

    def summary(self) -> dict[str, Any]:
        """Everything counted, for programs; `cpu_s` is of the whole process."""
        wall_s, cpu_s = (
            now - then
            for now, then in zip((time.monotonic(), time.process_time()), self._begun_s, strict=True)
        )
        return {
            "devices": len(self._devices),
            "profile": self._profile.name,
            "seed": self._seed,
            "seconds": round(wall_s, 1),
            "cpu_s": round(cpu_s, 2),
            "states": {state: count for state, count in sorted(self.tally.states.items()) if count > 0},
            "counts": dict(sorted(self.tally.counts.items())),
        }
