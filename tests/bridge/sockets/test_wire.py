"""One plain websocket: what is said to a reader who reads slowly, not at all, or is gone."""

import asyncio

import anyio
import pytest

from bridge.sockets import wire
from bridge.sockets.wire import Wire

pytestmark = pytest.mark.anyio


async def for_ever():
    await asyncio.Event().wait()


class Reader:
    """Takes events while `reads`; keeps them."""

    def __init__(self):
        self.reads, self.events = asyncio.Event(), []
        self.reads.set()

    async def send(self, event):
        await self.reads.wait()
        self.events.append(event)


async def test_everything_that_was_said_leaves_in_order_before_the_farewell():
    reader = Reader()
    one = Wire(reader.send)
    for number in range(100):
        assert one.say(str(number))
    one.end(1008, "Enough.")
    one.end(1000, "Later words on this do not count.")
    assert not one.say("too late") and not one.open
    with anyio.fail_after(20):
        await one.run(for_ever())
    *said, farewell = reader.events
    assert [event["text"] for event in said] == [str(number) for number in range(100)]
    assert farewell == {"type": "websocket.close", "code": 1008, "reason": "Enough."}


@pytest.mark.parametrize("text", ["x", "x" * 10_000])
async def test_one_who_does_not_read_is_cut_off_and_nobody_waits_for_him(text, monkeypatch):
    monkeypatch.setattr(wire, "FAREWELL_S", 0.1)
    reader = Reader()
    reader.reads.clear()
    one = Wire(reader.send)
    running = asyncio.create_task(one.run(for_ever()))
    said = 0
    while one.say(text):
        said += 1
        await asyncio.sleep(0)
    assert 0 < said <= wire.MOST_FRAMES + 1 and said * len(text) <= wire.MOST_BYTES
    with anyio.fail_after(20):
        await running
    assert reader.events == []


async def test_one_who_is_gone_is_heard_out():
    async def broken(_):
        raise OSError("gone")

    heard = asyncio.Event()

    async def listening():
        await asyncio.sleep(0.1)
        heard.set()

    one = Wire(broken)
    one.say("hello?")
    with anyio.fail_after(20):
        await one.run(listening())
    assert heard.is_set() and not one.open
