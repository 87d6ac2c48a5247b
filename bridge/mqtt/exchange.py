"""The sorting office: sessions, their subscriptions, retained messages, and the way from one to another.

Everything here is synchronous, so a message is in every queue it belongs to, and its rows are gathered for
one transaction, before anything else happens.
"""

import logging
from collections import Counter
from dataclasses import replace

from bridge.mqtt.counts import Counts
from bridge.mqtt.identity import as_text, from_text, holder, name_of, session_key
from bridge.mqtt.index import RetainedTree, Subscriptions
from bridge.mqtt.limits import Limits
from bridge.mqtt.link import Gatekeeper
from bridge.mqtt.message import Entry, Message, Wire
from bridge.mqtt.outbox import Outbox
from bridge.mqtt.session import Session
from gateway.core.rights import Enrolling, Principal
from gateway.storage.broker_state import BrokerState
from gateway.storage.models_broker import (
    BrokerMessage,
    BrokerReceived,
    BrokerRetained,
    BrokerSession,
    BrokerSubscription,
)

log = logging.getLogger(__name__)
REFUSED = 0x80


class Exchange:
    def __init__(self, gatekeeper: Gatekeeper, state: BrokerState, limits: Limits, counts: Counts) -> None:
        self.gatekeeper = gatekeeper
        self.state = state
        self.limits = limits
        self.counts = counts
        self.sessions: dict[str, Session] = {}
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.retained: RetainedTree[Message] = RetainedTree()
        self._retained_bytes = 0
        self._by_name: dict[str, set[str]] = {}
        self._held: Counter[str] = Counter()

    async def load(self) -> None:
        """What the last run acknowledged."""
        for row in await self.state.load(BrokerRetained):
            message = Message(row.topic, bytes(row.payload), row.qos, True, row.expires_at_ms)
            self.retained.put(row.topic, message)
            self._retained_bytes += len(message.payload)
        crashed = [self._restore(row) for row in await self.state.load(BrokerSession)]
        for row in await self.state.load(BrokerSubscription):
            if row.key in self.sessions:
                self._add(self.sessions[row.key], row.topic_filter, row.qos)
        for row in await self.state.load(BrokerMessage, BrokerMessage.key, BrokerMessage.position):
            if row.key in self.sessions:
                self.sessions[row.key].outbox.restore(_entry(row))
        for row in await self.state.load(BrokerReceived):
            if row.key in self.sessions:
                self.sessions[row.key].received[row.number] = None
        for session in filter(None, crashed):
            session.outbox.assume_sent()
            self._keep(session, connected=False)

    def _restore(self, row: BrokerSession) -> Session | None:
        """The session, if it was connected when the gateway died."""
        was = from_text(str(row.principal))
        principal = self.gatekeeper.identify(was) if was is not None else None
        if was is None or principal is None or holder(principal) != holder(was):
            self.state.drop_session(str(row.key))
            return None
        session = self._new(str(row.key), str(row.client_id), principal, persistent=True)
        return session if row.connected else None

    def _new(self, key: str, client_id: str, principal: Principal, persistent: bool) -> Session:
        def may_receive(topic: str) -> bool:
            return self.gatekeeper.allows(session.principal, "receive", topic)

        state = self.state if persistent else None
        outbox = Outbox(key, self.limits, self.counts, may_receive, state)
        session = Session(key, client_id, principal, outbox, persistent)
        self.sessions[key] = session
        self._by_name.setdefault(name_of(principal), set()).add(key)
        self._held[holder(principal)] += 1
        return session

    def of_name(self, name: str) -> list[Session]:
        """The sessions of a module, of its re-enrolments, or of a service."""
        return [self.sessions[key] for key in sorted(self._by_name.get(name, ()))]

    def crowded(self, principal: Principal, client_id: str) -> bool:
        """Whether this identity holds as many sessions as it may, this one not among them."""
        if session_key(principal, client_id) in self.sessions:
            return False
        return self._held[holder(principal)] >= self.limits.sessions_per_identity

    def enter(self, client_id: str, principal: Principal, clean: bool) -> tuple[Session, bool]:
        """The session of a client that connects, and whether it is an earlier one that goes on."""
        key = session_key(principal, client_id)
        persistent = not clean and not isinstance(principal, Enrolling)
        old = self.sessions.get(key)
        if old is not None and persistent and old.persistent:
            old.principal = principal
            self._keep(old, connected=True)
            return old, True
        if old is not None:
            self.drop(old)
        session = self._new(key, client_id, principal, persistent)
        if persistent:
            self._keep(session, connected=True)
        return session, False

    def _keep(self, session: Session, connected: bool) -> None:
        self.state.keep_session(session.key, session.client_id, as_text(session.principal), connected)

    def attach(self, session: Session, wire: Wire) -> None:
        session.wire = wire
        session.outbox.attach(wire)

    def leave(self, session: Session) -> None:
        """The connection is gone; a persistent session goes on without it."""
        session.wire = None
        session.outbox.detach()
        if not session.persistent:
            self.drop(session)
        elif self.sessions.get(session.key) is session:
            self._keep(session, connected=False)

    def drop(self, session: Session) -> None:
        """Forget a session and all it holds."""
        if self.sessions.get(session.key) is not session:
            return
        for topic_filter in list(session.subscriptions):
            self.subscriptions.remove(topic_filter, session)
        del self.sessions[session.key]
        name, held_by = name_of(session.principal), holder(session.principal)
        self._by_name[name].discard(session.key)
        if not self._by_name[name]:
            del self._by_name[name]
        self._held[held_by] -= 1
        if not self._held[held_by]:
            del self._held[held_by]
        if session.persistent:
            self.state.drop_session(session.key)

    def subscribe(self, session: Session, topic_filter: str, qos: int) -> int:
        """The SUBACK code: the QoS granted, or 0x80."""
        if (
            topic_filter.startswith("$")
            or topic_filter.count("/") >= self.limits.topic_levels
            or (topic_filter not in session.subscriptions and self._full(session))
            or not self.gatekeeper.allows(session.principal, "subscribe", topic_filter)
        ):
            self.counts.refused_subscriptions += 1
            return REFUSED
        self._add(session, topic_filter, qos)
        if session.persistent:
            self.state.subscribe(session.key, topic_filter, qos)
        return qos

    def _full(self, session: Session) -> bool:
        return len(session.subscriptions) >= self.limits.subscriptions

    def _add(self, session: Session, topic_filter: str, qos: int) -> None:
        session.subscriptions[topic_filter] = qos
        self.subscriptions.add(topic_filter, session, qos)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        if session.subscriptions.pop(topic_filter, None) is None:
            return
        self.subscriptions.remove(topic_filter, session)
        if session.persistent:
            self.state.unsubscribe(session.key, topic_filter)

    def send_retained(self, session: Session, topic_filter: str, qos: int) -> None:
        """What is retained under a filter just subscribed to; fetched again when its turn comes."""
        topics = [message.topic for message in self.retained.matching(topic_filter)]
        if topics:
            session.outbox.trickle(topics, qos, self._retained_now)

    def _retained_now(self, topic: str, qos: int) -> Message | None:
        message = self.retained.get(topic)
        if message is None:
            return None
        return Message(topic, message.payload, min(qos, message.qos), True, message.expires_at_ms)

    def deliver(self, message: Message, only_for: Principal | None = None) -> bool:
        """To every session that subscribes and may receive it; whether anything durable changed."""
        durable = False
        wanted = holder(only_for) if only_for is not None else None
        for session, granted in self.subscriptions.matching(message.topic).values():
            if wanted is not None and holder(session.principal) != wanted:
                continue
            if not self.gatekeeper.allows(session.principal, "receive", message.topic):
                self.counts.dropped_rights += 1
                continue
            qos = min(granted, message.qos)
            durable |= session.persistent and qos > 0
            session.outbox.offer(Message(message.topic, message.payload, qos, False, message.expires_at_ms))
        return durable

    def retain(self, message: Message, bounded: bool = True) -> None:
        """Keep as the topic's retained message; an empty payload clears it."""
        before = self.retained.get(message.topic)
        grown = len(message.payload) - len(before.payload if before else b"")
        if bounded and message.payload and self._no_room(before is None, grown):
            self.counts.dropped_full += 1
            return
        self._retained_bytes += grown
        if message.payload:
            self.retained.put(message.topic, message)
        else:
            self.retained.remove(message.topic)
        if message.payload and message.durable:
            self.state.retain(message.topic, message.payload, message.qos, message.expires_at_ms)
        elif before is not None and before.durable:
            self.state.unretain(message.topic)

    def _no_room(self, new: bool, grown: int) -> bool:
        return (new and len(self.retained) >= self.limits.retained) or (
            grown > 0 and self._retained_bytes + grown > self.limits.retained_bytes
        )

    def clear(self, prefix: str) -> None:
        for message in list(self.retained.matching("#")):
            if message.topic.startswith(prefix):
                self.retain(replace(message, payload=b""), bounded=False)

    def reconsider(self, session: Session, principal: Principal) -> None:
        """The principal has changed: subscriptions and waiting messages out of its reach go."""
        session.principal = principal
        for topic_filter in list(session.subscriptions):
            if not self.gatekeeper.allows(principal, "subscribe", topic_filter):
                self.unsubscribe(session, topic_filter)
        session.outbox.purge()
        if session.persistent:
            self._keep(session, connected=session.wire is not None)

    def listens(self, client_id: str, topic: str) -> bool:
        return any(
            session.client_id == client_id
            and session.wire is not None
            and self.gatekeeper.allows(session.principal, "receive", topic)
            for session, _ in self.subscriptions.matching(topic).values()
        )

    def pending(self, principal: Principal) -> int:
        """Messages on their way to this credential's sessions."""
        wanted = holder(principal)
        return sum(
            len(session.outbox)
            for session in self.of_name(name_of(principal))
            if holder(session.principal) == wanted
        )


def _entry(row: BrokerMessage) -> Entry:
    message = Message(row.topic, bytes(row.payload), row.qos, row.retain, row.expires_at_ms)
    entry = Entry(row.number, row.position, message)
    entry.sent, entry.released = bool(row.sent), bool(row.released)
    return entry
