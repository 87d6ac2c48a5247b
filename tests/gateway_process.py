"""The real gateway as a child process: `passerelle run` on ports and data of its own, which outlive it."""

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

PASSERELLE = str(Path(sys.executable).with_name("passerelle"))
ANNOUNCEMENT = "Passerelle is at "
START_S, STOP_S, PATIENCE_S = 60, 30, 60
ADMIN = "admin"


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_until(true: Callable[[], Any], what: str, within_s: float = PATIENCE_S) -> Any:
    """Poll until `true()` is, and return its value; the failure says what was waited for."""
    end = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < end, f"waited {within_s} s in vain for: {what}"
        time.sleep(0.05)
    return value


class GatewayProcess:
    """`with GatewayProcess(tmp_path) as gateway`: runs until the end, or `kill9`, or `stop`.

    `arguments` follow `passerelle run`; `settings` are the gateway's, as in `join="closed"`.
    """

    def __init__(self, folder: Path, *arguments: str, **settings: object) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.http_port, self.mqtt_port = free_ports(2)
        self.lines: list[str] = []
        self.password = secrets.token_urlsafe(16)
        self.process: subprocess.Popen[str] | None = None
        self._arguments = arguments
        self._has_admin = False
        given = {
            "data": self.data, "http_host": "127.0.0.1", "mqtt_host": "127.0.0.1",
            "http_port": self.http_port, "mqtt_port": self.mqtt_port,
        } | settings  # fmt: skip
        self.env = os.environ | {
            f"PASSERELLE_{name.upper()}": str(value) for name, value in given.items() if value is not None
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.stop()
        if kind is not None:
            print(*self.lines[-50:], sep="\n")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    # Its life

    def start(self) -> None:
        """Start it and wait until it has said where it is."""
        self.lines = []
        announced = threading.Event()
        self.process = subprocess.Popen(
            [PASSERELLE, "run", *self._arguments], cwd=self.folder, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self.process, announced), daemon=True)
        self._reader.start()
        ready = announced.wait(START_S) and self.process.poll() is None
        assert ready, "the gateway did not start:\n" + "\n".join(self.lines)

    def _read(self, process: "subprocess.Popen[str]", announced: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))
                if ANNOUNCEMENT in line:
                    announced.set()
        announced.set()

    def stop(self) -> int:
        """End it in order; its exit code, -SIGTERM as a rule. Does nothing when it has ended."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self._ended()

    def kill9(self) -> None:
        """End it as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(STOP_S)
        return code

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same ports and data."""
        self.stop()
        self.start()

    def command(self, *words: str, stdin: str = "") -> str:
        """What `passerelle <words>` prints, with this gateway's settings."""
        done = subprocess.run(
            [PASSERELLE, *words], cwd=self.folder, env=self.env, input=stdin, text=True,
            capture_output=True, timeout=START_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    # What programs ask it

    def add_admin(self) -> None:
        if not self._has_admin:
            words = ("user", "add", ADMIN, "--role", "admin", "--password-stdin")
            self.command(*words, stdin=self.password + "\n")
            self._has_admin = True

    @contextmanager
    def api(self) -> Iterator[httpx.Client]:
        """A client of the REST interface, logged in as admin; paths start after `/api/v1`."""
        self.add_admin()
        with httpx.Client(base_url=self.url + "/api/v1", timeout=30) as client:
            answer = client.post("/auth/login", json={"username": ADMIN, "password": self.password})
            assert answer.status_code == 200, answer.text
            client.headers["Authorization"] = "Bearer " + answer.json()["access_token"]
            yield client

    def answers(self, path: str = "/healthz") -> bool:
        try:
            return httpx.get(self.url + path, timeout=10).is_success
        except httpx.HTTPError:
            return False


def modules(api: httpx.Client, **query: object) -> list[dict[str, Any]]:
    """Every module that fits the query, from all pages."""
    found: list[dict[str, Any]] = []
    after: dict[str, object] = {}
    while True:
        page = api.get("/modules", params={"limit": 200} | query | after)
        page.raise_for_status()
        answer = page.json()
        found += answer["items"]
        if not answer["next"]:
            return found
        after = {"cursor": answer["next"]}
