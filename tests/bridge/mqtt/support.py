"""Our broker on a free port, with parts that a test may replace."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bridge.mqtt.embedded import EmbeddedLink, Listener
from bridge.mqtt.limits import Limits
from bridge.mqtt.link import Inbound, Refusal
from gateway.core.rights import Action, Everything, Principal


class ForgetfulStore:
    """A store that keeps nothing, and calls back in order."""

    async def run(self, work: Callable[[], Any]) -> Any:
        return []

    def gather(self, prepare: Callable[[], Callable[[], object]]) -> None:
        asyncio.get_running_loop().call_soon(prepare)

    def when_stored(self, stored: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(stored)


class OpenGatekeeper:
    """Admits anybody as the gateway itself; only `$` topics are refused."""

    def admit(
        self, client_id: str, username: str | None, password: bytes | None, address: str
    ) -> Principal | Refusal:
        return Everything()

    def identify(self, principal: Principal) -> Principal | None:
        return principal

    def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        return not topic.startswith("$")

    def for_gateway(self, topic: str) -> bool:
        return False


@dataclass
class RecordingReceiver:
    """Remembers what it was told; stores at once, unless `hold` collects the `stored` callbacks."""

    messages: list[Inbound] = field(default_factory=list)
    told: list[tuple[Any, ...]] = field(default_factory=list)
    hold: list[Callable[[], None]] | None = None

    def receive(self, message: Inbound, stored: Callable[[], None] | None) -> None:
        self.messages.append(message)
        if stored is not None:
            if self.hold is None:
                asyncio.get_running_loop().call_soon(stored)
            else:
                self.hold.append(stored)

    def listening(self, client_id: str, principal: Principal) -> None:
        self.told.append(("listening", client_id))

    def connected(self, client_id: str, principal: Principal, address: str) -> None:
        self.told.append(("connected", client_id))

    def disconnected(self, client_id: str, principal: Principal, reason: str) -> None:
        self.told.append(("disconnected", client_id, reason))


@dataclass
class OpenBroker:
    host: str
    port: int
    link: EmbeddedLink
    receiver: Any

    def stats(self) -> dict[str, int]:
        return self.link.stats()


PERMISSIVE = {"sessions_per_identity": 1 << 60, "subscriptions": 10_000}


@asynccontextmanager
async def open_broker(
    store: Any = None, gatekeeper: Any = None, receiver: Any = None, *, port: int = 0, **limits: Any
) -> AsyncIterator[OpenBroker]:
    """Our broker on `.host`, `.port`; `limits` are fields of Limits."""
    receiver = receiver or RecordingReceiver()
    link = EmbeddedLink(
        store or ForgetfulStore(),
        gatekeeper or OpenGatekeeper(),
        receiver,
        (Listener("127.0.0.1", port),),
        Limits(**{**PERMISSIVE, **limits}),
    )
    async with link:
        yield OpenBroker("127.0.0.1", link.ports[0], link, receiver)
