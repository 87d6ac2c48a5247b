"""That something happened to a module, to the browsers that show it: its page then asks what."""

import asyncio

from bridge.sockets.audience import Audience
from bridge.sockets.speaker import Speaker
from gateway.core.core import Core
from gateway.core.device_log import LogWritten
from gateway.core.events import DesiredChanged
from gateway.core.own_types import TypeChanged
from gateway.core.timeline import MomentNoted

NEWS = "module:timeline:updated"
PERIOD_S = 1.0


class ModuleNews:
    """Of each module once a second at most, to those who watch it by its id; tabs behind are spared."""

    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._core = core
        self._audience = audience
        self._speaker = speaker
        self._changed: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        core.hub.subscribe(MomentNoted, self._note)
        core.hub.subscribe(LogWritten, self._note)
        core.hub.subscribe(DesiredChanged, self._note)
        core.hub.subscribe(TypeChanged, self._type_changed)

    def _type_changed(self, event: TypeChanged) -> None:
        for module in self._core.registry.all():
            if module.type == event.code:
                self._mark(module.id)

    def _note(self, event: MomentNoted | LogWritten | DesiredChanged) -> None:
        self._mark(event.module_id)

    def _mark(self, module_id: str) -> None:
        if not self._audience:
            return
        self._changed.add(module_id)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._flush)

    def _flush(self) -> None:
        changed, self._changed, self._timer = self._changed, set(), None
        showing = [browser for browser in self._audience.all() if browser.watching]
        for module_id in changed:
            module = self._core.registry.known(module_id)
            if module is None:
                continue
            to = [
                browser.sid
                for browser in showing
                if browser.watches(module.id, module.owner_id, module.group)
                and not self._speaker.is_behind(browser.sid)
            ]
            self._speaker.say(NEWS, {"moduleId": module.id}, to)
