"""The house in numbers, for the admins who look at it: on a change, and at most once a second."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bridge.sockets.audience import Audience
from bridge.sockets.speaker import Speaker
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.events import ModuleAdded, ModuleChanged, ModuleRemoved, PresenceChanged

EVENT = "admin:stats:updated"
EVERY_S = 1.0
STATES = ("online", "offline", "pending", "sleeping", "unknown", "rejected")
MEMORY = Path("/proc/self/status")


class Sample(NamedTuple):
    """What rates are made of: read every second, as it costs nothing."""

    at_s: float
    received: int
    cpu_s: float


class Stats:
    """`received` tells how many messages have come from outside since the start, over all transports."""

    def __init__(self, core: Core, audience: Audience, speaker: Speaker, received: Callable[[], int]) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        self._received = received
        self._counted: dict[str, int] | None = None
        self._before = self._now = self._sample()
        self._started_s = self._now.at_s
        self._lag_s = 0.0
        self._said: dict[str, Any] = {}
        self._heard_by: frozenset[str] = frozenset()
        for kind in (ModuleAdded, ModuleChanged, ModuleRemoved, PresenceChanged):
            core.hub.subscribe(kind, self._modules_changed)

    async def run(self) -> None:
        while True:
            due_s = time.monotonic() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self._lag_s = max(0.0, time.monotonic() - due_s)
            self._before, self._now = self._now, self._sample()
            self._push()

    def answer(self, sid: str) -> None:
        """To one who asked."""
        self._say(self._figures(), [sid])

    def _push(self) -> None:
        """To the admins who look, if anything is other than they know."""
        admins = self._audience.admins(page="admin")
        if not admins:
            self._said = {}
            return
        figures = self._figures()
        if figures != self._said:
            self._said = figures
            self._say(figures, admins)
        elif newcomers := [sid for sid in admins if sid not in self._heard_by]:
            self._say(figures, newcomers)
        self._heard_by = frozenset(admins)

    def _say(self, figures: dict[str, Any], to: list[str]) -> None:
        # The time since the start would be a change by itself.
        process = figures["process"] | {"uptimeS": int(time.monotonic() - self._started_s)}
        stats = figures | {"process": process, "timestamp": clock.now_ms()}
        self._speaker.say(EVENT, {"stats": stats, "timestamp": stats["timestamp"]}, to)

    def _figures(self) -> dict[str, Any]:
        passed_s = max(self._now.at_s - self._before.at_s, 0.001)
        return {
            "usersOnline": len({browser.person.id for browser in self._audience.all()}),
            "browsers": len(self._audience),
            "modules": self._modules(),
            "waiting": self._core.registry.waiting(),
            "messagesPerSecond": round((self._now.received - self._before.received) / passed_s),
            "process": {
                "cpuPercent": round((self._now.cpu_s - self._before.cpu_s) / passed_s * 100),
                "memoryMb": _memory_mb(),
                "loopLagMs": round(self._lag_s * 1000),
            },
        }

    def _modules(self) -> dict[str, int]:
        if self._counted is None:
            modules = list(self._core.registry.all())
            by_status = Counter(self._core.status(module) for module in modules)
            self._counted = {"total": len(modules)} | {state: by_status[state] for state in STATES}
        return self._counted

    def _modules_changed(self, _: object) -> None:
        self._counted = None

    def _sample(self) -> Sample:
        return Sample(time.monotonic(), self._received(), time.process_time())


def _memory_mb() -> int | None:
    """What the process holds of the machine's memory; None where the system does not tell."""
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:")), None)
