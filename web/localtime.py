"""Times as people type them: on a wall clock, in a zone."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.core.errors import Invalid

_MAX_ZONE = 64


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
