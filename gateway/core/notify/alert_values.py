"""What an alert is: a kind, what it is about, from when to when, and what is said of it."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from gateway.core.errors import Said
from gateway.core.events import Event

Severity = Literal["info", "warning", "urgent"]
What = Literal["opened", "closed"]
SEVERITIES: tuple[Severity, ...] = ("urgent", "warning", "info")


class Kind(msgspec.Struct, frozen=True):
    """A kind of alert; how it is called stands with the pages (web/alertview.py)."""

    code: str
    severity: Severity


KINDS: dict[str, Kind] = {
    kind.code: kind
    for kind in (
        Kind("offline", "warning"),
        Kind("many", "urgent"),
        Kind("unstable", "warning"),
        Kind("clone", "urgent"),
        Kind("waiting", "info"),
        Kind("update", "warning"),
        Kind("rollout", "warning"),
        Kind("disk", "urgent"),
        Kind("database", "urgent"),
        Kind("certificate", "warning"),
        Kind("gateway", "warning"),
    )
}


class Sentence(msgspec.Struct, frozen=True):
    """A `Said` as it is kept: its template and the values in it."""

    template: str
    values: dict[str, Any] = {}

    @property
    def said(self) -> Said:
        return Said(self.template, **self.values)


def sentence(said: Said) -> Sentence:
    return Sentence(said.template, {name: _plain(value) for name, value in said.values.items()})


def _plain(value: object) -> object:
    return value if isinstance(value, int | float) else str(value)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Open until `closed_at_ms`. `members`: numbers of the modules that one alert stands for.

    `module_number` decides who may see it; None: whoever keeps the house.
    """

    id: int
    kind: str
    subject: str
    severity: Severity
    text: Sentence
    opened_at_ms: int
    module_number: int | None = None
    members: tuple[int, ...] = ()
    closing: Sentence | None = None
    closed_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_at_ms is None


@dataclass(frozen=True, slots=True)
class AlertChanged(Event):
    """An alert was opened or closed."""

    alert: Alert
    what: What


@dataclass(frozen=True, slots=True)
class AlertsSeen(Event):
    """A person has seen all alerts up to `alert_id`."""

    user_id: int
    alert_id: int
