"""How much one connection, one address and all together may ask of the door."""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace

MAX_REMEMBERED = 10_000
UNLIMITED = 1 << 60


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes hold always; counts and rates can be switched off (`unlimited`), as benchmarks do."""

    packet_bytes: int = 128 * 1024
    connect_bytes: int = 8 * 1024
    connect_within_s: float = 10
    write_buffer_bytes: int = 4 * 1024 * 1024
    client_id_length: int = 256
    topic_levels: int = 200
    subscriptions: int = 200
    window: int = 20
    queue_messages: int = 1000
    queue_bytes: int = 64 * 1024 * 1024
    unacknowledged: int = 500
    connections: int = 5000
    connections_per_address: int = 2000
    # Sockets that have shown no credentials: before CONNECT, and devices that enrol.
    strangers_per_address: int = 100
    sessions_per_identity: int = 100
    # Of what clients retain; the gateway's own words always find room.
    retained: int = 100_000
    retained_bytes: int = 64 * 1024 * 1024
    unreleased: int = 5000
    packets_per_s: float = 2000
    packets_burst: float = 4000
    failures_per_min: int = 10
    failures_per_address_per_min: int = 120

    def unlimited(self) -> "Limits":
        return replace(
            self,
            connections=UNLIMITED,
            connections_per_address=UNLIMITED,
            strangers_per_address=UNLIMITED,
            packets_per_s=UNLIMITED,
            packets_burst=UNLIMITED,
            failures_per_min=UNLIMITED,
            failures_per_address_per_min=UNLIMITED,
        )


class Bucket:
    """A token bucket: `take` says how many seconds to wait before going on, 0 mostly."""

    __slots__ = ("_at_s", "_burst", "_left", "_per_s")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at_s = time.monotonic()

    def take(self, cost: float) -> float:
        if self._left < cost:
            now_s = time.monotonic()
            self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
        self._left -= cost
        return 0.0 if self._left >= 0 else -self._left / self._per_s


class Failures:
    """Failed log-ins of the last minute, by address and by address and user name; bounded memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: OrderedDict[tuple[str | None, ...], tuple[float, int]] = OrderedDict()

    def too_many(self, address: str, username: str | None) -> bool:
        return (
            self._count((address, username)) >= self._limits.failures_per_min
            or self._count((address,)) >= self._limits.failures_per_address_per_min
        )

    def add(self, address: str, username: str | None) -> None:
        for key in ((address, username), (address,)):
            count = self._count(key)
            since_s = self._seen[key][0] if count else time.monotonic()
            self._seen[key] = (since_s, count + 1)
            self._seen.move_to_end(key)
        while len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)

    def _count(self, key: tuple[str | None, ...]) -> int:
        since_s, count = self._seen.get(key, (0.0, 0))
        return count if time.monotonic() - since_s < 60 else 0


class Census:
    """Who is connected from where, so that a crowd is refused at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, int] = {}
        self._strangers: dict[str, int] = {}
        self.total = 0

    def enter(self, address: str) -> bool:
        """Whether a new socket, a stranger yet, may come in; then it counts until `leave`."""
        strangers = self._strangers.get(address, 0)
        everybody = strangers + self._known.get(address, 0)
        if (
            self.total >= self._limits.connections
            or strangers >= self._limits.strangers_per_address
            or everybody >= self._limits.connections_per_address
        ):
            return False
        self._strangers[address] = strangers + 1
        self.total += 1
        return True

    def known(self, address: str) -> None:
        """A stranger has shown credentials."""
        _less(self._strangers, address)
        self._known[address] = self._known.get(address, 0) + 1

    def leave(self, address: str, stranger: bool) -> None:
        _less(self._strangers if stranger else self._known, address)
        self.total -= 1


def _less(counts: dict[str, int], address: str) -> None:
    counts[address] -= 1
    if not counts[address]:
        del counts[address]
