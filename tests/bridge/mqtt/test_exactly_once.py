"""D1, D3: a publisher and a subscriber, and a broker that is killed again and again: QoS 2 arrives once."""

import asyncio
import random

import pytest

from .client import (
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    ack,
    connect,
    dial,
    message,
    publish,
    subscribe,
    until,
)
from .test_persistence import process_on

pytestmark = pytest.mark.anyio
KILLS = 6
MESSAGES = 3000
WINDOW = 50


class Publisher:
    """Keeps what is not acknowledged, as a persistent session must. Odd messages are QoS 2, even ones 1."""

    def __init__(self):
        self.next = 0
        self.open = {}  # packet id: (message, released)
        self.acknowledged = set()

    @property
    def done(self):
        return self.next == MESSAGES and not self.open

    async def run(self, port, may_go_on):
        one = await dial(port)
        try:
            await one.ask(connect("pub", clean=False))
            for number, (value, released) in self.open.items():
                one.send(ack(PUBREL, number) if released else self._packet(number, value, dup=True))
            while not self.done:
                while len(self.open) < WINDOW and self.next < MESSAGES and may_go_on(self.next):
                    number = next(at for at in range(1, 60) if at not in self.open)
                    self.open[number] = (self.next, False)
                    one.send(self._packet(number, self.next, dup=False))
                    self.next += 1
                got = await one.read()
                if got is None:
                    return
                self._answer(one, got)
        finally:
            one.writer.close()

    def _packet(self, number, value, dup):
        return publish("x", b"%d" % value, 1 + value % 2, number, dup=dup)

    def _answer(self, one, got):
        if got.kind == PUBREC:
            self.open[got.number] = (self.open[got.number][0], True)
            one.send(ack(PUBREL, got.number))
        elif got.kind in (PUBACK, PUBCOMP):
            self.acknowledged.add(self.open.pop(got.number)[0])


class Subscriber:
    """Takes a QoS 2 message when its id is new, and frees the id at PUBREL."""

    def __init__(self):
        self.seen = []
        self.held = set()
        self.subscribed = asyncio.Event()

    async def run(self, port):
        one = await dial(port)
        try:
            await one.ask(connect("sub", clean=False))
            one.send(subscribe(1, ("x", 2)))
            while (got := await one.read(None)) is not None:
                self._answer(one, got)
        finally:
            one.writer.close()

    def _answer(self, one, got):
        if got.kind == PUBREL:
            self.held.discard(got.number)
            one.send(ack(PUBCOMP, got.number))
        elif got.kind == PUBLISH:
            said = message(got)
            if said.number not in self.held:
                self.seen.append(int(said.payload))
            if said.qos == 2:
                self.held.add(said.number)
            one.send(ack(PUBREC if said.qos == 2 else PUBACK, said.number))
        else:
            assert got.kind == SUBACK
            self.subscribed.set()


async def test_qos_2_exactly_once_over_kills(tmp_path):
    publisher, subscriber = Publisher(), Subscriber()
    kills = 0
    while not publisher.done:
        async with process_on(tmp_path) as port:
            taking = asyncio.create_task(subscriber.run(port))
            await subscriber.subscribed.wait()
            giving = asyncio.create_task(publisher.run(port, lambda at: at - len(set(subscriber.seen)) < 300))
            if kills < KILLS:
                reached = random.randint(1, MESSAGES // KILLS) + publisher.next
                await until(lambda at=reached: publisher.next >= at or publisher.done)
            else:
                await giving
                await until(lambda: len(set(subscriber.seen)) == MESSAGES)
            kills += 1
        await asyncio.gather(taking, giving)
    twice = [value for value in set(subscriber.seen) if subscriber.seen.count(value) > 1 and value % 2]
    assert publisher.acknowledged == set(range(MESSAGES))
    assert set(subscriber.seen) == set(range(MESSAGES))
    assert twice == []
