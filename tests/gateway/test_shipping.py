"""Audit rows reach a real TCP receiver: whatever dies in between, no row is missing."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
import pytest

from gateway import shipping
from gateway.core import audit
from gateway.shipping import Shipping
from tests.gateway.core.heart import open_heart
from tests.gateway_process import GatewayProcess, free_ports, wait_until

pytestmark = pytest.mark.anyio
PATIENCE_S = 60

# A receiver as a process of its own, so that it can die as one: it appends what it reads to a file.
PROGRAM = """
import socket, sys, threading
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("open", flush=True)
def take(connection):
    with open(sys.argv[2], "ab", buffering=0) as file:
        for line in connection.makefile("rb"):
            if line.endswith(b"\\n"):
                file.write(line)
while True:
    threading.Thread(target=take, args=door.accept()[:1], daemon=True).start()
"""


class Receiver:
    def __init__(self, folder):
        (self.port,) = free_ports(1)
        self.file = folder / "received"
        self.process = None

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def start(self):
        command = [sys.executable, "-c", PROGRAM, str(self.port), str(self.file)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "open\n"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def lines(self):
        """What was read; a line that was cut off by a death is none."""
        found = []
        for line in self.file.read_bytes().splitlines() if self.file.exists() else []:
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def numbers(self):
        return [line["number"] for line in self.lines()]


@pytest.fixture
def receiver(tmp_path):
    made = Receiver(tmp_path)
    yield made
    made.kill()


@pytest.fixture
def quick(monkeypatch):
    """The same in less time."""
    monkeypatch.setattr(shipping, "SETTLE_S", 0.3)
    monkeypatch.setattr(shipping, "LOOK_S", 0.1)
    monkeypatch.setattr(shipping, "BACK_OFF_S", (0.1, 0.3))


@asynccontextmanager
async def shipped(folder, url):
    """A core whose rows are sent."""
    async with open_heart(folder, logstash_url=url) as core:
        task = asyncio.get_running_loop().create_task(Shipping(core).run())
        try:
            yield core
            assert not task.done(), task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])


async def write(core, count, **details):
    def work():
        for number in range(count):
            audit.write("test.row", f"S-{number}", "ann", at="line\nbreak", **details)

    await core.store.run(work)


async def until(true, what):
    end = time.monotonic() + PATIENCE_S
    while not (value := true()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        await anyio.sleep(0.05)
    return value


async def all_there(core, receiver):
    """Wait until the receiver has every row that there is now."""
    newest = (await core.audit.rows(limit=1))[0]["number"]
    wanted = set(range(1, newest + 1))
    await until(lambda: set(receiver.numbers()) >= wanted, "all rows")
    return newest


def first_times(numbers):
    return list(dict.fromkeys(numbers))


async def test_every_row_comes_in_order_as_one_line(tmp_path, receiver, quick):
    receiver.start()
    async with shipped(tmp_path, receiver.url) as core:
        await write(core, 1200, level="warning", address="10.0.0.1")
        newest = await all_there(core, receiver)
        lines = receiver.lines()
        assert [line["number"] for line in lines] == list(range(1, newest + 1))
        rows = {row["number"]: row for row in await core.audit.rows(limit=5000)}
        for line in lines:
            row = rows[line["number"]]
            assert {name: line[name] for name in row if name != "at_ms"} == {
                name: value for name, value in row.items() if name != "at_ms"
            }
            assert line["@timestamp"].endswith("Z") and line["gateway"] and len(line["chain"]) == 64
        await until(lambda: core.audit.lines_waiting == 0, "the cursor to reach the end")
    # A new life goes on where the last one was.
    async with shipped(tmp_path, receiver.url) as core:
        newest = await all_there(core, receiver)
        assert receiver.numbers() == list(range(1, newest + 1))


async def test_what_was_written_while_it_was_away_comes_later(tmp_path, receiver, quick, caplog):
    caplog.set_level(logging.INFO, "gateway.shipping")
    async with shipped(tmp_path, receiver.url) as core:
        await write(core, 700)
        await until(lambda: core.audit.lines_waiting == 701, "the rows to wait")
        await anyio.sleep(2)
        receiver.start()
        await all_there(core, receiver)
        await until(lambda: core.audit.lines_waiting == 0, "the cursor to reach the end")
        receiver.kill()
        await write(core, 10)
        await until(lambda: "does not take them" in caplog.messages[-1], "its absence to be told")
        receiver.start()
        newest = await all_there(core, receiver)
        await until(lambda: core.audit.lines_waiting == 0, "the cursor to reach the end again")
        assert first_times(receiver.numbers()) == list(range(1, newest + 1))
        await until(lambda: len(caplog.messages) >= 4, "the state to be told")
    # One line for each change, however often it was tried.
    assert [" wait, " in message for message in caplog.messages] == [True, False, True, False]


async def test_a_receiver_that_is_killed_in_the_middle_misses_nothing(tmp_path, receiver, quick):
    async with shipped(tmp_path, receiver.url) as core:
        for _ in range(6):
            receiver.start()
            await write(core, 3000)
            heard = len(receiver.numbers())
            await until(lambda before=heard: len(receiver.numbers()) > before, "some rows to be read")
            receiver.kill()
            await write(core, 100)
        receiver.start()
        newest = await all_there(core, receiver)
        assert newest == 1 + 6 * 3100
        assert first_times(receiver.numbers()) == list(range(1, newest + 1))


async def test_a_receiver_that_does_not_read_holds_up_nobody(tmp_path, receiver, quick, monkeypatch):
    monkeypatch.setattr(shipping, "STUCK_S", 2.0)
    receiver.start()
    receiver.signal(signal.SIGSTOP)
    async with shipped(tmp_path, receiver.url) as core:
        for _ in range(10):
            with anyio.fail_after(PATIENCE_S):
                await write(core, 500, padding="x" * 2000)
            await anyio.sleep(0.2)
        # Only as much of it is in hand as one page and the kernel's buffers.
        waiting = await until(lambda: core.audit.lines_waiting, "rows that wait")
        assert waiting > 1000
        receiver.signal(signal.SIGCONT)
        # The connections that were given up are read as well, beside the one that lives: not in order.
        newest = await all_there(core, receiver)
        assert set(receiver.numbers()) == set(range(1, newest + 1))
        await until(lambda: core.audit.lines_waiting == 0, "the cursor to reach the end")


async def test_what_its_machine_took_and_it_never_read_is_sent_again(tmp_path, receiver, quick, monkeypatch):
    monkeypatch.setattr(shipping, "SETTLE_S", 30.0)
    receiver.start()
    async with shipped(tmp_path, receiver.url) as core:
        await all_there(core, receiver)
        receiver.signal(signal.SIGSTOP)
        await write(core, 200)
        await anyio.sleep(2)
        receiver.kill()
        assert len(receiver.numbers()) == 1
        receiver.start()
        newest = await all_there(core, receiver)
        assert first_times(receiver.numbers()) == list(range(1, newest + 1))


async def test_one_that_hangs_up_at_once_is_not_called_all_the_time(tmp_path, monkeypatch):
    calls = []

    async def hang_up(_, writer):
        calls.append(time.monotonic())
        writer.close()

    monkeypatch.setattr(shipping, "BACK_OFF_S", (0.5, 60.0))
    door = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with door, shipped(tmp_path, f"tcp://127.0.0.1:{door.sockets[0].getsockname()[1]}") as core:
        await write(core, 10)
        await anyio.sleep(4)
        assert core.audit.lines_waiting == 11
    # At 0, 0.5, 1.5, 3.5 s, each up to a quarter earlier.
    assert 1 <= len(calls) <= 5


async def test_what_it_answers_is_ignored(tmp_path, receiver, quick):
    async def shout(reader, writer):
        writer.write(b"x" * 1_000_000)
        while data := await reader.read(65536):
            heard.extend(data.splitlines())
        writer.close()

    heard = []
    door = await asyncio.start_server(shout, "127.0.0.1", 0)
    async with door, shipped(tmp_path, f"tcp://127.0.0.1:{door.sockets[0].getsockname()[1]}") as core:
        await write(core, 10)
        await until(lambda: core.audit.lines_waiting == 0, "the cursor to reach the end")
        assert len(heard) == 11


async def test_a_database_that_fails_stops_nothing(tmp_path, receiver, quick, monkeypatch):
    receiver.start()
    lines = shipping._lines

    def broken(*_):
        raise RuntimeError("disk")

    async with shipped(tmp_path, receiver.url) as core:
        monkeypatch.setattr(shipping, "_lines", broken)
        await write(core, 10)
        await anyio.sleep(1)
        monkeypatch.setattr(shipping, "_lines", lines)
        await all_there(core, receiver)


def test_a_gateway_that_is_killed_misses_no_row(tmp_path, receiver):
    receiver.start()
    with GatewayProcess(tmp_path, logstash_url=receiver.url) as gateway:
        for number in range(3):
            with gateway.api() as api:
                for seconds in range(10, 30):
                    answer = api.put("/join", json={"mode": "window", "seconds": seconds})
                    assert answer.status_code == 200
                if number == 1:
                    receiver.kill()
                    answer = api.put("/join", json={"mode": "open"})
            if number == 2:
                receiver.start()
            gateway.kill9()
            gateway.start()
        with gateway.api() as api:
            newest = api.get("/audit", params={"limit": 1}).json()["items"][0]["number"]
        wanted = set(range(1, newest + 1))
        wait_until(lambda: set(receiver.numbers()) >= wanted, "all rows")
        assert first_times(receiver.numbers())[:newest] == sorted(wanted)
        assert "passerelle_audit_lines_waiting" in metrics(gateway)


def metrics(gateway):
    return httpx.get(gateway.url + "/metrics", timeout=30).text
