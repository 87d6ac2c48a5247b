"""How much room the history has left on the disk: of the file system, and of what an admin grants it."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from gateway.core import clock
from gateway.core.choices import Choices
from gateway.core.errors import Said
from gateway.core.events import Event, Hub
from gateway.core.readings.rollups import ask
from gateway.core.readings.telemetry import Telemetry
from gateway.storage.store import Store

log = logging.getLogger(__name__)

MB = 2**20
FLOOR, FLOOR_SHARE = 64 * MB, 0.02
# On a very small file system the floor must not be most of it.
LARGEST_SHARE = 0.1

State = Literal["ok", "thinning", "full"]


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes: `free` of the file system (with what the database can use again), `floor` that must stay,
    `used` by the database, `cap` it may use (0: none of its own)."""

    free: int
    floor: int
    used: int
    cap: int

    @property
    def room(self) -> int:
        """What is left before something must be thinned; less than 0 when it must be."""
        by_disk = self.free - self.floor
        return min(by_disk, self.cap - self.used) if self.cap else by_disk

    @property
    def slack(self) -> int:
        """How far below that it may go while thinning is under way."""
        return self.floor // 2 if self.free - self.floor == self.room else self.cap // 20


def floor_of(size: int) -> int:
    """What stays free of a file system of so many bytes."""
    return int(min(max(FLOOR, size * FLOOR_SHARE), size * LARGEST_SHARE))


def measure(url: str, cap: int, stat: Callable[[Path], os.statvfs_result] = os.statvfs) -> Disk:
    """On the read thread. A database elsewhere (PostgreSQL) is bounded by the cap alone."""
    if not url.startswith("sqlite"):
        used = int(ask("SELECT pg_database_size(current_database())")[0][0])
        return Disk(free=2**62, floor=0, used=used, cap=cap)
    page = _pragma("page_size")
    again = _pragma("freelist_count") * page
    found = stat(Path(urlsplit(url).path.removeprefix("/")).parent)
    return Disk(
        free=found.f_bavail * found.f_frsize + again,
        floor=floor_of(found.f_blocks * found.f_frsize),
        used=_pragma("page_count") * page - again,
        cap=cap,
    )


def _pragma(name: str) -> int:
    return int(ask(f"PRAGMA {name}")[0][0])


@dataclass(frozen=True, slots=True)
class HistoryHealth:
    """`ok`; `thinning`: the oldest readings go early; `full`: new readings are shown and not kept."""

    state: State = "ok"
    since_ms: int = 0
    disk: Disk = Disk(free=0, floor=0, used=0, cap=0)
    not_kept: int = 0

    @property
    def sentence(self) -> Said:
        if self.state == "full":
            return Said("The disk is full: new readings are shown but not kept.")
        if self.state == "thinning":
            return Said("The disk is nearly full: the oldest readings are deleted before their time.")
        return Said("The history has room.")


@dataclass(frozen=True, slots=True)
class HistoryHealthChanged(Event):
    health: HistoryHealth


class Room:
    """Looks at the disk; when there is no room, telemetry keeps nothing more until there is some again."""

    def __init__(self, store: Store, hub: Hub, choices: Choices, telemetry: Telemetry, url: str) -> None:
        self._store = store
        self._hub = hub
        self._choices = choices
        self._telemetry = telemetry
        self._url = url
        self._health = HistoryHealth()
        # Nothing is left that could be thinned.
        self.exhausted = False

    @property
    def health(self) -> HistoryHealth:
        known = self._health
        return HistoryHealth(known.state, known.since_ms, known.disk, self._telemetry.not_kept)

    @property
    def wants_more(self) -> bool:
        disk = self._health.disk
        return self._health.state != "ok" and disk.room < disk.slack // 2

    async def look(self) -> None:
        cap = self._choices.number("history.disk_megabytes") * MB
        disk = await self._store.read(lambda: measure(self._url, cap))
        state = state_of(disk, self._health.state, self.exhausted)
        since_ms = self._health.since_ms if state == self._health.state else clock.now_ms()
        before, self._health = self._health.state, HistoryHealth(state, since_ms, disk)
        self._telemetry.keeps = state != "full"
        if state != before:
            log.log(logging.INFO if state == "ok" else logging.WARNING, "%s", self._health.sentence)
            self._hub.publish(HistoryHealthChanged(self.health))


def state_of(disk: Disk, before: State, exhausted: bool) -> State:
    """Below what must stay, thinning begins; far below, or with nothing to thin, nothing more is kept."""
    if disk.room >= disk.slack // 2:
        return "ok"
    if disk.room >= 0:
        return "ok" if before == "ok" else "thinning"
    if disk.room < -disk.slack or exhausted or before == "full":
        return "full"
    return "thinning"
