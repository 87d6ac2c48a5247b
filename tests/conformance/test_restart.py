"""The model again, while our broker is stopped or killed and started with its data (D1 to D3, D6)."""

from contextlib import ExitStack

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from .brokers import running
from .client import Client
from .machine import WATCHER, Machine, play
from .packets import Will


class Restartable:
    """Our broker, on one port and with one folder through all its lives."""

    ours = True

    def __init__(self, folder):
        self.folder = folder
        self.port = 0
        self.stack = ExitStack()

    def start(self):
        broker = self.stack.enter_context(running("ours", self.folder, self.port))
        self.port, self.process = broker.port, broker.process

    def stop(self, kill: bool):
        if kill:
            self.process.kill()
            self.process.wait()
        self.stack.close()


class Restarting(Machine):
    def open(self, name, clean, acks, will):
        """Without wills: our broker waits with them after a restart, see below."""
        super().open(name, clean, acks, None)

    def publish_now(self, name, topic, qos, retain, count):
        """Only what is acknowledged is promised: nothing is retained with QoS 0."""
        super().publish_now(name, topic, max(qos, 1) if retain else qos, retain, count)

    @rule(kill=st.sampled_from([True, True, False]))
    def restart(self, kill):
        self.broker.stop(kill)
        if kill:
            self.model.crash()
        else:
            self.model.stop()
        for client in self.clients.values():
            client.cut()
        self.clients.clear()
        self.broker.start()
        self.open(WATCHER, True, "all", None)
        self.subscribe_now(WATCHER, [("/#", 2)])
        self.settle()


@pytest.fixture
def restartable(tmp_path):
    broker = Restartable(tmp_path)
    broker.start()
    yield broker
    broker.stop(kill=False)


@pytest.mark.parametrize("kill", (False, True), ids=("stopped", "killed"))
def test_wills_of_those_who_do_not_come_back(restartable, kill):
    """D6: once, after the keepalive that each had; none for whoever said DISCONNECT or has come back."""
    port, names = restartable.port, ("bye", "kept", "clean", "back")
    wills = {name: Will(f"w/{name}", b"gone", 1, True) for name in names}
    with Client(port, "reader", clean=False) as reader:
        reader.subscribe(("w/#", 1))
        reader.disconnect()
    with ExitStack() as stack:
        for name, will in wills.items():
            client = stack.enter_context(Client(port, name, clean=name != "kept", will=will, keepalive=1))
            client.publish(f"online/{name}", b"1", 1, retain=True)  # what was before it is on disk as well
            if name == "bye":
                client.disconnect()
        restartable.stop(kill)
    restartable.start()
    with Client(port, "back") as back:
        check_wills(port, {"w/kept", "w/clean"}, {"w/kept", "w/clean"})
        back.ping()
    restartable.stop(not kill)
    restartable.start()
    check_wills(port, set(), {"w/kept", "w/clean"})


def check_wills(port: int, queued: set[str], retained: set[str]) -> None:
    """So many wait for, or still come to, a kept session; so many are retained, and no more."""
    with Client(port, "reader", clean=False) as reader, Client(port) as late:
        assert {m.topic for m in reader.receive(len(queued))} == queued
        reader.idle(2)
        assert reader.rest() == []
        late.subscribe(("w/#", 1))
        assert {m.topic for m in late.receive(len(retained))} == retained
        assert late.rest() == []
        reader.disconnect()


def test_a_restart_forgets_nothing_acknowledged(restartable):
    play(lambda: Restarting(restartable), examples=4, steps=15)
