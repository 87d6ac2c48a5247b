"""What travels to sessions, and where it leaves."""

from dataclasses import dataclass
from typing import Protocol

from gateway.core.clock import now_ms


@dataclass(frozen=True, slots=True)
class Message:
    """`durable` is for a retained one: whether it is kept on disk."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    expires_at_ms: int | None = None
    durable: bool = True

    def expired(self) -> bool:
        return self.expires_at_ms is not None and self.expires_at_ms <= now_ms()


class Wire(Protocol):
    """Where a session's packets leave: its connection."""

    def send(self, data: bytes) -> None: ...

    def roomy(self) -> bool:
        """Whether more may be sent that is not urgent."""


class Entry:
    """A message with its packet id (0 for QoS 0). `released`: only PUBCOMP is missing."""

    __slots__ = ("message", "number", "position", "ready", "released", "sent")

    def __init__(self, number: int, position: int, message: Message) -> None:
        self.number = number
        self.position = position
        self.message = message
        self.ready = True
        self.sent = False
        self.released = False
