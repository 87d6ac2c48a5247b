"""What one client publishes: rights, the fast path to the gateway, the way to others, answers in order."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bridge.mqtt.exchange import Exchange
from bridge.mqtt.link import Inbound, Receiver
from bridge.mqtt.packets import PUBACK, PUBCOMP, PUBREC, Malformed, ack, publish_parts, topic_name
from bridge.mqtt.session import Session, Settling

log = logging.getLogger(__name__)
MAX_DECISIONS = 256
# Longer topics are allowed, but decided anew each time, so that they cannot fill memory.
MAX_REMEMBERED_BYTES = 512


@dataclass(slots=True)
class Decision:
    """What one topic means for this client; `quiet_at` is the index version at which nobody subscribed."""

    topic: str
    allowed: bool
    for_gateway: bool
    quiet_at: int = -1


class Pending:
    """An acknowledgement: ready once all that its message caused is on disk, sent in its turn."""

    __slots__ = ("_follower", "_incoming", "durable", "packet", "ready", "remember", "waits")

    def __init__(self, incoming: "Incoming", packet: bytes) -> None:
        self._incoming = incoming
        self._follower: Settling | None = None
        self.packet = packet
        self.waits = 1
        self.durable = False
        self.remember = False
        self.ready = False

    def done(self) -> None:
        self.waits -= 1
        if not self.waits:
            self._incoming.effects_done(self)

    def settle(self) -> None:
        self.ready = True
        if self._follower is not None:
            self._follower.done()
        self._incoming.settle()

    def then(self, follow: Settling) -> None:
        self._follower = follow


class Incoming:
    """`forward` takes a whole PUBLISH to where it is routed to others; `send` is the connection's."""

    __slots__ = (
        "_address",
        "_decisions",
        "_exchange",
        "_forward",
        "_pending",
        "_receiver",
        "_send",
        "_session",
    )

    def __init__(
        self,
        exchange: Exchange,
        receiver: Receiver,
        session: Session,
        address: str,
        send: Callable[[bytes], None],
        forward: Callable[[int, bytes, Pending | None], None],
    ) -> None:
        self._exchange = exchange
        self._receiver = receiver
        self._session = session
        self._address = address
        self._send = send
        self._forward = forward
        self._decisions: dict[bytes, Decision] = {}
        self._pending: deque[Pending] | None = None

    @property
    def unacknowledged(self) -> int:
        return len(self._pending) if self._pending else 0

    def publish(self, first: int, body: bytes) -> None:
        raw, number, payload = publish_parts(first, body)
        decision = self._decisions.get(raw) or self._decide(raw)
        qos, counts = first >> 1 & 3, self._exchange.counts
        counts.messages_in += 1
        if qos == 2 and number in self._session.received:
            counts.duplicates += 1
            self._again(number)
            return
        pending = self._expect(qos, number) if qos else None
        if decision.allowed:
            self._take(decision, first, body, payload, pending)
        else:
            counts.refused_publishes += 1
        if pending is not None:
            pending.done()

    def _take(
        self, decision: Decision, first: int, body: bytes, payload: bytes, pending: Pending | None
    ) -> None:
        if pending is not None and first & 4:
            if len(self._session.received) >= self._exchange.limits.unreleased:
                raise Malformed("too many QoS 2 messages without PUBREL")
            self._session.received[int.from_bytes(pending.packet[2:], "big")] = pending
            pending.remember = self._session.persistent
        if decision.for_gateway:
            message = Inbound(
                decision.topic,
                payload,
                first >> 1 & 3,
                bool(first & 1),
                self._session.principal,
                bool(first & 8),
                self._address,
            )
            self._to_gateway(message, pending)
        if first & 1 or self._has_listeners(decision):
            if pending is not None:
                pending.waits += 1
            self._forward(first, body, pending)

    def _to_gateway(self, message: Inbound, pending: Pending | None) -> None:
        self._exchange.counts.to_gateway += 1
        if pending is not None:
            pending.waits += 1
        try:
            taken = self._receiver.receive(message, pending.done if pending is not None else None)
            if taken and pending is not None and pending.remember:
                # In the same transaction as the effect, so that no crash can part them.
                self._remember(pending)
        except Exception:
            self._exchange.counts.errors += 1
            log.exception("A message on %r could not be taken", message.topic)

    def _has_listeners(self, decision: Decision) -> bool:
        subscriptions = self._exchange.subscriptions
        if decision.quiet_at == subscriptions.version:
            return False
        if subscriptions.matching(decision.topic):
            return True
        decision.quiet_at = subscriptions.version
        return False

    def _decide(self, raw: bytes) -> Decision:
        topic = topic_name(raw)
        gatekeeper = self._exchange.gatekeeper
        allowed = (
            not topic.startswith("$")
            and topic.count("/") < self._exchange.limits.topic_levels
            and gatekeeper.allows(self._session.principal, "publish", topic)
        )
        decision = Decision(topic, allowed, allowed and gatekeeper.for_gateway(topic))
        if len(self._decisions) >= MAX_DECISIONS:
            self._decisions.clear()
        if len(raw) <= MAX_REMEMBERED_BYTES:
            self._decisions[raw] = decision
        return decision

    def reconsider(self) -> None:
        """Rights have changed."""
        self._decisions.clear()

    def _expect(self, qos: int, number: int) -> Pending:
        if self._pending is None:
            self._pending = deque()
        pending = Pending(self, ack(PUBACK if qos == 1 else PUBREC, number))
        self._pending.append(pending)
        return pending

    def _again(self, number: int) -> None:
        """A QoS 2 message that is here already: only its PUBREC is due, when the first one's would be."""
        pending, first = self._expect(2, number), self._session.received[number]
        if isinstance(first, Pending) and not first.ready:
            first.then(pending)
        else:
            pending.done()

    def effects_done(self, pending: Pending) -> None:
        """All effects are stored or handed to storage; for QoS 2 the packet id is remembered with them."""
        if pending.remember:
            self._remember(pending)
        if pending.durable:
            self._exchange.state.when_stored(pending.settle)
        else:
            pending.settle()

    def _remember(self, pending: Pending) -> None:
        number = int.from_bytes(pending.packet[2:], "big")
        self._exchange.state.received(self._session.key, number)
        pending.remember, pending.durable = False, True

    def settle(self) -> None:
        """Send the acknowledgements whose turn it is."""
        leaving = []
        while self._pending and self._pending[0].ready:
            leaving.append(self._pending.popleft().packet)
        if leaving:
            self._send(b"".join(leaving))

    def release(self, number: int) -> None:
        """PUBREL: the id is free again; PUBCOMP leaves when that is on disk."""
        known = self._session.received.pop(number, self) is not self
        packet = ack(PUBCOMP, number)
        if known and self._session.persistent:
            self._exchange.state.released(self._session.key, number)
            self._exchange.state.when_stored(lambda: self._send(packet))
        else:
            self._send(packet)
