"""Debian's mosquitto_pub and mosquitto_sub, as a newcomer types them."""

import subprocess
import threading
import time

PATIENCE_S = 30.0


class TakenOver(AssertionError):
    """Another program with the same client id connected meanwhile: mosquitto_sub, coming back."""


def publish(port: int, *words: str) -> None:
    done = subprocess.run(
        ["mosquitto_pub", "-p", str(port), *words], capture_output=True, text=True, timeout=PATIENCE_S
    )
    if "connection was lost" in done.stderr:
        raise TakenOver(done.stderr)
    assert done.returncode == 0, done.stderr


def identity(id: str, token: str) -> list[str]:
    return ["-u", id, "-P", token, "-i", id]


class Listener:
    """A mosquitto_sub in the background, and what it has printed (`topic payload`). Entered, it listens."""

    def __init__(self, port: int, *words: str) -> None:
        # -d: it says when it has subscribed.
        self._words = ["stdbuf", "-oL", "mosquitto_sub", "-p", str(port), "-v", "-d", *words]
        self.lines: list[str] = []
        self._subscribed = threading.Event()

    def __enter__(self) -> "Listener":
        self._process = subprocess.Popen(
            self._words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        assert self._subscribed.wait(PATIENCE_S), self.lines
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            if "received SUBACK" in line:
                self._subscribed.set()
            elif not line.startswith(("Client ", "Subscribed ")):
                self.lines.append(line.rstrip("\n"))

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(PATIENCE_S)
        self._process.stdout.close()

    def wait_for(self, *fragments: str) -> str:
        """The first line that holds all of these."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if all(fragment in line for fragment in fragments):
                    return line
            time.sleep(0.05)
        raise AssertionError(f"mosquitto_sub never said {fragments}; it said {self.lines}")
