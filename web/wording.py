"""How values, times and reasons are put into words on a page, in the visitor's language and time zone."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import get_day_names
from babel.numbers import format_decimal

from gateway.core.types import Field
from web import localtime
from web.language import ENGLISH, language, later
from web.language import gettext as _

MAX_SHOWN = 200
_STEPS = (
    (60, 1, later("%(count)s s")),
    (3600, 60, later("%(count)s min")),
    (86400, 3600, later("%(count)s h")),
    (float("inf"), 86400, later("%(count)s d")),
)
# How a clock is written: four signs for the year, two for the rest.
_PATTERN = later("yyyy-MM-dd HH:mm:ss")
_SIGNS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}

STATUS_WORDS = {
    "online": later("Online"),
    "offline": later("Offline"),
    "pending": later("Waiting"),
    "rejected": later("Rejected"),
    "sleeping": later("Sleeping"),
    "unknown": later("Unknown"),
}
REASON_WORDS = {
    "hello": later("said hello"),
    "will": later("connection lost"),
    "goodbye": later("signed off"),
    "silence": later("silent too long"),
    "takeover": later("connected again elsewhere"),
    "revoked": later("access revoked"),
    "broker_lost": later("the broker was away"),
    "data": later("sent data"),
    "approved": later("approved, not heard yet"),
    "never": later("not heard yet"),
    "restart": later("the gateway restarted"),
}


def status_word(status: str) -> str:
    return _(STATUS_WORDS[status]) if status in STATUS_WORDS else status


def span(seconds: float) -> str:
    """A length of time in one unit: `12 s`, `5 min`, `3 h`, `2 d`."""
    whole = max(0, int(seconds))
    text, size = next((text, size) for limit, size, text in _STEPS if whole < limit)
    return _(text, count=whole // size)


def age(at_ms: int | None, now_ms: int) -> str:
    if at_ms is None:
        return _("never")
    return _("%(time)s ago", time=span((now_ms - at_ms) / 1000))


def until(at_ms: int | None, now_ms: int) -> str:
    """What is left until then: `in 4:59`, `in 3 h`, or `now`."""
    if at_ms is None:
        return _("never")
    left_s = (at_ms - now_ms) // 1000
    if at_ms <= now_ms:
        return _("now")
    return _("in %(time)s", time=f"{left_s // 60}:{left_s % 60:02d}" if left_s < 3600 else span(left_s))


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds, as in a `<time>` element or a CSV file."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at_ms: int) -> str:
    """A time people can read, on the clock of the visitor's zone; UTC says so."""
    text = datetime.fromtimestamp(at_ms / 1000, localtime.zone()).strftime(_pattern(language()))
    return text if localtime.zone_name() else f"{text} UTC"


@cache
def _pattern(language: str) -> str:
    pattern = _(_PATTERN)
    for sign, code in _SIGNS.items():
        pattern = pattern.replace(sign, code)
    return pattern


def days() -> list[str]:
    """The days of the week from Monday on, in short."""
    names = get_day_names("abbreviated", locale=_locale(language()))
    return [names[day].rstrip(".") for day in range(7)]


@cache
def _locale(code: str) -> Locale:
    try:
        return Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(ENGLISH)


@cache
def _decimal_sign(code: str) -> str:
    return str(_locale(code).number_symbols["latn"]["decimal"])


def number(value: float) -> str:
    """A count or measure, with the signs of the visitor's language."""
    small = isinstance(value, int) and abs(value) < 1000
    return str(value) if small else str(format_decimal(value, locale=_locale(language())))


def fixed(value: float, digits: int) -> str:
    """So many digits behind the point, or the comma."""
    return f"{value:.{digits}f}".replace(".", _decimal_sign(language()))


def measured(value: float, unit: str) -> str:
    return f"{number(value)} {unit}"


def percent(value: float) -> str:
    return measured(value, "%")


def reason(code: str) -> str:
    return _(REASON_WORDS[code]) if code in REASON_WORDS else code.replace("_", " ")


def shown(value: Any) -> str:
    """A reading as short text."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None:
        return _("none")
    if isinstance(value, float):
        text = f"{float(f'{value:.6g}')!r}".removesuffix(".0")
        return text.replace(".", _decimal_sign(language()))
    if isinstance(value, str | int):
        return str(value)[:MAX_SHOWN]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:MAX_SHOWN]


def label(name: str, field: Field | None = None) -> str:
    """`battery_level` and `inDispatch` as words, unless the type gives a label of its own."""
    if field is not None and field.label:
        return _(field.label)
    words = "".join(
        f" {c.lower()}" if c.isupper() and name[i - 1 : i].islower() else c for i, c in enumerate(name)
    )
    return _(words.replace("_", " ").replace(".", " ").strip().capitalize())


def plain(mapping: Mapping[str, Any]) -> str:
    """Parameters in one line: `red 255, green 0`."""
    return ", ".join(f"{key} {shown(value)}" for key, value in mapping.items())[:MAX_SHOWN]
