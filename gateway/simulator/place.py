"""Where the devices go: the broker's address and topics, entered by so many at once and no more."""

import asyncio
from collections import Counter
from ssl import SSLContext

from bridge.topics import Topics
from gateway.simulator.connection import Connection, Gone, Heard
from gateway.simulator.dice import Dice
from gateway.simulator.packets import Login

# A gateway takes at most so many at once that have not yet shown who they are.
AT_ONCE = 40
FIRST_S, LONGEST_S = 1.0, 60.0
# States that are also counted, for they are events.
COUNTED = frozenset({"lost", "refused", "dismissed", "turned away"})


class Place:
    def __init__(self, host: str, port: int, topics: Topics, tls: SSLContext | None = None) -> None:
        self.host = host
        self.port = port
        self.topics = topics
        self._tls = tls
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def open(self, login: Login, heard: Heard, gone: Gone | None = None) -> Connection:
        """Connect and log in; raises OSError, `Lost`, `Refused` or TimeoutError."""
        async with self._gate:
            return await Connection.open(self.host, self.port, login, heard, gone, self._tls)


class Backoff:
    """How long to wait before the next try: twice as long each time, up to a minute, never in step."""

    __slots__ = ("_dice", "_next_s")

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._next_s = FIRST_S

    def wait_s(self) -> float:
        now_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_S)
        return now_s * self._dice.between(0.5, 1.0)

    def spread(self) -> float:
        """A factor from 1 to 2, for a wait that somebody else named to many."""
        return self._dice.between(1.0, 2.0)

    def reset(self) -> None:
        self._next_s = FIRST_S


class Tally:
    """What happened in all, and how many devices are in which state."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.states: Counter[str] = Counter()

    def move(self, before: str, after: str) -> None:
        """A device is in another state; "" is that of one that has not started."""
        self.states[before] -= 1
        self.states[after] += 1
        if after in COUNTED:
            self.counts[after] += 1
