"""A few clients that Hypothesis plays against a broker, beside the model: both must agree after each step."""

import os
import secrets
import time

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from . import packets as mqtt
from .client import Client
from .model import Model
from .packets import Ack, Will

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "0"))
SHRINK = bool(os.environ.get("CONFORMANCE_SHRINK"))
PATIENCE_S = 1.0 if SHRINK else 15.0
MOST_UNACKED = 5
WATCHER = "watcher"
NAMES = ("one", "two", "three")
PICK = st.integers(0, 11)
ACKS = st.sampled_from(["all", "none", "half"])
TOPICS = st.sampled_from(["", "/a", "/a/b", "/c", "/c/b"])
FILTER_NAMES = st.sampled_from(["", "/#", "/+", "/+/b", "/a/#", "/a", "/a/b", "/c/+", "/+/#"])
QOS = st.integers(0, 2)
FILTERS = st.lists(st.tuples(FILTER_NAMES, QOS), min_size=1, max_size=3, unique_by=lambda pair: pair[0])
CLEAN = st.sampled_from([False, False, True])
WILLS = st.none() | st.tuples(TOPICS, QOS, st.booleans())


class Machine(RuleBasedStateMachine):
    def __init__(self, broker):
        super().__init__()
        self.broker = broker
        self.model = Model(strict=broker.ours)
        self.clients: dict[str, Client] = {}
        self.base = f"m{secrets.token_hex(5)}"
        self.count = 0

    # --- helpers

    def word(self) -> bytes:
        self.count += 1
        return b"%d" % self.count

    def open(self, name: str, clean: bool, acks: str, will: Will | None) -> None:
        old = self.model.sessions.get(name)
        if old and old.waiting() > MOST_UNACKED:
            acks = "all"
        client = Client(self.broker.port, f"{self.base}-{name}", acks, clean=clean, will=will)
        self.clients[name] = client.__enter__()
        present = self.model.connect(name, clean, acks, will)
        assert client.session_present == present, f"session present of {name}"
        session = self.model.sessions[name]
        for ident in session.released:
            client.expect(Ack(mqtt.PUBREL, ident), PATIENCE_S)
        if acks == "all":
            session.released.clear()

    def settle(self) -> None:
        """Every connected client has received what is due, and nothing else."""
        for name, client in self.clients.items():
            session = self.model.sessions[name]
            deadline = time.monotonic() + PATIENCE_S
            self.take(client, session)
            while session.missing():
                try:
                    client.pump(max(deadline - time.monotonic(), 0.001))
                except TimeoutError:
                    raise AssertionError(f"{name} never got {session.missing()}") from None
                self.take(client, session)
            for message in client.rest():
                session.take(message)
            self.finish(client, session)

    def take(self, client: Client, session) -> None:
        while client.messages:
            session.take(client.messages.popleft())

    def finish(self, client: Client, session) -> None:
        """See the QoS 2 handshakes through, as far as this client goes."""
        if client.acks == "half":
            for due in session.due:
                if due.got and due.got.qos == 2:
                    client.expect(Ack(mqtt.PUBREL, due.got.id), PATIENCE_S)
        while client.acks == "all" and client.unfinished:
            client.pump(PATIENCE_S)
        client.ping()
        session.settle()

    def end(self, name: str, goodbye: bool) -> None:
        client = self.clients.pop(name)
        if goodbye:
            client.disconnect()
        else:
            client.cut()
        self.model.end(name, goodbye)

    def crowded(self) -> bool:
        """So much unacknowledged that a server may wait before it sends more (4.4)."""
        return any(
            s.waiting() > MOST_UNACKED for s in self.model.sessions.values() if s.acks != "all" and s.online
        )

    def pick(self, number: int) -> str | None:
        """One of those that are connected."""
        names = sorted(self.clients.keys() - {WATCHER})
        return names[number % len(names)] if names else None

    # --- rules

    @initialize(how=st.lists(st.tuples(CLEAN, ACKS, FILTERS), min_size=len(NAMES), max_size=len(NAMES)))
    def start(self, how):
        self.open(WATCHER, True, "all", None)
        self.subscribe_now(WATCHER, [("/#", 2)])
        for name, (clean, acks, filters) in zip(NAMES, how, strict=True):
            self.open(name, clean, acks, None)
            self.subscribe_now(name, filters)

    @rule(name=st.sampled_from(NAMES), clean=CLEAN, acks=ACKS, will=WILLS)
    def connect(self, name, clean, acks, will):
        """Also while connected: then it is a take-over."""
        made = will and Will(self.base + will[0], self.word(), will[1], will[2])
        old = self.clients.pop(name, None)
        if old:
            if old.connect["will"] and not self.broker.ours:
                old.cut()  # Mosquitto 2.0.11 forgets the will of a session that is resumed
            self.model.end(name, goodbye=False)
        self.open(name, clean, acks, made)
        if old and old.sock.fileno() >= 0:
            old.wait_closed()
            old.cut()
        self.settle()

    @rule(pick=PICK, filters=FILTERS)
    def subscribe(self, pick, filters):
        name = self.pick(pick)
        if name and not self.crowded():
            self.subscribe_now(name, filters)
            self.settle()

    def subscribe_now(self, name, filters):
        full = [(self.base + wanted, qos) for wanted, qos in filters]
        self.model.subscribe(name, full)
        assert self.clients[name].subscribe(*full) == tuple(qos for _, qos in full)

    @rule(pick=PICK, which=PICK, other=FILTER_NAMES, topic=TOPICS, qos=QOS)
    def unsubscribe(self, pick, which, other, topic, qos):
        """From one of its filters and perhaps from one that it has not, and then something comes."""
        if name := self.pick(pick):
            have = sorted(self.model.sessions[name].filters)
            full = [have[which % len(have)] if have else self.base, self.base + other]
            self.clients[name].unsubscribe(*full)
            self.model.unsubscribe(name, full)
            self.publish_now(WATCHER, self.base + topic, qos, False, 1)
            self.settle()

    @rule(pick=PICK, topic=TOPICS, qos=QOS, retain=st.booleans(), count=st.integers(0, 3))
    def publish(self, pick, topic, qos, retain, count):
        """So many messages; none: one empty payload."""
        if not self.crowded():
            self.publish_now(self.pick(pick) or WATCHER, self.base + topic, qos, retain, count)
            self.settle()

    def publish_now(self, name, topic, qos, retain, count):
        for payload in [self.word() for _ in range(count)] or [b""]:
            self.model.publish(name, topic, payload, qos, retain)
            self.clients[name].publish(topic, payload, qos, retain)

    @rule(pick=PICK, goodbye=st.booleans())
    def leave(self, pick, goodbye):
        if name := self.pick(pick):
            self.end(name, goodbye)
            self.settle()

    @rule(pick=PICK, goodbye=st.booleans(), topics=st.lists(st.tuples(TOPICS, QOS), max_size=3), acks=ACKS)
    def be_away(self, pick, goodbye, topics, acks):
        """Leave, miss something, come back."""
        name = self.pick(pick)
        if name and not self.crowded():
            self.end(name, goodbye)
            for topic, qos in topics:
                self.publish_now(WATCHER, self.base + topic, qos, False, 2)
            self.open(name, False, acks, None)
            self.settle()

    def teardown(self):
        for client in self.clients.values():
            client.cut()
        for name in self.model.sessions:
            with Client(self.broker.port, f"{self.base}-{name}") as client:
                for topic in self.model.retained:
                    client.publish(topic, b"", retain=True)


def play(make, examples: int, steps: int) -> None:
    """Run machines: the same ones every time, or CONFORMANCE_EXAMPLES random ones."""
    run_state_machine_as_test(
        make,
        settings=settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=40 if EXAMPLES else steps,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink] if SHRINK else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
