"""The way to one session: messages in flight, messages waiting, and their acknowledgements."""

from collections import OrderedDict, deque
from collections.abc import Callable

from bridge.mqtt.counts import Counts
from bridge.mqtt.limits import Limits
from bridge.mqtt.message import Entry, Message, Wire
from bridge.mqtt.packets import PUBREL, ack, publish
from gateway.storage.broker_state import BrokerState

# The message retained on a topic now, with at most that QoS.
Fetch = Callable[[str, int], Message | None]


class Outbox:
    """Keeps order and bounds: a window in flight, a queue behind it whose oldest give way.

    No task and no time-out: what is not acknowledged is sent again when the client is back. For a persistent
    session (`state` given) every step that a crash must not undo is on disk before the packet leaves.
    """

    __slots__ = (
        "_backlog",
        "_counts",
        "_flying",
        "_key",
        "_last",
        "_limits",
        "_may_receive",
        "_position",
        "_used",
        "_waiting",
        "_waiting_bytes",
        "_wire",
        "state",
    )

    def __init__(
        self,
        key: str,
        limits: Limits,
        counts: Counts,
        may_receive: Callable[[str], bool],
        state: BrokerState | None,
    ) -> None:
        self._key = key
        self._limits = limits
        self._counts = counts
        self._may_receive = may_receive
        self.state = state
        self._wire: Wire | None = None
        self._flying: dict[int, Entry] = {}
        self._waiting: deque[Entry] = deque()
        self._waiting_bytes = 0
        self._used: set[int] = set()
        self._last = 0
        self._position = 0
        self._backlog: OrderedDict[str, tuple[int, Fetch]] | None = None

    def __len__(self) -> int:
        return len(self._flying) + len(self._waiting)

    def restore(self, entry: Entry) -> None:
        """A message from the database, in order."""
        self._used.add(entry.number)
        self._last = entry.number
        self._position = entry.position
        if entry.sent or entry.released:
            self._flying[entry.number] = entry
        else:
            self._waiting.append(entry)
            self._waiting_bytes += len(entry.message.payload)

    def assume_sent(self) -> None:
        """After a crash of a connected session: its first messages may have been on their way."""
        while self._waiting and len(self._flying) < self._limits.window:
            entry = self._waiting.popleft()
            self._waiting_bytes -= len(entry.message.payload)
            self._flying[entry.number] = entry

    def attach(self, wire: Wire) -> None:
        """The client is (back) here: first what was in flight, again, then the rest."""
        self._wire = wire
        for entry in list(self._flying.values()):
            if entry.released:
                wire.send(ack(PUBREL, entry.number))
            elif self._obsolete(entry.message):
                self._forget(entry)
            else:
                self._transmit(entry, dup=True)
        self.pump()

    def detach(self) -> None:
        self._wire = None
        for entry in self._flying.values():
            if not entry.sent and not entry.released:
                entry.sent = True
                self._keep(entry)
        if any(not entry.number for entry in self._waiting):
            self._waiting = deque(entry for entry in self._waiting if entry.number)
            self._waiting_bytes = sum(len(entry.message.payload) for entry in self._waiting)

    def offer(self, message: Message) -> None:
        """Send now or later, or drop the oldest that wait; QoS 0 only goes to a client that is here."""
        if message.qos == 0:
            self._offer_once(message)
            return
        self._make_room(len(message.payload))
        entry = Entry(self._free_number(), self._position, message)
        self._used.add(entry.number)
        self._waiting.append(entry)
        self._waiting_bytes += len(message.payload)
        self._keep(entry)
        if self.state is not None and message.qos == 2:
            self._wait_until_stored(entry, self.state)
        self.pump()

    def _offer_once(self, message: Message) -> None:
        """QoS 0 keeps its place behind what waits, as long as that is little."""
        if self._wire is None:
            return
        entry = Entry(0, 0, message)
        if not self._waiting:
            self._transmit(entry, dup=False)
        elif len(self._waiting) < self._limits.queue_messages // 2:
            self._waiting.append(entry)
            self._waiting_bytes += len(message.payload)
        else:
            self._counts.dropped_full += 1

    def _wait_until_stored(self, entry: Entry, state: BrokerState) -> None:
        """Otherwise a crash could send it a second time under another id."""
        entry.ready = False

        def stored() -> None:
            entry.ready = True
            self.pump()

        state.when_stored(stored)

    def trickle(self, topics: list[str], qos: int, fetch: Fetch) -> None:
        """Retained messages to fetch and send when there is room; they are not copied into the queue."""
        if self._backlog is None:
            self._backlog = OrderedDict()
        self._backlog.update(dict.fromkeys(topics, (qos, fetch)))
        self.pump()

    def pump(self) -> None:
        while self._wire is not None and self._waiting and len(self._flying) < self._limits.window:
            entry = self._waiting[0]
            if not entry.ready:
                return
            self._waiting.popleft()
            self._waiting_bytes -= len(entry.message.payload)
            if self._obsolete(entry.message):
                self._forget(entry)
            else:
                if entry.number:
                    self._flying[entry.number] = entry
                self._transmit(entry, dup=False)
        if self._backlog:
            self._pump_backlog(self._backlog)

    def _pump_backlog(self, backlog: OrderedDict[str, tuple[int, Fetch]]) -> None:
        while backlog and self._wire is not None and self._wire.roomy() and not self._waiting:
            if len(self._flying) >= self._limits.window:
                return
            topic, (qos, fetch) = backlog.popitem(last=False)
            message = fetch(topic, qos)
            if message is not None and not self._obsolete(message):
                self._offer_retained(message)
        if not backlog:
            self._backlog = None

    def _offer_retained(self, message: Message) -> None:
        backlog, self._backlog = self._backlog, None
        self.offer(message)
        self._backlog = backlog

    def _obsolete(self, message: Message) -> bool:
        if message.expired():
            self._counts.dropped_expired += 1
            return True
        if not self._may_receive(message.topic):
            self._counts.dropped_rights += 1
            return True
        return False

    def _transmit(self, entry: Entry, dup: bool) -> None:
        message = entry.message
        self._counts.messages_out += 1
        if self._wire is not None:
            self._wire.send(
                publish(message.topic, message.payload, message.qos, message.retain, dup, entry.number)
            )

    def acknowledged(self, number: int) -> None:
        """PUBACK."""
        entry = self._flying.get(number)
        if entry is not None and entry.message.qos == 1:
            self._forget(entry)
            self.pump()

    def received(self, number: int) -> None:
        """PUBREC: the receiver has the message; PUBREL leaves once that is remembered."""
        entry = self._flying.get(number)
        if entry is None or entry.released or entry.message.qos != 2:
            self._release(number)
            return
        entry.released = True
        entry.message = Message(entry.message.topic, b"", 2)
        self._keep(entry)
        if self.state is None:
            self._release(number)
        else:
            self.state.when_stored(lambda: self._release(number))

    def _release(self, number: int) -> None:
        if self._wire is not None:
            self._wire.send(ack(PUBREL, number))

    def completed(self, number: int) -> None:
        """PUBCOMP."""
        entry = self._flying.get(number)
        if entry is not None and entry.released:
            self._forget(entry)
            self.pump()

    def purge(self) -> None:
        """Drop what waits and may not be delivered any more (rights have changed)."""
        kept: deque[Entry] = deque()
        for entry in self._waiting:
            if self._may_receive(entry.message.topic):
                kept.append(entry)
            else:
                self._counts.dropped_rights += 1
                self._waiting_bytes -= len(entry.message.payload)
                self._forget(entry)
        self._waiting = kept

    def _make_room(self, size: int) -> None:
        while self._waiting and (
            len(self._waiting) >= self._limits.queue_messages
            or self._waiting_bytes + size > self._limits.queue_bytes
        ):
            entry = self._waiting.popleft()
            self._waiting_bytes -= len(entry.message.payload)
            self._counts.dropped_full += 1
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        if not entry.number:
            return
        self._flying.pop(entry.number, None)
        self._used.discard(entry.number)
        if self.state is not None:
            self.state.forget(self._key, entry.number)

    def _keep(self, entry: Entry) -> None:
        if self.state is None:
            return
        message = entry.message
        self.state.queue(
            self._key,
            entry.number,
            entry.position,
            (message.topic, message.payload, message.qos, message.retain, message.expires_at_ms),
            sent=entry.sent,
            released=entry.released,
        )

    def _free_number(self) -> int:
        self._position += 1
        self._last = self._last % 65535 + 1
        while self._last in self._used:
            self._last = self._last % 65535 + 1
        return self._last
