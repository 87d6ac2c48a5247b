"""The model again, while our broker is stopped or killed and started with its data (D1 to D3, D6)."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from .brokers import running
from .machine import WATCHER, Machine, play


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

    @rule(kill=st.booleans())
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


def test_a_restart_forgets_nothing_acknowledged(restartable):
    play(lambda: Restarting(restartable), examples=6, steps=20)
