"""Times on the wall clock of who looks: shown in the visitor's zone, and read as people type them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.access.preferences import zones
from gateway.core.errors import Invalid

_MAX_ZONE = 64
# Empty: not known, or UTC itself.
_zone_name: ContextVar[str] = ContextVar("zone_name", default="")


def zone_name() -> str:
    """The visitor's zone, `Europe/Paris`; empty for UTC."""
    return _zone_name.get()


def zone() -> tzinfo:
    name = zone_name()
    return ZoneInfo(name) if name else UTC


@contextmanager
def in_zone(name: str) -> Iterator[None]:
    """Times are shown in this zone within; one that nobody knows is UTC."""
    token = _zone_name.set(name if name in zones() and name != "UTC" else "")
    try:
        yield
    finally:
        _zone_name.reset(token)


def at_ms(text: str, zone: str) -> int | None:
    """UTC ms of what a `datetime-local` field holds; None for nothing. Raises `Invalid`."""
    if not text:
        return None
    try:
        typed = datetime.fromisoformat(text)
        placed = typed if typed.tzinfo else typed.replace(tzinfo=_zone(zone))
        return int(placed.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Invalid("%(text)r is no date and time.", text=text[:40]) from None


def _zone(name: str) -> tzinfo:
    if not name:
        return UTC
    try:
        return ZoneInfo(name[:_MAX_ZONE])
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise Invalid("%(name)r is no time zone.", name=name[:_MAX_ZONE]) from None
