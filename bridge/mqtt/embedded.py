"""The embedded broker as a whole: what the bridge speaks through when no other broker is named."""

import asyncio
import logging
import ssl
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Self

from bridge.mqtt.broker import FrontedBroker
from bridge.mqtt.counts import Counts
from bridge.mqtt.door import Door
from bridge.mqtt.exchange import Exchange
from bridge.mqtt.limits import Limits
from bridge.mqtt.link import Gatekeeper, Receiver
from bridge.mqtt.message import Message
from bridge.mqtt.wills import Wills
from bridge.topics import Topics
from gateway.core.rights import Principal
from gateway.storage.broker_state import BrokerState, Writer

# How long a stop waits for the database.
STORE_S = 5.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Port 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None


class EmbeddedLink:
    """`async with EmbeddedLink(store, gatekeeper, receiver, listeners) as link`; implements Link.

    `ports` holds the ports of the listeners, in their order. `door.connection()` makes a connection for a
    transport of another kind (see websocket.py).
    """

    def __init__(
        self,
        store: Writer,
        gatekeeper: Gatekeeper,
        receiver: Receiver,
        listeners: tuple[Listener, ...] = (Listener(),),
        limits: Limits | None = None,
        topics: Topics | None = None,
    ) -> None:
        self._listeners = listeners
        self._counts = Counts()
        self._limits = limits or Limits()
        self._receiver = receiver
        self._topics = topics or Topics()
        self._state = BrokerState(store)
        self._exchange = Exchange(gatekeeper, self._state, self._limits, self._counts)
        self._stack = AsyncExitStack()
        self.door: Door | None = None
        self.ports: list[int] = []

    async def __aenter__(self) -> Self:
        # amqtt speaks of every packet, in the clients' words; what matters is counted and logged by the door.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.ERROR)
        wills = Wills(self._exchange, self._receiver)
        await self._exchange.load()
        await wills.load()
        broker = FrontedBroker(self._exchange)
        await broker.start()
        self._stack.push_async_callback(broker.shutdown)
        self.door = Door(self._exchange, self._receiver, broker, wills, self._limits, self._topics)
        self.door.open()
        self._stack.push_async_callback(self.door.close)
        for at in self._listeners:
            self.ports.append(await self.door.listen(at.host, at.port, at.tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        self.door = None
        stored = asyncio.Event()
        self._state.when_stored(stored.set)
        with suppress(TimeoutError):
            await asyncio.wait_for(stored.wait(), STORE_S)

    @property
    def online(self) -> bool:
        return self.door is not None

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        expires_at_ms: int | None = None,
        only_for: Principal | None = None,
        durable: bool = True,
    ) -> None:
        message = Message(topic, payload, qos, retain, expires_at_ms, durable)
        if message.expired():
            self._counts.dropped_expired += 1
            return
        if retain:
            self._exchange.retain(message, bounded=False)
        self._exchange.deliver(message, only_for)

    def listens(self, client_id: str, topic: str) -> bool:
        return self._exchange.listens(client_id, topic)

    def pending(self, principal: Principal) -> int:
        return self._exchange.pending(principal)

    def refresh(self, name: str) -> None:
        if self.door is not None:
            self.door.refresh(name)

    def clear(self, path_prefix: str) -> None:
        self._exchange.clear(path_prefix)

    def stats(self) -> dict[str, int]:
        """Counters since the start, and how many there are of each thing now."""
        sessions = self._exchange.sessions.values()
        return asdict(self._counts) | {
            "connections": len(self.door.connections) if self.door else 0,
            "sessions": len(sessions),
            "subscriptions": len(self._exchange.subscriptions),
            "retained": len(self._exchange.retained),
            "queued": sum(len(session.outbox) for session in sessions),
        }
