"""A started gateway and whoever stands around it: people with sessions, programs, and a type of their own."""

import itertools
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.gateway_process import ADMIN, GatewayProcess, wait_until

from .jssocket import JsSocket
from .pysocket import PySocket
from .talker import Talker

# A module with one of each: a reading, an event, a command without and a setting with a parameter.
BELL = {
    "code": 100,
    "name": "Bell",
    "suffix": "BELL",
    "keys": {"level": {"kind": "number"}, "label": {"kind": "string"}},
    "commands": {
        "ring": {"label": "Ring"},
        "volume": {"label": "Volume", "keep": True, "params": {"level": {"kind": "number"}}},
    },
    "events": {"pressed": {"params": {"count": {"kind": "integer"}}}},
}
STUMBLE = re.compile(r"Traceback|\[(error|critical) *\]")
TOKEN = re.compile(r"[A-Za-z0-9]{43,}")
FORM_TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
CLIENTS = {
    "python": PySocket,
    "js-polling": lambda url, **more: JsSocket(url, "polling", **more),
    "js-websocket": lambda url, **more: JsSocket(url, "websocket", **more),
}
_serials = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody with a password, an access token (programs) and a cookie (browsers)."""

    id: int
    name: str
    role: str
    password: str
    jwt: str
    http: httpx.Client

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())}


class World:
    def __init__(self, gateway: GatewayProcess, api: httpx.Client) -> None:
        self.gateway = gateway
        self.api = api
        self.url, self.mqtt_port = gateway.url, gateway.mqtt_port
        self.people: dict[str, Person] = {}
        self.secrets = {gateway.password}
        self.call("POST", "/types", 201, json=BELL)

    def call(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        reply = self.api.request(method, path, **options)
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    # Modules

    def serial(self, word: str = "M", suffix: str = "BELL") -> str:
        return f"{word}-{next(_serials)}{secrets.token_hex(3)}-{suffix}".upper()

    def register(self, serial: str = "", type: int = 100, **more: Any) -> tuple[str, str]:
        """Over HTTP as devices do; its id and token."""
        body = {"type": type, "serial": serial or self.serial()} | more
        reply = httpx.post(self.url + "/modules/register", json=body, timeout=20)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        self.secrets.add(answer["token"])
        return answer["id"], answer["token"]

    def approved(self, serial: str = "", type: int = 100, owner: Person | None = None) -> tuple[str, str]:
        id, token = self.register(serial, type)
        self.approve(id)
        if owner is not None:
            self.call("PATCH", f"/modules/{id}", json={"owner_id": owner.id})
        return id, token

    def approve(self, id: str) -> None:
        self.call("POST", f"/modules/{id}/approve")

    def module(self, id: str) -> dict[str, Any]:
        return self.call("GET", f"/modules/{id}")

    def knows(self, id: str) -> bool:
        return self.api.get(f"/modules/{id}").status_code == 200

    def becomes(self, id: str, status: str) -> dict[str, Any]:
        wait_until(lambda: self.module(id)["status"] == status, f"{id} {status}: {self.module(id)}", 20)
        return self.module(id)

    def reports(self, id: str, **values: Any) -> None:
        """Wait until these are among its newest values."""

        def there() -> bool:
            return values.items() <= self.module(id)["telemetry"].items()

        wait_until(there, f"{values} of {id}: {self.module(id)}", 20)

    def command(self, id: str, name: str, **params: Any) -> str:
        answer = self.call("POST", f"/modules/{id}/commands", 202, json={"command": name, "params": params})
        return answer["id"]

    def command_is(self, id: str, command: str, *statuses: str) -> dict[str, Any]:
        def look() -> dict[str, Any]:
            return self.call("GET", f"/modules/{id}/commands/{command}")

        wait_until(lambda: look()["status"] in statuses, f"{command} {statuses}: {look()}", 20)
        return look()

    # People and programs

    def person(self, name: str, role: str = "user") -> Person:
        if name in self.people:
            return self.people[name]
        password = secrets.token_urlsafe(12)
        self.secrets.add(password)
        if name == ADMIN:
            password = self.gateway.password
            id = next(user["id"] for user in self.call("GET", "/users")["items"] if user["username"] == name)
        else:
            new = {"username": name, "password": password, "role": role}
            id = self.call("POST", "/users", 201, json=new)["id"]
        self.people[name] = Person(
            id, name, role, password, self.log_in(name, password), self.browser(name, password)
        )
        return self.people[name]

    @property
    def admin(self) -> Person:
        return self.person(ADMIN, "admin")

    def log_in(self, name: str, password: str) -> str:
        reply = httpx.post(
            self.url + "/api/v1/auth/login", json={"username": name, "password": password}, timeout=20
        )
        assert reply.status_code == 200, reply.text
        return reply.json()["access_token"]

    def browser(self, name: str, password: str) -> httpx.Client:
        """Cookies as the login form gives them."""
        http = httpx.Client(base_url=self.url, timeout=20)
        form = {"username": name, "password": password, "csrf": form_token(http, "/login")}
        reply = http.post("/login", data=form)
        assert reply.status_code == 303, reply.text
        return http

    def service(self, role: str) -> tuple[str, str]:
        """A program's account: its name and token."""
        name = f"{role}-{secrets.token_hex(3)}"
        answer = self.call("POST", "/service-accounts", 201, json={"name": name, "role": role})
        self.secrets.add(answer["token"])
        return name, answer["token"]

    # Browsers

    def tab(self, person: Person, page: str = "modules", kind: str = "python", **more: Any) -> Talker:
        """A page of this person's that is open and has said so."""
        by_cookie = kind == "python"
        proof: dict[str, Any] = {"headers": person.cookie} if by_cookie else {"auth": {"token": person.jwt}}
        one = CLIENTS[kind](self.url, **(proof | more), name=f"{person.name} on {page}")
        one.say("client:authenticate", {"userId": person.id, "page": page})
        heard = one.hear("client:auth:success", "client:auth:error")
        assert heard.event == "client:auth:success", heard
        return one

    def close(self) -> None:
        for person in self.people.values():
            person.http.close()


def form_token(http: httpx.Client, page: str) -> str:
    found = FORM_TOKEN.search(http.get(page).text)
    assert found, f"no form on {page}"
    return found[1]


def barrier(tab: Talker) -> None:
    """What was sent to a browser before this has come after it."""
    tab.say("request_module_states")
    tab.hear("module_states_sync")


@contextmanager
def open_world(folder: Path, **settings: Any) -> Iterator[World]:
    """Rate limits are off: everybody here comes from one address."""
    with GatewayProcess(folder, **({"rate_limits": "off"} | settings)) as gateway, gateway.api() as api:
        world = World(gateway, api)
        try:
            yield world
        finally:
            world.close()
            complain_about(world)


def complain_about(world: World) -> None:
    """Whatever anybody sends, the gateway never stumbles, and never tells a secret in its log."""
    lines = list(world.gateway.lines)
    stumbles = [line for line in lines if STUMBLE.search(line)]
    assert not stumbles, "\n".join(lines[-80:])
    text = "\n".join(lines)
    assert not [secret for secret in world.secrets if secret in text], "a secret is in the log"
