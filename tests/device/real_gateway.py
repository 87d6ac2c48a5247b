"""The whole gateway as a child process, and a technician with a browser's forms."""

import os
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import httpx

from .harness import free_port, wait_until

PASSERELLE = Path(sys.executable).with_name("passerelle")
PASSWORD = "correct horse battery staple"


class RealGateway:
    def __init__(self, folder: Path) -> None:
        self.http_port, self.mqtt_port = free_port(), free_port()
        self.database = folder / "data" / "passerelle.db"
        self.lines: list[str] = []
        self._folder = folder
        self._process: subprocess.Popen | None = None
        self._environment = os.environ | {
            "PASSERELLE_DATA": str(folder / "data"),
            "PASSERELLE_HTTP_PORT": str(self.http_port),
            "PASSERELLE_MQTT_PORT": str(self.mqtt_port),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def add_admin(self) -> None:
        words = [PASSERELLE, "user", "add", "admin", "--role", "admin", "--password-stdin"]
        options = {"input": PASSWORD + "\n", "text": True, "cwd": self._folder, "env": self._environment}
        subprocess.run(words, check=True, capture_output=True, **options)

    def start(self) -> None:
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        words = [PASSERELLE, "run"]
        self._process = subprocess.Popen(words, cwd=self._folder, env=self._environment, **pipe)
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        wait_until(self._answers, f"the gateway: {self.lines}")

    def _read(self, stream) -> None:
        with stream:
            self.lines.extend(line.rstrip("\n") for line in stream)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "\n".join(self.lines)
        try:
            return httpx.get(self.url + "/readyz", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def history(self, key: str) -> list[tuple[int, float]]:
        """Everything that was ever stored of this key, oldest first: (time, value)."""
        ask = (
            "select ts_ms, number from reading join series on series.id = series where key = ? order by ts_ms"
        )
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(ask, (key,)).fetchall()


class Technician:
    """Uses the pages as a browser without JavaScript does."""

    def __init__(self, url: str) -> None:
        self._browser = httpx.Client(base_url=url, follow_redirects=True, timeout=20)
        self.post("/login", "/login", username="admin", password=PASSWORD)

    def close(self) -> None:
        self._browser.close()

    def page(self, path: str) -> str:
        answer = self._browser.get(path)
        assert answer.is_success, f"{path}: {answer.status_code}"
        return answer.text

    def post(self, page: str, path: str, **fields: str) -> str:
        """Send a form of a page, with the page's own token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.page(page)).group(1)
        answer = self._browser.post(path, data={"csrf": token, **fields})
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return answer.text

    def approve(self, id: str) -> None:
        wait_until(lambda: f'value="{id}"' in self.page("/waiting"), f"{id} in the waiting room")
        self.post("/waiting", "/waiting/decide", id=id, decision="approve")

    def claims(self) -> list[str]:
        return re.findall(r'action="/waiting/claims/(\d+)"', self.page("/waiting"))

    def approve_claim(self, number: str) -> None:
        self.post("/waiting", f"/waiting/claims/{number}", decision="approve")

    def value(self, id: str, key: str) -> str | None:
        found = re.search(rf'data-key="{key}"[^>]*>([^<]*)<', self.page(f"/modules/{id}"))
        return found and found.group(1)

    def command(self, id: str, name: str, **params: str) -> None:
        self.post(f"/modules/{id}", f"/modules/{id}/commands/{name}", **params)
