"""Updates over MQTT: offers out, the module's words and its requests for parts of the image in."""

from typing import Any
from zlib import crc32

import msgspec

from bridge import topics as words
from bridge.mqtt.link import Inbound, Link
from bridge.topics import Topics
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.errors import Invalid
from gateway.core.rights import ModuleIdentity
from gateway.core.updates import Offer, Updates
from gateway.core.values import Module

SMALLEST_CHUNK, LARGEST_CHUNK = 256, 4096
MAX_OFFSET = 2**40
# As long as its link. One that is still on its way then is made anew when the module is back.
OFFER_GOOD_MS = 15 * 60 * 1000


class ChunkRequest(msgspec.Struct, frozen=True):
    job: str
    offset: int
    length: int


_request = msgspec.json.Decoder(ChunkRequest).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Updating:
    """Carries offers to modules that listen over MQTT. Raises `Invalid` for what makes no sense."""

    def __init__(self, core: Core, topics: Topics, link: Link, updates: Updates) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._updates = updates
        updates.carry(self)

    # Down

    def offer(self, module: Module, offer: Offer) -> bool:
        return self._tell(module, msgspec.json.encode(offer), clock.now_ms() + OFFER_GOOD_MS)

    def abort(self, module: Module, job_id: str) -> bool:
        return self._tell(module, msgspec.json.encode({"job": job_id, "abort": True}))

    def _tell(self, module: Module, payload: bytes, expires_at_ms: int | None = None) -> bool:
        topic = self._topics.of(module.id, words.DOWN_FIRMWARE)
        if not self._link.listens(module.id, topic):
            return False
        only = ModuleIdentity(module.id, True)
        self._link.publish(topic, payload, expires_at_ms=expires_at_ms, only_for=only)
        return True

    # Up

    def arrived(self, module: Module) -> None:
        """It subscribed or said hello: what is due for it goes out, if it listens for that."""
        if self._link.listens(module.id, self._topics.of(module.id, words.DOWN_FIRMWARE)):
            self._updates.arrived(module)

    def word(self, module: Module, message: Inbound) -> None:
        """`up/firmware`"""
        self._core.presence.heard(module)
        self._updates.heard(module, _object(message.payload))

    def chunk(self, module: Module, message: Inbound) -> None:
        """`up/chunk`: answered at once, without a promise that it arrives; the module asks again."""
        self._core.presence.heard(module)
        asked = _request(message.payload)
        if not (SMALLEST_CHUNK <= asked.length <= LARGEST_CHUNK and 0 <= asked.offset <= MAX_OFFSET):
            raise Invalid("No such part.")
        data = self._updates.chunk(module, asked.job, asked.offset, asked.length)
        if data is None:
            raise Invalid("Not under way.")
        self._link.publish(
            self._topics.chunk(module.id, asked.job, asked.offset),
            crc32(data).to_bytes(4, "big") + data,
            qos=0,
            only_for=ModuleIdentity(module.id, True),
        )
