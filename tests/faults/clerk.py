"""A technician's program that never tires: it asks for changes and remembers which were answered with 2xx."""

import threading
import time
from dataclasses import dataclass, field
from itertools import count

import httpx

from .devices import Account

RETRY_S = 0.1
MOST_COMMANDS = 90


@dataclass
class Answered:
    pending: dict[str, int] = field(default_factory=dict)  # id: expires_at
    approved: set[str] = field(default_factory=set)
    rejected: dict[str, str] = field(default_factory=dict)  # id: token
    accounts: dict[str, Account] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    services: dict[str, Account] = field(default_factory=dict)
    desired: dict[str, int] = field(default_factory=dict)  # id: version


class Clerk(threading.Thread):
    """`dozing`: the module that commands are sent to while it is away."""

    def __init__(self, url: str, access_token: str, dozing: str) -> None:
        super().__init__(daemon=True, name="clerk")
        self.answered = Answered()
        self.asked_names: dict[str, set[str]] = {}
        self.asked_decisions: set[str] = set()
        self.faults: list[str] = []
        self.goes_on = threading.Event()
        self._headers = {"Authorization": f"Bearer {access_token}"}
        self._url = url
        self._dozing = dozing
        self._stopping = threading.Event()
        self._numbers = count(1)

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                with httpx.Client(base_url=self._url, headers=self._headers, timeout=10) as http:
                    while not self._stopping.is_set():
                        self._work(http, next(self._numbers))
            except httpx.HTTPError:
                time.sleep(RETRY_S)

    def _work(self, http: httpx.Client, number: int) -> None:
        id = f"NEW-{number}"
        account = self._register(http, id)
        match number % 4:
            case 0 | 1:
                self.asked_decisions.add(id)
                self._ask(http, "POST", f"/modules/{id}/approve")
                self.answered.approved.add(id)
                self._rename(http, id, f"the {number}th")
                wanted = {"version": 0, "values": {"number": number}}
                desired = self._ask(http, "PUT", f"/modules/{id}/desired", wanted)
                self.answered.desired[id] = desired["version"]
            case 2:
                self.asked_decisions.add(id)
                self._ask(http, "POST", f"/modules/{id}/reject", {"reason": f"reason {number}"})
                self.answered.rejected[id] = account.token
            case 3:
                seen = self._ask(http, "GET", f"/modules/{id}")
                self.answered.pending[id] = seen["expires_at"]
        if number % 5 == 0:
            made = self._ask(http, "POST", "/service-accounts", {"name": f"program-{number}"})
            self.answered.services[made["name"]] = Account(made["name"], made["token"])
        if len(self.answered.commands) < MOST_COMMANDS and number % 2:
            words = {"command": ("left", "right")[number % 4 == 1], "expires_in": 3600}
            sent = self._ask(http, "POST", f"/modules/{self._dozing}/commands", words)
            self.answered.commands.append(sent["id"])
        self.goes_on.set()

    def _register(self, http: httpx.Client, id: str) -> Account:
        answer = http.post("/modules/register", json={"type": 7, "serial": id})
        account = Account(id, answer.json()["token"])
        self.answered.accounts[id] = account
        return account

    def _rename(self, http: httpx.Client, id: str, name: str) -> None:
        self.asked_names.setdefault(id, set()).add(name)
        self._ask(http, "PATCH", f"/modules/{id}", {"name": name})
        self.answered.names[id] = name

    def _ask(self, http: httpx.Client, method: str, path: str, body: dict | None = None) -> dict:
        answer = http.request(method, "/api/v1" + path, json=body)
        if not answer.is_success:
            self.faults.append(f"{method} {path}: {answer.status_code} {answer.text}")
            raise httpx.HTTPError("refused")
        return answer.json()

    def stop(self) -> None:
        self._stopping.set()
        self.join(30)
        assert not self.is_alive()
