"""Who pushes whom out: a session that takes the place of one that is still there is told on the hub."""

from gateway.core.events import Hub
from gateway.core.notify.takeovers import SessionTakenOver


class Takeovers:
    """Told as the link tells it: the older session ends by `takeover`, then the newer one has begun."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._there: dict[str, str] = {}
        self._pushed_out: dict[str, str] = {}

    def connected(self, module_id: str, address: str) -> None:
        self._there[module_id] = address
        if module_id in self._pushed_out:
            self._hub.publish(SessionTakenOver(module_id, self._pushed_out.pop(module_id), address))

    def disconnected(self, module_id: str, reason: str) -> None:
        address = self._there.pop(module_id, "")
        if reason == "takeover":
            self._pushed_out[module_id] = address
        else:
            self._pushed_out.pop(module_id, None)
