"""The ways a module can live on: one class per transport, all with the same steps."""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.gateway_process import wait_until

from .jssocket import JsSocket
from .mqttsocket import MqttSocket
from .pysocket import PySocket
from .rawsocket import RawSocket
from .talker import Refused, Talker
from .world import World

# Long enough for an answer that must not come to have come.
SILENCE_S = 0.7


class Life:
    """A module with one connection at a time, kept in `line`; `world` is where it lives."""

    has_events = True
    # What REST shows as the command's end without the module having said a word.
    answers = True

    def __init__(self, world: World, serial: str) -> None:
        self.world, self.id = world, serial
        self.token = ""
        self.line: Any = None
        self.lines: list[Talker] = []

    def close(self) -> None:
        for line in self.lines:
            line.close()

    def open(self) -> Talker:
        self.line = self.connection()
        self.lines.append(self.line)
        return self.line

    def grow_up(self) -> "Life":
        """Everything up to being online."""
        self.enrol()
        self.world.approve(self.id)
        self.come()
        self.world.becomes(self.id, "online")
        return self

    def come(self) -> None:
        """A new connection with its hello, accepted."""
        self.open()
        self.ask()
        self.welcomed()

    # What differs

    def connection(self) -> Talker:
        raise NotImplementedError

    def enrol(self) -> None:
        """Become known; `id` and `token` are set."""
        self.id, self.token = self.world.register(self.id)

    def ask(self) -> None:
        """The hello on the open line."""
        raise NotImplementedError

    def stays_out(self) -> None:
        """After `ask` while pending: no word of welcome."""
        raise NotImplementedError

    def welcomed_in_time(self) -> None:
        """After the approval of one that waits on its line; asks again if its dialect wants it so."""
        self.welcomed()

    def welcomed(self) -> None:
        raise NotImplementedError

    def refused(self) -> None:
        """A new connection gets nowhere with the token."""
        raise NotImplementedError

    def report(self, **values: Any) -> None:
        raise NotImplementedError

    def raise_event(self, name: str, data: dict[str, Any]) -> None:
        raise NotImplementedError

    def gets(self, command: str) -> dict[str, Any] | None:
        """Wait for the command and, where the dialect has answers, report it done. Its parameters."""
        raise NotImplementedError


class Mqtt(Life):
    def connection(self) -> MqttSocket:
        return MqttSocket(self.world.mqtt_port, self.id, self.token)

    def enrol(self) -> None:
        nonce = "nonce-" + secrets.token_hex(6)
        with MqttSocket(self.world.mqtt_port, nonce=nonce) as stranger:
            stranger.subscribe(f"register/{nonce}/reply")
            stranger.say(f"register/{nonce}", {"type": 100, "serial": self.id})
            answer = stranger.hear(f"register/{nonce}/reply").data
        assert answer["status"] == "pending", answer
        self.id, self.token = answer["id"], answer["token"]

    def ask(self) -> None:
        self.line.subscribe(f"{self.id}/down/registered")
        self.line.say(f"{self.id}/up/register")

    def stays_out(self) -> None:
        time.sleep(SILENCE_S)
        assert self.line.names() == set()

    def welcomed(self) -> None:
        told = self.line.hear(f"{self.id}/down/registered").data
        assert (told["status"], told["id"], told["type"]) == ("online", self.id, 100)
        self.line.subscribe(f"{self.id}/down/#")

    def refused(self) -> None:
        try:
            self.open()
        except Refused:
            return
        raise AssertionError("the broker let it in")

    def report(self, **values: Any) -> None:
        self.line.say(f"{self.id}/up/telemetry", values)

    def raise_event(self, name: str, data: dict[str, Any]) -> None:
        self.line.say(f"{self.id}/up/event/{name}", data)

    def gets(self, command: str) -> dict[str, Any]:
        told = self.line.hear(f"{self.id}/down/command", where=lambda told: told["command"] == command).data
        self.line.say(f"{self.id}/up/reply", {"id": told["id"], "status": "done"})
        return told["params"]


class Registered(Life):
    """`module.register`, in each of the clients."""

    answers = False
    hello = "module.register"

    def __init__(self, world: World, serial: str, client: Callable[..., Talker]) -> None:
        super().__init__(world, serial)
        self._client = client

    def connection(self) -> Talker:
        return self._client(self.world.url)

    def ask(self) -> None:
        self.line.say("module.register", {"token": self.token})

    def stays_out(self) -> None:
        assert self.line.hear("module.error").data["error"] == "MODULE_IS_PENDING"
        time.sleep(SILENCE_S)
        assert "module.register" not in self.line.names()

    def welcomed(self) -> None:
        answer = self.line.hear("module.register").data
        assert (answer["status"], answer["id"]) == (2, self.id), answer

    def refused(self) -> None:
        self.open()
        self.ask()
        answer = self.line.hear("module.register").data
        assert (answer["status"], answer["error"]) == (0, "MODULE_NOT_FOUND"), answer

    def report(self, **values: Any) -> None:
        self.line.say("module.100.telemetry", values)

    def raise_event(self, name: str, data: dict[str, Any]) -> None:
        self.line.say(f"module.100.{name}", data)

    def gets(self, command: str) -> dict[str, Any] | None:
        heard = self.line.hear(f"module.100.{command}")
        return heard.data if heard.args else None


class Node(Life):
    """`node.to.instance` over python-socketio."""

    def connection(self) -> PySocket:
        return PySocket(self.world.url)

    def tell(self, action: str, **parameters: Any) -> None:
        self.line.say("node.to.instance", {"action": action, "parameters": parameters})

    def told(self, *actions: str, **about: Any) -> Any:
        """The parameters of the next of these actions that hold what is asked for."""

        def fits(told: Any) -> bool:
            return told["action"] in actions and about.items() <= told["parameters"].items()

        return self.line.hear("instance.to.node", where=fits).data["parameters"]

    def enrol(self) -> None:
        with PySocket(self.world.url) as line:
            parameters = {"information": {"name": "A bell"}, "type": 100, "serial": self.id, "hash": "abc"}
            line.say("node.to.instance", {"action": "register", "parameters": parameters})
            answer = line.hear("instance.to.node").data
        assert answer["action"] == "registered", answer
        self.token = answer["parameters"]["token"]
        self.world.secrets.add(self.token)

    def ask(self) -> None:
        self.tell("login", token=self.token)

    def stays_out(self) -> None:
        assert self.told("loginFailed", "logged")["msg"]

    def welcomed_in_time(self) -> None:
        self.ask()
        self.welcomed()

    def welcomed(self) -> None:
        assert self.told("logged")["queue"] == []

    def refused(self) -> None:
        self.open()
        self.ask()
        assert self.told("loginFailed", "logged")["msg"]

    def report(self, **values: Any) -> None:
        self.tell("telemetry", **values)

    def raise_event(self, name: str, data: dict[str, Any]) -> None:
        self.tell("event", name=name, data=data)

    def gets(self, command: str) -> dict[str, Any]:
        told = self.told("command", command=command)
        self.tell("reply", id=told["id"], status="done")
        return told["params"]


class Esp32(Life):
    """Firmware in the field: it has a password built in, and says its id with every frame."""

    has_events = False

    def connection(self) -> RawSocket:
        return RawSocket(self.world.url)

    def enrol(self) -> None:
        """An unknown one is shown the door, and waits for approval from then on."""
        self.token = secrets.token_hex(16)
        self.world.secrets.add(self.token)
        self.open()
        self.ask()
        assert self.line.closed_with() == 1008
        assert self.line.names() == set()
        # It is answered before anybody could measure whether it is known.
        wait_until(lambda: self.world.knows(self.id), f"{self.id} in the registry")

    def frame(self, type: str, **more: Any) -> None:
        self.line.say(type, {"moduleId": self.id, "password": self.token, **more})

    def ask(self) -> None:
        self.frame("module_identify", moduleType=100, uptime=12)

    def stays_out(self) -> None:
        time.sleep(SILENCE_S)
        assert self.line.names() == set()
        assert self.line.gone_because is None

    def welcomed(self) -> None:
        first = self.line.hear("connected", "auth_success")
        assert (first.event, first.data["status"]) == ("connected", "authenticated")
        assert isinstance(first.data["initialState"], dict)
        self.line.hear("auth_success")

    def refused(self) -> None:
        self.open()
        self.ask()
        assert self.line.closed_with() == 1008
        assert self.line.names() == set()

    def report(self, **values: Any) -> None:
        self.frame("telemetry", **values, uptime=99, wifiRSSI=-60)

    def gets(self, command: str) -> dict[str, Any]:
        told = self.line.hear("command", where=lambda told: told["command"] == command).data
        self.frame("command_response", command=command, status="success")
        return told["params"]


TRANSPORTS: dict[str, Callable[[World, str], Life]] = {
    "mqtt": Mqtt,
    "module.register-python": lambda world, serial: Registered(world, serial, PySocket),
    "module.register-js-polling": lambda world, serial: Registered(
        world, serial, lambda url: JsSocket(url, "polling")
    ),
    "module.register-js-websocket": lambda world, serial: Registered(world, serial, JsSocket),
    "node.to.instance": Node,
    "esp32": Esp32,
}


def payload(line: str) -> Any:
    """The JSON of a line that mosquitto_sub has printed."""
    return json.loads(line.split(" ", 1)[1])
