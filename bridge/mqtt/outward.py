"""What everybody else may read of a module, of any transport: its `out/` topics, retained."""

import asyncio

import msgspec

from bridge import topics as words
from bridge.mqtt.link import Link
from bridge.topics import Topics
from gateway.core.core import Core
from gateway.core.events import ModuleChanged, ModuleEventRaised, PresenceChanged, TelemetryChanged

# At most four states a second per module.
PERIOD_S = 0.25
_AVAILABILITY = {"online": b"online", "sleeping": b"sleeping"}


class Outward:
    def __init__(self, core: Core, topics: Topics, link: Link) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._changed: set[str] = set()
        core.hub.subscribe(TelemetryChanged, self._telemetry_changed)
        core.hub.subscribe(PresenceChanged, self._presence_changed)
        core.hub.subscribe(ModuleEventRaised, self._event_raised)
        core.hub.subscribe(ModuleChanged, self._module_changed)

    async def run(self) -> None:
        """Publish changed states, coalesced, for ever; begins with what is known from before."""
        for module in tuple(self._core.registry.all()):
            if module.life == "approved" and not self._core.registry.is_shut_out(module):
                self._publish_availability(module.id, self._core.presence.of(module.id).state)
                self._changed.add(module.id)
        while True:
            changed, self._changed = self._changed, set()
            for module_id in changed:
                self._publish_state(module_id)
            await asyncio.sleep(PERIOD_S)

    def _publish_state(self, module_id: str) -> None:
        module = self._core.registry.known(module_id)
        if module is not None and not self._core.registry.is_shut_out(module):
            state = msgspec.json.encode(self._core.telemetry.latest(module_id))
            # Kept in memory alone: after a restart it comes again from the readings on disk.
            self._link.publish(self._topics.of(module_id, words.OUT_STATE), state, retain=True, durable=False)

    def _publish_availability(self, module_id: str, state: str, *, retain: bool = True) -> None:
        payload = _AVAILABILITY.get(state, b"offline")
        topic = self._topics.of(module_id, words.OUT_AVAILABILITY)
        self._link.publish(topic, payload, retain=retain, durable=False)

    def _telemetry_changed(self, event: TelemetryChanged) -> None:
        self._changed.add(event.module_id)

    def _presence_changed(self, event: PresenceChanged) -> None:
        # Of one that was revoked nothing is retained; whoever listens hears that it is gone.
        self._publish_availability(event.module_id, event.after, retain=event.reason != "revoked")
        if event.after == "online":
            self._changed.add(event.module_id)

    def _event_raised(self, event: ModuleEventRaised) -> None:
        topic = self._topics.event(event.module_id, event.name)
        self._link.publish(topic, msgspec.json.encode(event.data))

    def _module_changed(self, event: ModuleChanged) -> None:
        if event.after.life == "approved" and event.before.life != "approved":
            state = self._core.presence.of(event.after.id).state
            self._publish_availability(event.after.id, state)
