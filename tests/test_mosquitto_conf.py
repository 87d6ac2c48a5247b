"""`mosquitto.conf` as it stands, under the real Mosquitto: it starts, and lets in only whom it names."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A broker in a folder of its own; only the port and the user it runs as differ from the file."""
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/sbin")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    text = (ROOT / "mosquitto.conf").read_text()
    assert "\nlistener 1883 127.0.0.1\n" in text
    text = text.replace("listener 1883 ", f"listener {free} ") + f"\nuser {getpass.getuser()}\n"
    (tmp_path / "mosquitto.conf").write_text(text)
    shutil.copy(ROOT / "mosquitto.acl", tmp_path)
    (tmp_path / "mosquitto.passwd").touch(mode=0o600)
    for name in ("passerelle", "MC-1", "MC-2"):
        words = ["mosquitto_passwd", "-b", "mosquitto.passwd", name, "secret"]
        subprocess.run(words, cwd=tmp_path, check=True)
    start = ["mosquitto", "-c", "mosquitto.conf"]
    with subprocess.Popen(start, cwd=tmp_path, stderr=subprocess.DEVNULL) as broker:
        try:
            wait_for(free)
            yield free
        finally:
            broker.terminate()


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("Mosquitto does not listen with our mosquitto.conf")


def client(tool: str, port: int, name: str, *words: str) -> list[str]:
    login = ["-u", name, "-P", "secret"] if name else []
    return [tool, "-h", "127.0.0.1", "-p", str(port), *login, *words]


def hears(port: int, listener: str, speaker: str, topic: str) -> bool:
    """Whether a retained word of one reaches the other."""
    publish = client("mosquitto_pub", port, speaker, "-t", topic, "-m", "word", "-r", "-q", "1")
    subprocess.run(publish, check=True)
    subscribe = client("mosquitto_sub", port, listener, "-t", topic, "-C", "1", "-W", "2")
    return subprocess.run(subscribe, capture_output=True).stdout == b"word\n"


def test_a_device_and_the_gateway_hear_each_other_and_nobody_else_does(port: int) -> None:
    assert hears(port, "passerelle", "MC-1", "gw/1/MC-1/up/telemetry")
    assert hears(port, "MC-1", "passerelle", "gw/1/MC-1/down/command")
    assert not hears(port, "passerelle", "MC-1", "gw/1/MC-2/up/telemetry")
    assert not hears(port, "MC-2", "passerelle", "gw/1/MC-1/down/command")


def test_nobody_enters_without_a_name(port: int) -> None:
    done = subprocess.run(client("mosquitto_pub", port, "", "-t", "a", "-m", "b"), capture_output=True)
    assert done.returncode != 0
    assert b"not authorised" in done.stderr


