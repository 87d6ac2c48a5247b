"""Every alias of an event, in one table; each dialect's can be turned off.

What is said once leaves under its aliases too, and what comes under an alias is taken for the event it means.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Maker = Callable[[Any], Any]
Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Alias:
    """`up`: what a client says; `down`: what it is told, in the words that `made` gives (None: not said)."""

    dialect: str
    direction: Direction
    documented: str
    alias: str
    made: Maker


def same(data: Any) -> Any:
    return data


def dated(data: Any) -> Any:
    """Times as text too: ISO 8601, UTC."""
    return data | {"lastSeenFormatted": _text(data["lastSeen"])} if "lastSeen" in data else data


def when_online(data: Any) -> Any:
    return dated(data) if data["online"] else None


def when_offline(data: Any) -> Any:
    return None if data["online"] else dated(data)


def about_module(data: Any) -> Any:
    """The module's own fields beside the object that holds them."""
    module = data["module"]
    return dated(module | data | {"lastSeen": module["last_seen"]})


def flat(data: Any) -> Any:
    return data["telemetry"] | {"moduleId": data["moduleId"], "timestamp": data["timestamp"]}


def forwarded(data: Any) -> Any:
    """A forward in the words of the field: who sent it, and what."""
    inner = data.get("parameters") if data.get("action") == "forward" else None
    return {"sender": inner["sender"], "content": inner["parameters"]} if inner else None


def _text(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


ALIASES = (
    # A module that says the old hello is answered on it, in its own words.
    Alias("modules", "up", "module.register", "module.connect", same),
    Alias("clients", "down", "instance.to.client", "instace.to.client", same),
    Alias("clients", "down", "instance.to.client", "node.to.client", forwarded),
    Alias("clients", "down", "instance.to.node", "client.to.node", forwarded),
    Alias("browsers", "up", "send_module_command", "module_command", same),
    Alias("browsers", "down", "module:status:changed", "rt_module_online", when_online),
    Alias("browsers", "down", "module:status:changed", "rt_module_offline", when_offline),
    Alias("browsers", "down", "module:telemetry:updated", "rt_telemetry_updated", dated),
    Alias("browsers", "down", "module:telemetry:updated", "module_telemetry", flat),
    Alias("browsers", "down", "user:module:added", "rt_module_added", about_module),
    Alias("browsers", "down", "user:module:removed", "rt_module_removed", same),
    Alias("browsers", "down", "user:module:updated", "rt_module_updated", about_module),
    Alias("browsers", "down", "admin:module:added", "rt_module_added", about_module),
    Alias("browsers", "down", "admin:module:removed", "rt_module_removed", same),
    Alias("browsers", "down", "admin:module:updated", "rt_module_updated", about_module),
    Alias("browsers", "down", "admin:user:registered", "rt_user_registered", same),
    Alias("browsers", "down", "admin:user:logged_in", "rt_user_logged_in", same),
    Alias("browsers", "down", "admin:user:logged_out", "rt_user_logged_out", same),
    Alias("browsers", "down", "admin:user:profile_updated", "rt_user_profile_updated", same),
    Alias("browsers", "down", "admin:stats:updated", "rt_global_stats_updated", same),
)


class Compat:
    """The aliases of the dialects that are on."""

    def __init__(self, dialects: frozenset[str]) -> None:
        spoken = [alias for alias in ALIASES if alias.dialect in dialects]
        self._meant = {alias.alias: alias.documented for alias in spoken if alias.direction == "up"}
        self._said: Mapping[str, list[Alias]] = {
            alias.documented: [a for a in spoken if (a.documented, a.direction) == (alias.documented, "down")]
            for alias in spoken
        }

    def understands(self, alias: str) -> bool:
        return alias in self._meant

    def incoming(self, event: str) -> str:
        """The documented name of what a client said."""
        return self._meant.get(event, event)

    def outgoing(self, event: str, data: Any) -> Iterator[tuple[str, Any]]:
        """What is said: the documented event first, then its aliases."""
        yield event, data
        for alias in self._said.get(event, ()):
            if (made := alias.made(data)) is not None:
                yield alias.alias, made


NO_ALIASES = Compat(frozenset())
