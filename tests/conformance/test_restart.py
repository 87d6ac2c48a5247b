"""The model again, while our broker is stopped or killed and started with its data (D1 to D3, D6)."""

from contextlib import ExitStack
from dataclasses import replace

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
        """Each has a will topic of its own: which will of several comes first is nobody's promise."""
        super().open(name, clean, acks, will and replace(will, topic=f"{self.base}/will/{name}"))

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
def test_wills_are_published_once_when_the_broker_ends(restartable, kill):
    """D6 [MQTT-3.1.2-8]; whoever said DISCONNECT has none."""
    port = restartable.port
    wills = {name: Will(f"w/{name}", b"gone", 1, True) for name in ("kept", "clean", "bye")}
    with Client(port, "reader", clean=False) as reader:
        reader.subscribe(("w/#", 1))
        reader.disconnect()
    with (
        Client(port, "kept", clean=False, will=wills["kept"]) as kept,
        Client(port, "clean", will=wills["clean"]) as clean,
        Client(port, "bye", will=wills["bye"]) as bye,
    ):
        bye.disconnect()
        kept.ping()
        clean.ping()
        restartable.stop(kill)
        restartable.start()
    for kill_again in (True, False):
        with Client(port, "reader", clean=False) as reader, Client(port) as late:
            late.subscribe(("w/#", 1))
            assert {m.topic for m in late.receive(2)} == {"w/kept", "w/clean"}
            assert late.rest() == []
            if kill_again:
                assert {m.topic for m in reader.receive(2)} == {"w/kept", "w/clean"}
            assert reader.rest() == []
            reader.disconnect()
        restartable.stop(kill_again)
        restartable.start()


def test_a_restart_forgets_nothing_acknowledged(restartable):
    play(lambda: Restarting(restartable), examples=6, steps=20)
