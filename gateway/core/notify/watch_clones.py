"""Two devices with one identity: they push each other out, and neither is preferred without a word."""

from collections import deque
from collections.abc import Callable

import msgspec

from gateway.core.errors import Said
from gateway.core.events import Hub, ModuleRemoved
from gateway.core.notify.alerts import Alerts
from gateway.core.notify.takeovers import HardwareSaid, SessionTakenOver
from gateway.core.notify.watch_lost import called
from gateway.core.registry import Registry

CLONE = "clone"
TAKEOVERS, WITHIN_S = 3, 60.0
QUIET_S = 600.0
MAX_HARDWARE = 64


class _Side(msgspec.Struct):
    """One of the two, as far as it is known."""

    address: str
    hardware: str = ""


class _Struggle(msgspec.Struct):
    """`sides`: who holds the session is the last."""

    sides: deque[_Side] = msgspec.field(default_factory=lambda: deque(maxlen=2))
    at_s: deque[float] = msgspec.field(default_factory=lambda: deque(maxlen=TAKEOVERS))


class CloneWatch:
    def __init__(self, hub: Hub, alerts: Alerts, registry: Registry, now_s: Callable[[], float]) -> None:
        self._alerts = alerts
        self._registry = registry
        self._now_s = now_s
        self._struggles: dict[str, _Struggle] = {}
        self._said: dict[str, str] = {}
        hub.subscribe(SessionTakenOver, self._taken_over)
        hub.subscribe(HardwareSaid, self._hardware_said)
        hub.subscribe(ModuleRemoved, self._module_removed)

    def load(self) -> None:
        """An alert that is open ends when it has been quiet for a while since the start."""
        for alert in self._alerts.opened(CLONE):
            self._struggles[alert.subject] = _Struggle(at_s=deque([self._now_s()], maxlen=TAKEOVERS))

    def _taken_over(self, event: SessionTakenOver) -> None:
        module = self._registry.known(event.module_id)
        if module is None or module.life != "approved":
            return
        struggle = self._struggles.setdefault(module.id, _Struggle())
        before = self._said.pop(module.id, "")
        if not struggle.sides:
            struggle.sides.append(_Side(event.before, before))
        elif before:
            struggle.sides[-1].hardware = before
        # The one that was pushed out comes back as itself.
        returning = struggle.sides[0] if len(struggle.sides) > 1 else None
        known = returning.hardware if returning and returning.address == event.after else ""
        struggle.sides.append(_Side(event.after, known))
        struggle.at_s.append(self._now_s())

    def _hardware_said(self, event: HardwareSaid) -> None:
        hardware = event.hardware[:MAX_HARDWARE]
        self._said[event.module_id] = hardware
        if (struggle := self._struggles.get(event.module_id)) is not None and struggle.sides:
            struggle.sides[-1].hardware = hardware

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._struggles.pop(event.module.id, None)
        self._said.pop(event.module.id, None)

    def tick(self) -> None:
        """Judged once a second, so that what the newest said of itself is known."""
        now_s = self._now_s()
        for module_id, struggle in tuple(self._struggles.items()):
            if now_s - struggle.at_s[-1] > QUIET_S:
                del self._struggles[module_id]
                self._over(module_id)
            elif len(struggle.at_s) == TAKEOVERS and struggle.at_s[-1] - struggle.at_s[0] <= WITHIN_S:
                self._tell(module_id, struggle)

    def _tell(self, module_id: str, struggle: _Struggle) -> None:
        module = self._registry.known(module_id)
        if module is None or self._alerts.is_open(CLONE, module_id) or len(struggle.sides) < 2:
            return
        one, other = struggle.sides
        text = Said(
            "Two devices use the identity of %(module)s and push each other out: %(one)s "
            "(hardware: %(one_hardware)s) and %(other)s (hardware: %(other_hardware)s).",
            module=called(module),
            one=one.address or "?",
            one_hardware=one.hardware or "?",
            other=other.address or "?",
            other_hardware=other.hardware or "?",
        )
        self._alerts.open(CLONE, module_id, text, module)

    def _over(self, module_id: str) -> None:
        module = self._registry.known(module_id)
        text = Said(
            "Nobody has pushed out %(module)s for %(minutes)s minutes.",
            module=called(module) if module else module_id,
            minutes=int(QUIET_S // 60),
        )
        self._alerts.close(CLONE, module_id, text)
