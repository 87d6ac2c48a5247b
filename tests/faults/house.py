"""A gateway with modules, a technician's browser and programs, that is killed and started again."""

import json
import os
import re
from pathlib import Path

import httpx

from tests.gateway_process import ADMIN, GatewayProcess

from .devices import Account

ROOMY = {"rate_limits": "off", "pending_max": 10_000}
HISTORY_PAGE = 10_000


class House(GatewayProcess):
    """A GatewayProcess that remembers what all its lives have printed."""

    def __init__(self, folder: Path, **settings: object) -> None:
        super().__init__(folder, **ROOMY | settings)
        self.printed: list[str] = []

    def kill9(self) -> None:
        super().kill9()
        self._gather()

    def stop(self) -> int:
        code = super().stop()
        self._gather()
        return code

    def _gather(self) -> None:
        self.printed += self.lines
        self.lines = []

    def declare(self, types: dict[str, int]) -> dict[str, Account]:
        """Modules that a person enters beforehand: approved, each with its token."""
        file = self.folder / "modules.csv"
        file.write_text("serial,type,name\n" + "".join(f"{id},{type},\n" for id, type in types.items()))
        made = self.json_command("module", "import", str(file))
        return {row["id"]: Account(row["id"], row["token"]) for row in made}

    def json_command(self, *words: str):
        return json.loads(self.command(*words, "--json"))

    def service(self, api: httpx.Client, name: str, role: str = "reader") -> Account:
        answer = api.post("/service-accounts", json={"name": name, "role": role})
        assert answer.status_code == 201, answer.text
        return Account(name, answer.json()["token"])


def form_token(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page).group(1)


def log_in_by_form(url: str, password: str) -> httpx.Client:
    """A browser with a session's cookie."""
    browser = httpx.Client(base_url=url, timeout=30)
    csrf = form_token(browser.get("/login").text)
    answer = browser.post("/login", data={"csrf": csrf, "username": ADMIN, "password": password})
    assert answer.status_code == 303, answer.text
    return browser


def history(api: httpx.Client, id: str, key: str) -> list:
    """Every value ever recorded, in order of time."""
    values: list = []
    query: dict[str, object] = {"key": key, "limit": HISTORY_PAGE}
    while True:
        answer = api.get(f"/modules/{id}/telemetry", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()["items"]
        values = [point["value"] for point in page] + values
        if len(page) < HISTORY_PAGE:
            return values
        query["to"] = page[0]["ts"] - 1


def kills(usual: int) -> int:
    return int(os.environ.get("FAULT_KILLS", usual))


def seed() -> int:
    return int(os.environ.get("FAULT_SEED", 1))
