"""The brokers under test as child processes: Debian's Mosquitto, which checks the tests, and our own."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = "tests.bridge.mqtt.serve"
START_WITHIN_S = 30.0
MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
user {user}
max_inflight_messages 0
max_queued_messages 5000
log_dest stderr
log_type error
"""


@dataclass(frozen=True)
class Broker:
    name: str
    port: int
    process: subprocess.Popen
    log: Path

    @property
    def ours(self) -> bool:
        return self.name == "ours"

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def mosquitto_path() -> str | None:
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def mosquitto_command(port: int, folder: Path) -> list[str]:
    path = mosquitto_path()
    if not path:
        pytest.skip("mosquitto is not installed")
    conf = folder / "mosquitto.conf"
    conf.write_text(MOSQUITTO_CONF.format(port=port, user=pwd.getpwuid(os.getuid()).pw_name))
    return [path, "-c", str(conf)]


def our_command(port: int, folder: Path) -> list[str]:
    if not (ROOT / (OURS.replace(".", "/") + ".py")).exists():
        pytest.skip(f"{OURS} does not exist")
    kept = ["--data", str(folder / "data.sqlite"), "--loop", os.environ.get("CONFORMANCE_LOOP", "uvloop")]
    return [sys.executable, "-m", OURS, "--port", str(port), *kept]


COMMANDS = {"mosquitto": mosquitto_command, "ours": our_command}


@contextmanager
def running(name: str, folder: Path, port: int = 0) -> Iterator[Broker]:
    """The broker, listening; its process ends with the block. Ours keeps its data in the folder."""
    port = port or free_port()
    command = COMMANDS[name](port, folder)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    broker = Broker(name, port, process, log)
    try:
        wait_until_listening(broker)
        yield broker
    finally:
        stop(process)


def wait_until_listening(broker: Broker) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and broker.alive:
        try:
            socket.create_connection(("127.0.0.1", broker.port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"{broker.name} did not start: {broker.tail()}")


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


class Fleet:
    """Starts each broker when it is first asked for."""

    def __init__(self, stack, folder):
        self.stack = stack
        self.folder = folder
        self.running: dict[str, Broker] = {}

    @contextmanager
    def watched(self, name: str) -> Iterator[Broker]:
        """The broker for one test, which fails if it died or printed a traceback meanwhile."""
        if name not in self.running:
            folder = self.folder(f"broker-{name}")
            self.running[name] = self.stack.enter_context(running(name, folder))
        broker = self.running[name]
        before = broker.log.stat().st_size
        yield broker
        said = broker.log.read_bytes()[before:].decode(errors="replace")
        if not broker.alive:
            del self.running[name]
            pytest.fail(f"{name} died: {said[-4000:]}")
        if "Traceback" in said or "exception was never retrieved" in said:
            pytest.fail(f"{name} printed: {said[-4000:]}")
