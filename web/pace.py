"""How often programs may call: so much a minute for each person and account, less for who is not known."""

from typing import Any

from gateway.core.choices import Choices
from gateway.core.limits import Throttle
from gateway.core.rights import Person, Service

CHOICE = "rest.calls_a_minute"
# Of an address, while nobody there has logged in: at once, and a minute.
STRANGERS, STRANGERS_A_MINUTE = 100, 120
_SENTENCE = "Too many calls."


class Pace:
    def __init__(self, choices: Choices, *, rate_limits: bool) -> None:
        self._choices = choices
        self._enabled = rate_limits
        self._strangers = Throttle(STRANGERS, 60 / STRANGERS_A_MINUTE, enabled=rate_limits)
        self._known, self._a_minute = self._made()

    def spend(self, who: Person | Service | None, address: str) -> None:
        """One call; raises `TooMany`."""
        throttle, key = self._of(who, address)
        throttle.spend(key, _SENTENCE)

    def told(self, who: Person | Service) -> dict[str, Any]:
        """What somebody may, and what is left of it now."""
        throttle, key = self._of(who, "")
        return {
            "enabled": self._enabled,
            "a_minute": self._a_minute,
            "at_once": self._at_once,
            "left": throttle.left(key),
            "retry_after": throttle.wait_s(key),
        }

    @property
    def _at_once(self) -> int:
        return max(10, self._a_minute // 3)

    def _of(self, who: Person | Service | None, address: str) -> tuple[Throttle, object]:
        if who is None:
            return self._strangers, address
        if self._a_minute != self._choices.number(CHOICE):
            self._known, self._a_minute = self._made()
        return self._known, ("person", who.id) if isinstance(who, Person) else ("service", who.name)

    def _made(self) -> tuple[Throttle, int]:
        self._a_minute = self._choices.number(CHOICE)
        return Throttle(self._at_once, 60 / self._a_minute, enabled=self._enabled), self._a_minute
