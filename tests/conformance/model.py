"""A small model of an MQTT 3.1.1 server: who must receive what (3.1.2.4, 3.3, 3.8, 4.3 to 4.7)."""

from dataclasses import dataclass, field, replace

from .packets import Publish, Will


def matches(wanted: str, topic: str) -> bool:
    """Does the filter match this topic name (4.7)? Topics that begin with $ are not part of the model."""
    filters, levels = wanted.split("/"), topic.split("/")
    for place, level in enumerate(filters):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(filters) == len(levels)


@dataclass
class Due:
    """One message that a session must receive."""

    topic: str
    payload: bytes
    retain: bool
    source: object
    choices: frozenset[int]  # the QoS that the one necessary copy may have
    all_qos: frozenset[int]  # those that further copies, for overlapping filters, may have
    spare: int  # so many further copies are allowed
    optional: bool = False
    id: int | None = None  # as it was sent on an earlier connection, unacknowledged
    got: Publish | None = None
    turn: int = 0  # place in the order of arrival

    def fits(self, message: Publish, qos: frozenset[int]) -> bool:
        same = (self.topic, self.payload, self.retain) == (message.topic, message.payload, message.retain)
        return same and message.qos in qos


@dataclass
class Session:
    clean: bool
    online: bool = True
    acks: str = "all"
    will: Will | None = None
    filters: dict[str, int] = field(default_factory=dict)
    due: list[Due] = field(default_factory=list)
    unacked: list[Due] = field(default_factory=list)
    released: list[int] = field(default_factory=list)  # QoS 2: PUBREC sent, PUBCOMP not
    recent: list[Due] = field(default_factory=list)  # QoS 1, acknowledged on this connection

    def take(self, message: Publish) -> None:
        """Strike this message off what is due, or fail."""
        for due in self.due:
            if not due.got and due.fits(message, due.choices) and due.id in (None, message.id):
                self.check(due, message)
                due.got, due.turn = message, self.next_turn()
                return
        for due in self.due:
            if due.spare and due.fits(message, due.all_qos):
                due.spare -= 1
                self.due.append(replace(due, spare=0, got=message, id=None, turn=self.next_turn()))
                return
        raise AssertionError(f"unexpected {message}; due: {[d for d in self.due if not d.got]}")

    def next_turn(self) -> int:
        return 1 + max((due.turn for due in self.due), default=0)

    def check(self, due: Due, message: Publish) -> None:
        assert due.id is None or message.dup, f"sent again without DUP [MQTT-3.3.1-1]: {message}"
        before = self.due[: next(i for i, other in enumerate(self.due) if other is due)]
        late = [d for d in before if not d.got and not d.optional and self.ordered(d, due)]
        assert not late, f"{message} before {late[0]} [MQTT-4.6.0]"

    @staticmethod
    def ordered(first: Due, second: Due) -> bool:
        if first.id and second.id:
            return True
        return (first.topic, first.choices, first.retain, first.source) == (
            second.topic,
            second.choices,
            second.retain,
            second.source,
        )

    def missing(self) -> list[Due]:
        return [due for due in self.due if not due.got and not due.optional]

    def settle(self) -> None:
        """Everything due has come: keep what this connection does not acknowledge, as it was sent."""
        for due in sorted(self.due, key=lambda due: due.turn):
            if due.got and due.got.qos:
                self.keep(due, due.got)
        self.due = []

    def keep(self, due: Due, got: Publish) -> None:
        sent = replace(due, got=None, turn=0, id=got.id, choices=frozenset({got.qos}), spare=0)
        if self.acks == "none" or (self.acks, got.qos) == ("half", 1):
            self.unacked.append(sent)
        elif self.acks == "half":
            self.released.append(got.id)
        elif got.qos == 1:
            self.recent.append(replace(sent, optional=True))

    def resume(self) -> None:
        """A new connection: what was sent and not acknowledged comes first, then what waited."""
        self.due = self.unacked + self.due
        self.unacked, self.recent = [], []

    def waiting(self) -> int:
        """So many messages are unacknowledged or not yet sent."""
        return len(self.released) + sum(not due.optional for due in self.unacked + self.due)


class Model:
    """`strict` is off for Mosquitto, which picks any of several overlapping filters for the QoS."""

    def __init__(self, strict: bool):
        self.strict = strict
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, tuple[bytes, int]] = {}

    def connect(self, name: str, clean: bool, acks: str, will: Will | None) -> bool:
        """Returns session present. The earlier connection must have been ended."""
        old = self.sessions.get(name)
        present = old is not None and not clean
        session = old if present else Session(clean)
        session.clean, session.online, session.acks, session.will = clean, True, acks, will
        session.resume()
        self.sessions[name] = session
        return present

    def end(self, name: str, goodbye: bool) -> None:
        """A connection ended, by DISCONNECT or otherwise."""
        session = self.sessions[name]
        session.online = False
        will, session.will = session.will, None
        if session.clean:
            del self.sessions[name]
        if will and not goodbye:
            self.publish(name, will.topic, will.payload, will.qos, will.retain)

    def crash(self) -> None:
        """The server was killed: all connections ended, and what was acknowledged to it just before may come
        again, if with DUP."""
        for session in self.sessions.values():
            session.unacked = session.recent + session.unacked
        self.stop()

    def stop(self) -> None:
        """The server ended in order: all connections ended, their wills are due."""
        wills = [(name, session.will) for name, session in self.sessions.items() if session.will]
        self.sessions = {name: session for name, session in self.sessions.items() if not session.clean}
        for session in self.sessions.values():
            session.online, session.will = False, None
        for name, will in wills:
            self.publish(name, will.topic, will.payload, will.qos, will.retain)

    def publish(self, source: object, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        if retain:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = payload, qos
        for session in self.sessions.values():
            wanted = [min(q, qos) for f, q in session.filters.items() if matches(f, topic)]
            if wanted:
                due = self.due(topic, payload, False, source, wanted)
                due.optional = not session.online and 0 in due.choices
                session.due.append(due)

    def due(self, topic: str, payload: bytes, retain: bool, source: object, wanted: list[int]) -> Due:
        all_qos = frozenset(wanted)
        choices = frozenset({max(wanted)}) if self.strict and not retain else all_qos
        return Due(topic, payload, retain, source, choices, all_qos, len(wanted) - 1)

    def subscribe(self, name: str, filters: list[tuple[str, int]]) -> None:
        session = self.sessions[name]
        session.filters.update(filters)
        for topic, (payload, qos) in self.retained.items():
            wanted = [min(q, qos) for f, q in filters if matches(f, topic)]
            if wanted:
                session.due.append(self.due(topic, payload, True, None, wanted))

    def unsubscribe(self, name: str, filters: list[str]) -> None:
        for wanted in filters:
            self.sessions[name].filters.pop(wanted, None)
