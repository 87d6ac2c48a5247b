"""The seam between the bridge and whichever broker carries its messages.

Up: the broker's side hands every message that is for the gateway to a `Receiver`. Down: the bridge speaks
through a `Link`. `Gatekeeper` is what a broker of ours asks before it lets anybody in or anything through.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from gateway.core.rights import Action, Principal

Stored = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message for the gateway.

    `sender` is None when an external broker does not tell; `address` is where the sender's connection comes
    from; `will` tells that the broker published it for a session that was lost.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    sender: Principal | None
    dup: bool = False
    address: str = ""
    will: bool = False


class Receiver(Protocol):
    def receive(self, message: Inbound, stored: Stored | None) -> bool:
        """Take a message; never blocks, never raises for what the message holds.

        `stored` (given for QoS 1 and 2) is called once, in order of arrival, when everything the message
        caused is on disk: the acknowledgement leaves then. Returns whether all of that has been handed to
        storage already, so that what is handed over next shares its transaction.
        """

    def listening(self, client_id: str, principal: Principal) -> None:
        """A session listens (again) where the gateway speaks to it: what waits for it may be sent."""

    def connected(self, client_id: str, principal: Principal, address: str) -> None:
        """A session was accepted."""

    def disconnected(self, client_id: str, principal: Principal, reason: str) -> None:
        """A session ended, by `goodbye` (DISCONNECT), `will` (anything else), `takeover` or `revoked`."""


class Refusal(IntEnum):
    """CONNACK return codes of MQTT 3.1.1."""

    IDENTIFIER = 2
    UNAVAILABLE = 3
    CREDENTIALS = 4
    NOT_AUTHORIZED = 5


class Gatekeeper(Protocol):
    def admit(
        self, client_id: str, username: str | None, password: bytes | None, address: str
    ) -> Principal | Refusal:
        """Decide a CONNECT. Same answer and the same time for an unknown name and a wrong password."""

    def identify(self, principal: Principal) -> Principal | None:
        """Who this is now: asked again after rights changed; None ends the session."""

    def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        """Whether a topic (or, for `subscribe`, a filter) lies within the principal's rights."""

    def for_gateway(self, topic: str) -> bool:
        """Whether a published topic is handed to the `Receiver`."""


class Link(Protocol):
    """What the bridge says down to devices and out to everybody else."""

    @property
    def online(self) -> bool:
        """Whether messages can leave now."""

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
        """Send in order of calls; never blocks. A message past `expires_at_ms` (UTC) is not delivered.

        `only_for`: sessions of this credential alone get it, whoever else subscribes to the topic (of a
        module, `approved` does not matter; `claim` does). Not `durable`: a retained message is kept in
        memory only, because the gateway publishes it again after a restart. An empty retained payload
        clears the topic's retained message.
        """

    def listens(self, client_id: str, topic: str) -> bool:
        """Whether that client has a live session subscribed to the topic."""

    def pending(self, principal: Principal) -> int:
        """How many messages are queued for, or not yet acknowledged by, sessions of this credential."""

    def refresh(self, name: str) -> None:
        """Ask the gatekeeper again who the sessions of this module id or service name are.

        Those that are nobody any more end at once (what was sent to them before leaves first), and lose
        their stored state, offline ones too. This includes the sessions of the module's re-enrolments.
        """

    def clear(self, path_prefix: str) -> None:
        """Clear every retained message whose topic starts with the prefix."""
