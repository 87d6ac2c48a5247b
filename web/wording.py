"""How values, times and reasons are put into words on a page."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gateway.core.types import Field

MAX_SHOWN = 200
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (float("inf"), 86400, "d"))

STATUS_WORDS = {
    "online": "Online",
    "offline": "Offline",
    "pending": "Waiting",
    "rejected": "Rejected",
    "sleeping": "Sleeping",
    "unknown": "Unknown",
}
REASON_WORDS = {
    "hello": "said hello",
    "will": "connection lost",
    "goodbye": "signed off",
    "silence": "silent too long",
    "takeover": "connected again elsewhere",
    "revoked": "access revoked",
    "broker_lost": "the broker was away",
    "data": "sent data",
    "approved": "approved, not heard yet",
    "never": "not heard yet",
    "restart": "the gateway restarted",
}


def span(seconds: float) -> str:
    """A length of time in one unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    whole = max(0, int(seconds))
    for limit, size, unit in _STEPS:
        if whole < limit:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def age(at_ms: int | None, now_ms: int) -> str:
    if at_ms is None:
        return "never"
    return f"{span((now_ms - at_ms) / 1000)} ago"


def until(at_ms: int | None, now_ms: int) -> str:
    """What is left until then: `in 4:59`, `in 3 h`, or `now`."""
    if at_ms is None:
        return "never"
    left_s = (at_ms - now_ms) // 1000
    if at_ms <= now_ms:
        return "now"
    return f"in {left_s // 60}:{left_s % 60:02d}" if left_s < 3600 else f"in {span(left_s)}"


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, as in a `<time>` element or a CSV file."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at_ms: int) -> str:
    """A time people can read; always UTC, and says so."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def reason(code: str) -> str:
    return REASON_WORDS.get(code, code.replace("_", " "))


def shown(value: Any) -> str:
    """A reading as short text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{float(f'{value:.6g}')!r}".removesuffix(".0")
    if isinstance(value, str | int):
        return str(value)[:MAX_SHOWN]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:MAX_SHOWN]


def label(name: str, field: Field | None = None) -> str:
    """`battery_level` and `inDispatch` as words, unless the type gives a label of its own."""
    if field is not None and field.label:
        return field.label
    words = "".join(
        f" {c.lower()}" if c.isupper() and name[i - 1 : i].islower() else c for i, c in enumerate(name)
    )
    return words.replace("_", " ").replace(".", " ").strip().capitalize()


def plain(mapping: Mapping[str, Any]) -> str:
    """Parameters in one line: `red 255, green 0`."""
    return ", ".join(f"{key} {shown(value)}" for key, value in mapping.items())[:MAX_SHOWN]
