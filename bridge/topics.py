"""Topic names both ways, pure. No topic string lives anywhere else in the gateway."""

import re
from dataclasses import dataclass

from gateway.core.rights import Enrolling, ModuleIdentity, Path, Principal

MODULE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
# First words of paths under the root that are not module ids.
RESERVED_IDS = frozenset({"register", "discovery"})

UP_REGISTER = ("up", "register")
UP_AVAILABILITY = ("up", "availability")
UP_TELEMETRY = ("up", "telemetry")
UP_REPLY = ("up", "reply")
UP_REPORTED = ("up", "reported")
UP_FIRMWARE = ("up", "firmware")
UP_CHUNK = ("up", "chunk")
UP_INSTANCE = ("up", "instance")
UP_EVENT = ("up", "event")
UP_LOG = ("up", "log")

DOWN_REGISTERED = ("down", "registered")
DOWN_COMMAND = ("down", "command")
DOWN_DESIRED = ("down", "desired")
DOWN_FIRMWARE = ("down", "firmware")
DOWN_CHUNK = ("down", "chunk")
DOWN_INSTANCE = ("down", "instance")

OUT_STATE = ("out", "state")
OUT_AVAILABILITY = ("out", "availability")


@dataclass(frozen=True, slots=True)
class Topics:
    """Translates between MQTT topics (or filters) and paths, under one root such as `gw/1`."""

    root: str = "gw/1"
    discovery_prefix: str = "homeassistant"

    def path(self, topic: str) -> Path | None:
        """The path of a topic or filter; None when it lies outside what the gateway knows.

        A filter that starts with a wildcard, or with only a part of the root, is outside: it would reach
        further than the root. So are `$` topics.
        """
        prefix = self.root + "/"
        if topic.startswith(prefix):
            return tuple(topic[len(prefix) :].split("/"))
        if topic.startswith(self.discovery_prefix + "/"):
            return ("discovery", *topic.split("/")[1:])
        return None

    def topic(self, path: Path) -> str:
        """The topic (or filter) of a path."""
        if path[0] == "discovery":
            return "/".join((self.discovery_prefix, *path[1:]))
        return "/".join((self.root, *path))

    def of(self, module_id: str, words: Path) -> str:
        """A module's topic: `of("MC-1", DOWN_COMMAND)`."""
        return "/".join((self.root, module_id, *words))

    def enrolment_reply(self, nonce: str) -> str:
        return f"{self.root}/register/{nonce}/reply"

    def event(self, module_id: str, name: str) -> str:
        return f"{self.root}/{module_id}/out/event/{name}"

    def ask_reply(self, module_id: str, command: str) -> str:
        return f"{self.root}/{module_id}/ask/{command}/reply"

    def chunk(self, module_id: str, job_id: str, offset: int) -> str:
        return self.of(module_id, (*DOWN_CHUNK, job_id, str(offset)))

    def told(self, principal: Principal) -> tuple[str, ...]:
        """The topics on which the gateway speaks to this client; whoever listens to one can be told."""
        match principal:
            case ModuleIdentity(id):
                return tuple(self.of(id, words) for words in (DOWN_COMMAND, DOWN_REGISTERED, DOWN_FIRMWARE))
            case Enrolling(nonce):
                return (self.enrolment_reply(nonce),)
            case _:
                return ()

    def for_gateway(self) -> tuple[str, ...]:
        """The filters a gateway on an external broker subscribes to; it publishes elsewhere, so no echo."""
        return (f"{self.root}/+/up/#", f"{self.root}/register/+", f"{self.root}/+/ask/+")


def is_for_gateway(path: Path) -> bool:
    """Whether the gateway hears a published path: `<id>/up/..`, `register/<nonce>`, `<id>/ask/<command>`."""
    if path[0] == "register":
        return len(path) == 2
    return len(path) >= 2 and (path[1] == "up" or (path[1] == "ask" and len(path) == 3))
