"""One client's session: who it is, what it subscribes to, what is on its way to it."""

from typing import Protocol

from bridge.mqtt.message import Wire
from bridge.mqtt.outbox import Outbox
from gateway.core.rights import Principal


class Settling(Protocol):
    """A QoS 2 message that is not yet on disk."""

    def then(self, follow: "Settling") -> None:
        """Count `follow` as stored when this one is."""

    def done(self) -> None: ...


class Session:
    """`wire` is its connection while it has one. `received` holds the ids of QoS 2 messages until PUBREL."""

    __slots__ = ("client_id", "key", "outbox", "persistent", "principal", "received", "subscriptions", "wire")

    def __init__(
        self, key: str, client_id: str, principal: Principal, outbox: Outbox, persistent: bool
    ) -> None:
        self.key = key
        self.client_id = client_id
        self.principal = principal
        self.outbox = outbox
        self.persistent = persistent
        self.subscriptions: dict[str, int] = {}
        self.received: dict[int, Settling | None] = {}
        self.wire: Wire | None = None
