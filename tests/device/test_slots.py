"""The boot chooser by itself: what it starts from which state, and the watchdogs of different chips."""

import json
import subprocess
from pathlib import Path

import pytest

from .harness import DEVICE, INTERPRETERS, Board

SAY = "print('slot {0}')\n"
CHIP = """
PWRON_RESET, WDT_RESET = 1, 3

def reset_cause():
    return CAUSE

def reset():
    print("reset")

class WDT:
    def __init__(self, **options):
        REFUSES
        print("watchdog", options)

    def feed(self):
        print("fed")
"""
ESP32 = "pass"
RP2 = "if options.get('timeout', 0) > 8388:\n            raise ValueError('timeout exceeds 8388')"
ESP8266 = "if options:\n            raise TypeError('no such argument')"


@pytest.fixture(params=INTERPRETERS)
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    return Board(tmp_path / "board", request.param)


def started(board: Board, state: object, *slots: str, **files: str) -> list[str]:
    """The lines of one start with these slots and this slots.json (a text is written as it is)."""
    board.install((DEVICE / "ab" / "main.py").read_text())
    (board.folder / "slots.py").write_text((DEVICE / "ab" / "slots.py").read_text())
    for slot in slots:
        (board.folder / slot).mkdir(exist_ok=True)
        (board.folder / slot / "main.py").write_text(files.get(slot, SAY.format(slot)))
    if state is not None:
        (board.folder / "slots.json").write_text(state if isinstance(state, str) else json.dumps(state))
    for name in files.keys() - set(slots):
        (board.folder / f"{name}.py").write_text(files[name])
    words = [*INTERPRETERS[board.interpreter](), "main.py"]
    done = subprocess.run(words, cwd=board.folder, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def trial(left: int) -> dict:
    return {"good": "a", "images": {"b": {"serial": "2"}}, "trial": {"slot": "b", "job": "j", "left": left}}


def chip(refuses: str, cause: str = "PWRON_RESET") -> str:
    return CHIP.replace("REFUSES", refuses).replace("CAUSE", cause)


@pytest.mark.parametrize(
    ("state", "slots", "runs"),
    [
        (None, "ab", "a"),
        (None, "b", "b"),
        ({"good": "b"}, "ab", "b"),
        ({"good": "b"}, "a", "a"),
        ('{"good": "b", "tri', "ab", "a"),
        ("", "b", "b"),
    ],
)
def test_it_starts_what_is_there(board: Board, state: object, slots: str, runs: str) -> None:
    assert started(board, state, *slots) == [f"slot {runs}"]


def test_a_state_that_was_being_renamed(board: Board) -> None:
    board.folder.mkdir()
    (board.folder / "slots.json.new").write_text(json.dumps({"good": "b"}))
    assert started(board, None, "a", "b") == ["slot b"]


def test_a_trial_that_ends_is_over(board: Board) -> None:
    lines = started(board, trial(3), "a", "b")
    assert lines == ["slot b is on trial", "slot b", "slot b is given up: the program has ended"]
    state = board.kept("slots.json")
    assert (state["good"], state["trial"]) == ("a", None)
    assert state["verdict"] == {"job": "j", "error": "the program has ended"}
    assert started(board, None, "a", "b") == ["slot a"]


def test_no_starts_are_left(board: Board) -> None:
    assert started(board, trial(0), "a", "b") == ["slot a"]
    assert "3 starts" in board.kept("slots.json")["verdict"]["error"]


@pytest.mark.parametrize(
    ("refuses", "options"),
    [(ESP32, {"timeout": 60000}), (RP2, {"timeout": 8000}), (ESP8266, {})],
    ids=["esp32", "rp2", "esp8266"],
)
def test_the_watchdog_of_a_chip(board: Board, refuses: str, options: dict[str, int]) -> None:
    good = "import slots\nslots.feed()\nslots.keep()\nprint('kept')\n"
    lines = started(board, trial(3), "a", "b", b=good, machine=chip(refuses))
    # The chip's own cannot be stopped: it is fed once more, and then by the library.
    assert lines == ["slot b is on trial", f"watchdog {options}", "fed", "fed", "kept"]
    assert board.kept("slots.json")["good"] == "b"


def test_a_watchdog_that_has_bitten_ends_the_trial(board: Board) -> None:
    lines = started(board, trial(2), "a", "b", machine=chip(ESP32, "WDT_RESET"))
    assert lines == ["slot a"]
    assert "hung" in board.kept("slots.json")["verdict"]["error"]


def test_the_reset_before_a_trial_is_no_bite(board: Board) -> None:
    """An RP2 restarts itself by its watchdog, and says so."""
    lines = started(board, trial(3), "a", "b", machine=chip(RP2, "WDT_RESET"))
    assert lines[0] == "slot b is on trial"
    assert lines[-2:] == ["slot b is given up: the program has ended", "reset"]


def test_a_slot_cannot_bring_settings_of_its_own(board: Board) -> None:
    main = "import settings\nprint(settings.WIFI_SSID)\n"
    board.folder.mkdir()
    (board.folder / "a").mkdir()
    (board.folder / "a" / "settings.py").write_text("WIFI_SSID = 'elsewhere'\n")
    assert started(board, None, "a", a=main) == [""]


def test_a_slot_may_bring_a_library_of_its_own(board: Board) -> None:
    library = board.folder / "a" / "passerelle"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("print('the new library')\n")
    assert started(board, None, "a", a="import passerelle\n") == ["the new library"]
