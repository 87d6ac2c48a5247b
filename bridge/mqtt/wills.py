"""Last wills: published when a session ends badly, or after a restart for clients that do not come back.

A gateway that stops, in order or not, leaves the wills of its connected sessions in the database: whether the
devices are gone is not known. At the next start each has 1.5 times its keep alive to come back; then its will
is published, once.
"""

import logging
import time
from functools import partial

from bridge.mqtt.exchange import Exchange
from bridge.mqtt.identity import as_text, from_text
from bridge.mqtt.link import Inbound, Receiver
from bridge.mqtt.message import Message
from bridge.mqtt.packets import Will
from bridge.mqtt.session import Session
from gateway.core.rights import Enrolling, Principal
from gateway.storage.models_broker import BrokerWill

log = logging.getLogger(__name__)
# The grace of a client without keep alive, and the most anybody gets.
GRACE_S = 60.0
MAX_GRACE_S = 600.0


class Wills:
    def __init__(self, exchange: Exchange, receiver: Receiver) -> None:
        self._exchange = exchange
        self._receiver = receiver
        self._orphans: dict[str, tuple[float, Principal, Will]] = {}
        self._kept: dict[str, Will] = {}

    async def load(self) -> None:
        for row in await self._exchange.state.load(BrokerWill):
            principal = from_text(row.principal)
            if principal is None:
                self._exchange.state.drop_will(row.key)
                continue
            grace_s = min(row.keepalive_s * 1.5 or GRACE_S, MAX_GRACE_S)
            will = Will(row.topic, bytes(row.payload), row.qos, bool(row.retain))
            self._orphans[row.key] = (time.monotonic() + grace_s, principal, will)
            self._kept[row.key] = will

    def keep(self, session: Session, will: Will | None, keepalive_s: int) -> None:
        """A client has connected; what an earlier run left of its will is void."""
        self._orphans.pop(session.key, None)
        if will is None or isinstance(session.principal, Enrolling):
            self._drop(session.key, self._kept.get(session.key))
            return
        self._kept[session.key] = will
        words = (will.topic, will.payload, will.qos, will.retain)
        self._exchange.state.keep_will(
            session.key, session.client_id, as_text(session.principal), words, keepalive_s
        )
        self._exchange.state.hurry()

    def discard(self, session: Session, will: Will | None) -> None:
        """The session ended well."""
        self._drop(session.key, will)

    def _drop(self, key: str, will: Will | None) -> None:
        """Unless the client has come back with another one since."""
        if will is not None and self._kept.get(key) is will:
            del self._kept[key]
            self._exchange.state.drop_will(key)
            self._exchange.state.hurry()

    def sweep(self) -> None:
        """Publish the wills of clients that have not come back after a restart."""
        now_s = time.monotonic()
        for key, (due_s, principal, will) in list(self._orphans.items()):
            if due_s <= now_s:
                del self._orphans[key]
                self.fire(key, principal, will)

    def fire(self, key: str, principal: Principal, will: Will) -> None:
        """Publish, under the rights its client has now. The row goes when the effects are on disk."""
        exchange = self._exchange
        drop = partial(self._drop, key, will)
        now = exchange.gatekeeper.identify(principal)
        if now is None or not exchange.gatekeeper.allows(now, "publish", will.topic):
            drop()
            return
        exchange.counts.wills += 1
        message = Message(will.topic, will.payload, will.qos, will.retain)
        if will.retain:
            exchange.retain(message)
        exchange.deliver(message)
        exchange.state.hurry()
        if not exchange.gatekeeper.for_gateway(will.topic):
            drop()
            return
        inbound = Inbound(will.topic, will.payload, will.qos, will.retain, now, will=True)
        if not will.qos:
            drop()
        try:
            self._receiver.receive(inbound, drop if will.qos else None)
        except Exception:
            exchange.counts.errors += 1
            log.exception("The will on %r could not be taken", will.topic)
