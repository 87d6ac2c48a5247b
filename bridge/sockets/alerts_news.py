"""How many alerts each person has not seen yet, to that person's tabs; what they are, pages ask for."""

import asyncio

from bridge.sockets.audience import Audience
from bridge.sockets.speaker import Speaker
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.notify.alert_values import AlertChanged, AlertsSeen

CHANGED = "notifications:changed"
PERIOD_S = 0.5


class AlertsNews:
    """At most two a second, whatever happens: what is told is always the count of that moment."""

    def __init__(self, core: Core, audience: Audience, speaker: Speaker) -> None:
        self._book = core.alerting.book
        self._audience = audience
        self._speaker = speaker
        self._timer: asyncio.Handle | None = None
        self._told_s = 0.0
        core.hub.subscribe(AlertChanged, self._changed)
        core.hub.subscribe(AlertsSeen, self._seen)

    def _changed(self, event: AlertChanged) -> None:
        if self._timer is None and self._audience:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._told_s + PERIOD_S - loop.time())
            self._timer = loop.call_later(wait_s, self._tell_all)

    def _seen(self, event: AlertsSeen) -> None:
        self._tell({event.user_id})

    def _tell_all(self) -> None:
        self._timer = None
        self._told_s = asyncio.get_running_loop().time()
        self._tell({browser.person.id for browser in self._audience.all()})

    def _tell(self, people: set[int]) -> None:
        persons = {browser.person.id: browser.person for browser in self._audience.all()}
        for id in people & persons.keys():
            counts = {"unseen": self._book.unseen(persons[id]), "open": len(self._book.open_to(persons[id]))}
            said = counts | {"timestamp": clock.now_ms()}
            self._speaker.say(CHANGED, said, self._audience.of_person(id))
