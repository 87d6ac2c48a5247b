"""From MQTT to the heart: every message for the gateway, taken apart and handed on."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bridge import readings
from bridge import topics as words
from bridge.mqtt.asking import Asking
from bridge.mqtt.downlink import Downlink
from bridge.mqtt.enrolling import Enrolling
from bridge.mqtt.link import Inbound, Link, Stored
from bridge.mqtt.posting import Posting
from bridge.mqtt.takeovers import Takeovers
from bridge.mqtt.updating import Updating
from bridge.tasks import Tasks
from bridge.topics import Topics
from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import Enrolling as Stranger
from gateway.core.rights import ModuleIdentity, Path, Principal
from gateway.core.values import Module

MAX_VERSION = 2**53
_decode = msgspec.json.Decoder().decode

Handler = Callable[[Module, Inbound], None]


class Uplink:
    """The receiver of a link. What cannot be understood is set aside and counted; the session lives."""

    def __init__(self, core: Core, topics: Topics) -> None:
        self._core = core
        self._topics = topics
        self._addresses: dict[str, str] = {}
        self._takeovers = Takeovers(core.hub)
        self._updating: Updating | None = None
        self.set_aside: Counter[str] = Counter()
        self._handlers: dict[Path, Handler] = {
            words.UP_REGISTER: self._hello,
            words.UP_AVAILABILITY: self._availability,
            words.UP_REPLY: self._reply,
            words.UP_REPORTED: self._reported,
        }

        # Those whose topic ends in a name: of an event, of a level.
        self._named = {words.UP_EVENT: self._event, words.UP_LOG: self._log}

    def answer_through(self, link: Link, tasks: Tasks) -> None:
        """Said once, before the link opens: the link needs its receiver first, and answers need the link."""
        self._downlink = Downlink(self._core, self._topics, link)
        self._enrolling = Enrolling(self._core, self._topics, link, tasks)
        self._asking = Asking(self._core, self._topics, link, tasks)
        self._posting = Posting(self._core, self._topics, link, tasks)

    def update_through(self, updating: Updating) -> None:
        """Said once, before the link opens: who takes what modules say of their updates."""
        self._updating = updating
        self._handlers |= {words.UP_FIRMWARE: updating.word, words.UP_CHUNK: updating.chunk}

    # Messages

    def receive(self, message: Inbound, stored: Stored | None) -> bool:
        path = self._topics.path(message.topic)
        if path is None:
            return self._put_aside("topic", stored)
        if path[0] == "register":
            self._enrolling.receive(message, path[1], stored)
            return False
        if path[1] == "ask":
            self._asking.receive(message, path, stored)
            return False
        return self._from_module(path, message, stored)

    def _from_module(self, path: Path, message: Inbound, stored: Stored | None) -> bool:
        module = self._core.registry.known(path[0])
        if module is None or _is_claim(message.sender):
            return self._put_aside("unknown module", stored)
        if path[1:] == words.UP_TELEMETRY:
            return self._telemetry(module, message.payload, stored)
        if path[1:] == words.UP_INSTANCE and module.life == "approved":
            self._posting.receive(module, message, stored)
            return False
        self._other(module, path[1:], message)
        return self._acknowledge(stored)

    def _telemetry(self, module: Module, payload: bytes, stored: Stored | None) -> bool:
        if module.life != "approved":
            return self._put_aside("not approved", stored)
        self._core.presence.heard(module)
        try:
            kept = readings.report(self._core, module, _decode(payload))
        except (msgspec.DecodeError, Invalid, ValueError, RecursionError):
            readings.unfit(self._core, module)
            return self._acknowledge(stored)
        # What could not be taken is not acknowledged, so the module sends it again.
        return kept and self._acknowledge(stored)

    def _other(self, module: Module, rest: Path, message: Inbound) -> None:
        if module.life != "approved":
            if rest != words.UP_REGISTER:
                self.set_aside["not approved"] += 1
            return  # a pending module's hello is met with silence
        try:
            if handler := self._handlers.get(rest):
                handler(module, message)
            elif len(rest) == 3 and (named := self._named.get(rest[:2])) is not None:
                named(module, rest[2], message)
            else:
                self._core.presence.heard(module)
        except (GatewayError, ValueError, RecursionError):
            self.set_aside["/".join(rest[:2])] += 1

    # One kind each

    def _hello(self, module: Module, message: Inbound) -> None:
        said = _object(message.payload)
        self._core.presence.heard(module)
        self._downlink.greet(module)
        self._posting.greet(module)
        self._downlink.resume(module.id)
        # What it runs first: it decides whether an update has come to its end.
        readings.hello(self._core, module, said.get("firmware"))
        readings.hardware(self._core, module.id, said.get("hardware"))
        self._arrived(module)

    def _availability(self, module: Module, message: Inbound) -> None:
        word = message.payload.decode("ascii")
        report = _object(message.payload) if word.startswith("{") else {"state": word}
        match report.get("state"):
            case "online":
                self._core.presence.heard(module)
            case "offline" if message.will and self._core.presence.of(module.id).session:
                # Of a session that was taken over: the module is there. Else the session's end tells it.
                pass
            case "offline":
                self._core.presence.gone(module, "will" if message.will else "goodbye")
            case "sleeping":
                self._core.presence.fell_asleep(module, _seconds(report.get("wake_in")))
            case _:
                raise Invalid("no such state")

    def _reply(self, module: Module, message: Inbound) -> None:
        self._core.presence.heard(module)
        reply = _object(message.payload)
        id, status, error = reply.get("id"), reply.get("status"), reply.get("error")
        text = error if error is None or isinstance(error, str) else msgspec.json.encode(error).decode()
        if not self._core.commands.answered(module.id, str(id), str(status), reply.get("result"), text):
            self.set_aside["unknown command"] += 1

    def _reported(self, module: Module, message: Inbound) -> None:
        self._core.presence.heard(module)
        report = _object(message.payload)
        values, version = report.get("values"), report.get("version", 0)
        if not isinstance(values, dict) or type(version) is not int or not 0 <= version <= MAX_VERSION:
            raise Invalid("no values")
        self._core.desired.report(module, values, version)

    def _event(self, module: Module, name: str, message: Inbound) -> None:
        self._core.presence.heard(module)
        readings.raise_event(self._core, module, name, _object(message.payload))

    def _log(self, module: Module, level: str, message: Inbound) -> None:
        self._core.presence.heard(module)
        self._core.device_log.write(module, level, message.payload)

    # Sessions

    def connected(self, client_id: str, principal: Principal, address: str) -> None:
        if isinstance(principal, Stranger):
            self._addresses[principal.nonce] = address
        elif (module := self._own(principal)) is not None:
            self._core.presence.session_opened(module, "mqtt", address)
            self._takeovers.connected(module.id, address)

    def disconnected(self, client_id: str, principal: Principal, reason: str) -> None:
        if isinstance(principal, Stranger) and reason != "takeover":
            self._addresses.pop(principal.nonce, None)
        if (module := self._own(principal)) is not None:
            self._takeovers.disconnected(module.id, reason)
            # After a take-over the module still has a session: the new one.
            if reason != "takeover":
                self._core.presence.session_closed(module.id, "mqtt", reason)

    def listening(self, client_id: str, principal: Principal) -> None:
        if isinstance(principal, Stranger):
            self._enrolling.listening(principal.nonce, self._addresses.get(principal.nonce, ""))
        elif (module := self._own(principal)) is not None and module.life == "approved":
            self._downlink.resume(module.id)
            self._arrived(module)

    def _arrived(self, module: Module) -> None:
        if self._updating is not None:
            self._updating.arrived(module)

    def _own(self, principal: Principal) -> Module | None:
        """The module whose own session this is."""
        if isinstance(principal, ModuleIdentity) and not principal.claim:
            return self._core.registry.known(principal.id)
        return None

    def _acknowledge(self, stored: Stored | None) -> bool:
        if stored is not None:
            self._core.store.when_stored(stored)
        return True

    def _put_aside(self, why: str, stored: Stored | None) -> bool:
        self.set_aside[why] += 1
        return self._acknowledge(stored)


def _is_claim(sender: Principal | None) -> bool:
    return isinstance(sender, ModuleIdentity) and bool(sender.claim)


def _object(payload: bytes) -> Mapping[str, Any]:
    """A JSON object; nothing at all is an empty one."""
    decoded = _decode(payload) if payload else {}
    if not isinstance(decoded, dict):
        raise Invalid("not an object")
    return decoded


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 10**9 else None
