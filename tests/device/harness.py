"""What the tests of the device need around it: a Mosquitto, somebody who plays the gateway, and a board."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho

from . import micropython

DEVICE = Path(__file__).resolve().parents[2] / "firmware" / "device"
PATIENCE_S = 60
INTERPRETERS: dict[str, Callable[[], list[str]]] = {
    "micropython": micropython.command,
    "cpython": lambda: [sys.executable, "-u", "-X", "dev"],
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_until(true: Callable[[], object], what: str, within_s: float = PATIENCE_S) -> object:
    """Poll until `true()` is, and return its value; the failure says what was waited for."""
    end = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < end, f"waited {within_s} s in vain for: {what}"
        time.sleep(0.02)
    return value


@dataclass
class Board:
    """A folder with the files a board gets, and the interpreter that runs its main.py."""

    folder: Path
    interpreter: str
    lines: list[str] = field(default_factory=list)
    process: subprocess.Popen | None = None

    def install(self, program: str | None, **settings: object) -> None:
        """The library, settings.py with some values changed, and main.py: the example or `program`."""
        self.folder.mkdir(exist_ok=True)
        shutil.copytree(DEVICE / "passerelle", self.folder / "passerelle", dirs_exist_ok=True)
        changed = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        (self.folder / "settings.py").write_text((DEVICE / "settings.py").read_text() + changed)
        (self.folder / "main.py").write_text(program or (DEVICE / "main.py").read_text())

    def start(self) -> None:
        words = [*INTERPRETERS[self.interpreter](), "main.py"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            words, cwd=self.folder, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()

    def _read(self, stream) -> None:
        with stream:
            for line in stream:
                self.lines.append(line.rstrip("\n"))

    def cut_power(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        self.cut_power()
        self.start()

    def says(self, words: str, times: int = 1) -> None:
        """Wait until that many lines of the console hold the words."""
        wait_until(lambda: self.count(words) >= times, f"{words!r} x {times} on the console: {self.lines}")

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)

    def kept(self, name: str) -> object:
        return json.loads((self.folder / name).read_text())


class Mosquitto:
    """A real broker that can be killed, frozen and started again on the same port, with its state on disk."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self._config = folder / "mosquitto.conf"
        store = f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
        listener = f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n"
        self._config.write_text(f"user root\n{store}{listener}{extra}")

    def start(self) -> None:
        path = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert path, "mosquitto is not installed"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([path, "-c", str(self._config)], **quiet)
        wait_until(self._listens, "Mosquitto listening")

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class StandIn:
    """Plays the gateway's part on a broker, as the wire contract has it; approval is a call of `approve`."""

    def __init__(self, port: int, root: str = "gw/1") -> None:
        self.root = root
        self.heard: list[tuple[str, bytes, bool]] = []
        self.approved: set[str] = set()
        self.reply: dict[str, object] = {"status": "pending", "retry_after": 1}
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "gateway", clean_session=False)
        self.client.on_connect = self._subscribe
        self.client.on_message = self._message
        self.client.reconnect_delay_set(0.1, 0.5)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self._grants = 0

    def close(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()

    def _subscribe(self, client, *_) -> None:
        client.subscribe([(f"{self.root}/+/up/#", 1), (f"{self.root}/register/+", 1)])

    def _message(self, client, userdata, message) -> None:
        self.heard.append((message.topic.removeprefix(self.root + "/"), message.payload, message.retain))
        words = message.topic.removeprefix(self.root + "/").split("/")
        if words[0] == "register":
            self._enrol(message.topic, json.loads(message.payload))
        elif words[1:] == ["up", "register"] and words[0] in self.approved:
            self.say(words[0], "down/registered", {"status": "online", "id": words[0]})

    def _enrol(self, topic: str, asked: dict) -> None:
        self._grants += 1
        grant = {"id": asked["serial"], "token": f"secret{self._grants}"}
        granted = self.reply["status"] in ("pending", "approved")
        self.client.publish(topic + "/reply", json.dumps(self.reply | (grant if granted else {})), 1)

    def approve(self, id: str) -> None:
        self.approved.add(id)
        self.say(id, "down/registered", {"status": "online", "id": id, "commands": [], "events": []})

    def say(self, id: str, words: str, body: dict) -> None:
        self.client.publish(f"{self.root}/{id}/{words}", json.dumps(body), 1)

    def command(self, id: str, command_id: str, name: str, **more: object) -> None:
        self.say(id, "down/command", {"id": command_id, "command": name, "params": {}} | more)

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for heard, payload, _ in list(self.heard) if heard == topic]

    def bodies(self, topic: str) -> list[dict]:
        return [json.loads(payload) for payload in self.payloads(topic)]

    def hears(self, topic: str, times: int = 1) -> None:
        wait_until(lambda: len(self.payloads(topic)) >= times, f"{topic} x {times}")

    def answers(self, id: str, command_id: str) -> list[dict]:
        return [body for body in self.bodies(f"{id}/up/reply") if body["id"] == command_id]

    def answered(self, id: str, command_id: str, status: str) -> dict:
        def found():
            return next((body for body in self.answers(id, command_id) if body["status"] == status), None)

        return wait_until(found, f"{status} for {command_id}")


@contextmanager
def running(broker: Mosquitto) -> Iterator[Mosquitto]:
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
