"""The programs of docs/devices.md, run as they stand."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.dialects.jssocket import node
from tests.dialects.world import World
from tests.gateway_process import wait_until

from .document import DOCS

ROOT = DOCS.parent
PROGRAM = re.compile(r"^```(?:python|js) (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
Keep = Callable[[Any], Any]


class Program:
    """Entered, it runs; `lines` is what it has printed."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        (folder / name).write_text(texts()[name])
        self._words = [sys.executable if name.endswith(".py") else node(), name, url]
        self._folder = folder
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, cwd=self._folder, env=os.environ | {"NODE_NO_WARNINGS": "1"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            self.lines += (line.rstrip() for line in lines)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def prints(self, line: str) -> None:
        wait_until(lambda: line in list(self.lines), f"{self._words[1]} prints {line!r}: {self.lines}")


def texts() -> dict[str, str]:
    return {block["name"]: block["text"] for block in PROGRAM.finditer((DOCS / "devices.md").read_text())}


def run(keep: Keep, name: str, folder: Path, world: World) -> Program:
    libraries = folder / "node_modules"
    if not libraries.exists():
        libraries.symlink_to(ROOT / "node_modules")
    return keep(Program(name, folder, world.url))


def appears(world: World, id: str) -> None:
    wait_until(lambda: any(module["id"] == id for module in world.call("GET", "/modules")["items"]), id)


def test_a_module_in_python(world: World, keep: Keep, tmp_path: Path) -> None:
    strip = run(keep, "strip.py", tmp_path, world)
    appears(world, "STRIP-1")
    kept = (tmp_path / "token.txt").read_text()
    assert re.fullmatch(r"token=[A-Za-z0-9]{43}\n", kept)
    world.approve("STRIP-1")
    world.reports("STRIP-1", on=True, brightness=128)
    blue = world.command("STRIP-1", "color", red=0, green=0, blue=255)
    strip.prints("colour {'red': 0, 'green': 0, 'blue': 255}")
    world.command_is("STRIP-1", blue, "done")
    world.command("STRIP-1", "loop")
    strip.prints("loop None")


def test_a_node_and_a_program_in_javascript(world: World, keep: Keep, tmp_path: Path) -> None:
    bell = run(keep, "bell.mjs", tmp_path, world)
    appears(world, "BELL-1")
    world.approve("BELL-1")
    world.reports("BELL-1", level=7)
    panel = run(keep, "panel.mjs", tmp_path, world)
    panel.prints('BELL-1 {"level":7}')
    command = world.command("BELL-1", "set", values={"level": 5})
    bell.prints('set {"values":{"level":5}}')
    world.command_is("BELL-1", command, "done")
