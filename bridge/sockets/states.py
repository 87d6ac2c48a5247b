"""What the documented real-time API says of a module; the live stream has words of its own."""

from typing import Any

from bridge.sockets.audience import Browser
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.values import Module


def status(core: Core, module: Module, *, reason: str) -> dict[str, Any]:
    word = core.status(module)
    last_seen_ms = core.presence.of(module.id).last_seen_ms
    return {
        "moduleId": module.id, "online": word == "online", "status": word, "lastSeen": last_seen_ms,
        "reason": reason,
    }  # fmt: skip


def telemetry(core: Core, module: Module, values: dict[str, Any]) -> dict[str, Any]:
    last_seen_ms = core.presence.of(module.id).last_seen_ms
    return {
        "moduleId": module.id, "telemetry": values, "lastSeen": last_seen_ms, "timestamp": clock.now_ms()
    }  # fmt: skip


def all_states(core: Core, browser: Browser) -> dict[str, Any]:
    """Every module that this browser may see."""
    states = [
        status(core, module, reason=core.presence.of(module.id).reason)
        | {"telemetry": core.telemetry.latest(module.id)}
        for module in core.registry.all()
        if browser.may_see(module.owner_id, module.group)
    ]
    return {"states": states, "timestamp": clock.now_ms()}
