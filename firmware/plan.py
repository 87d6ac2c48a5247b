"""The plan of a rollout: which image goes to whom, in which waves, and when it must stop."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from gateway.core.errors import Invalid

MAX_WAVES = 20
MAX_MODULES = 10_000
MAX_PAIRS = 10_000
MAX_AT_ONCE = 1000
MAX_WAIT_S = 30 * 86400
MAX_TEXT = 200
MAX_CONDITIONS = 20
MAX_NUMBER = 2**53
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_ONE_GROUP_OF = ("modules", "group", "type")


class Wave(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of: named modules, a percentage of those that no wave before has, all the rest."""

    modules: tuple[str, ...] = ()
    percent: float = 0
    rest: bool = False


class Stop(msgspec.Struct, frozen=True, omit_defaults=True):
    """Stop at so many failures, or at so many percent of what has ended."""

    count: int = 0
    percent: float = 0


class Window(msgspec.Struct, frozen=True, rename={"begin": "from", "end": "to"}):
    """Local times `HH:MM`, over midnight when `to` is before `from`; `days`: those it begins on, 0 Monday."""

    begin: str
    end: str
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


class Guards(msgspec.Struct, frozen=True, omit_defaults=True):
    """What must hold of a module before it starts: percent, dBm, and what it must not be doing."""

    min_battery: float | None = None
    min_rssi: float | None = None
    not_while: dict[str, Any] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`modules`, `group` or `type` tells who; a stop at the first failure is the default."""

    name: str
    firmware_id: int
    modules: tuple[str, ...] = ()
    group: str | None = None
    type: int | None = None
    waves: tuple[Wave, ...] = (Wave(rest=True),)
    wait_s: float = 0
    success_percent: float = 100
    stop: Stop = Stop(count=1)
    on_stop: Literal["pause", "revert"] = "pause"
    concurrency: int = 10
    window: Window | None = None
    guards: Guards = Guards()
    never_both: tuple[tuple[str, str], ...] = ()


def read_plan(raw: object) -> Plan:
    """A plan as somebody sent it, every field checked; raises `Invalid` with a sentence."""
    given = _object(raw, "The plan", _FIELDS)
    for name in ("name", "firmware_id"):
        if name not in given:
            raise Invalid("The plan needs a %(name)s.", name=name)
    if sum(name in given for name in _ONE_GROUP_OF) != 1:
        raise Invalid("The plan needs exactly one of modules, group and type: who gets the image.")
    fields = {name: _FIELDS[name](value, name) for name, value in given.items()}
    return Plan(**fields)


def _object(raw: object, what: str, known: Mapping[str, object]) -> dict[str, Any]:
    """An object with known fields only; a field that is null counts as left out."""
    if not isinstance(raw, Mapping):
        raise Invalid("%(what)s must be an object.", what=what)
    for name in raw:
        if name not in known:
            raise Invalid(
                "%(what)s has no %(name)r; it knows %(known)s.",
                what=what,
                name=str(name)[:64],
                known=", ".join(known),
            )
    return {name: value for name, value in raw.items() if value is not None}


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= len(value) <= MAX_TEXT:
        raise Invalid(
            "The %(name)s must be a text of 1 to %(max_text)s characters.", name=name, max_text=MAX_TEXT
        )
    if not value.isprintable():
        raise Invalid("The %(name)s holds a character that cannot be printed.", name=name)
    return value


def _number(low: float, high: float, unit: str = "") -> Callable[[object, str], float]:
    def check(value: object, name: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise Invalid(
                "The %(name)s must be a number from %(low)s to %(high)s%(unit)s.",
                name=name,
                low=f"{low:g}",
                high=f"{high:g}",
                unit=unit,
            )
        return value

    return check


def _whole(low: int, high: int) -> Callable[[object, str], int]:
    def check(value: object, name: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Invalid(
                "The %(name)s must be a whole number from %(low)s to %(high)s.", name=name, low=low, high=high
            )
        return value

    return check


def _ids(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise Invalid("The %(name)s must be a list of at least one module id.", name=name)
    if len(value) > MAX_MODULES:
        raise Invalid(
            "There may be at most %(max_modules)s %(name)s; these are %(count)s.",
            max_modules=MAX_MODULES,
            name=name,
            count=len(value),
        )
    seen: set[str] = set()
    for id in value:
        if _text(id, "id of a module").lower() in seen:
            raise Invalid("%(id)s is twice among the %(name)s.", id=id, name=name)
        seen.add(id.lower())
    return tuple(value)


def _waves(value: object, name: str) -> tuple[Wave, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_WAVES:
        raise Invalid("The waves must be a list of 1 to %(max_waves)s.", max_waves=MAX_WAVES)
    waves = tuple(_wave(raw, number) for number, raw in enumerate(value, 1))
    for number, wave in enumerate(waves[:-1], 1):
        if wave.rest or wave.percent == 100:
            raise Invalid("Wave %(number)s takes the whole rest, so it must be the last.", number=number)
    named = [id for wave in waves for id in wave.modules]
    if named:
        _ids(named, "modules of the waves")
    return waves


def _wave(raw: object, number: int) -> Wave:
    what = f"Wave {number}"
    given = _object(raw, what, _WAVE)
    if len(given) != 1 or given.get("rest") is False:
        raise Invalid(
            '%(what)s must be one of {"modules": [..]}, {"percent": 10} and {"rest": true}.', what=what
        )
    (name, value), *_ = given.items()
    return Wave(**{name: _WAVE[name](value, f"{name} of wave {number}")})


def _yes(value: object, name: str) -> bool:
    if value is not True:
        raise Invalid("The %(name)s must be true.", name=name)
    return True


def _share(value: object, name: str) -> float:
    percent = _number(0, 100)(value, name)
    if not percent > 0:
        raise Invalid("The %(name)s must be more than 0.", name=name)
    return percent


def _stop(raw: object, name: str) -> Stop:
    given = _object(raw, "The stop", _STOP)
    if len(given) != 1:
        raise Invalid('The stop must be {"count": 2} or {"percent": 10}.')
    (field, value), *_ = given.items()
    return Stop(**{field: _STOP[field](value, f"{field} of the stop")})


def _on_stop(value: object, name: str) -> str:
    if value not in ("pause", "revert"):
        raise Invalid("The on_stop must be pause or revert.")
    return str(value)


def _window(raw: object, name: str) -> Window:
    given = _object(raw, "The window", _WINDOW)
    if "from" not in given or "to" not in given:
        raise Invalid('The window needs "from" and "to", such as 22:00 and 05:00.')
    fields = {_WINDOW[field][0]: _WINDOW[field][1](value, field) for field, value in given.items()}
    window = Window(**fields)
    if window.begin == window.end:
        raise Invalid("The window begins and ends at one time; leave it out for the whole day.")
    return window


def _time(value: object, name: str) -> str:
    if not isinstance(value, str) or not _TIME.fullmatch(value) or (name == "from" and value == "24:00"):
        raise Invalid("The %(name)s of the window must be a time such as 22:00.", name=name)
    return value


def _days(value: object, name: str) -> tuple[int, ...]:
    days = value if isinstance(value, list | tuple) and 1 <= len(value) <= 7 else ()
    if not days or not all(type(day) is int and 0 <= day <= 6 for day in days):
        raise Invalid("The days of the window must be a list of numbers from 0 (Monday) to 6 (Sunday).")
    if len(set(days)) != len(days):
        raise Invalid("A day is twice in the window.")
    return tuple(sorted(days))


def _guards(raw: object, name: str) -> Guards:
    given = _object(raw, "The guards", _GUARDS)
    return Guards(**{field: _GUARDS[field](value, field) for field, value in given.items()})


def _conditions(raw: object, name: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping) or len(raw) > MAX_CONDITIONS:
        raise Invalid(
            "The not_while must be an object of at most %(max_conditions)s keys.",
            max_conditions=MAX_CONDITIONS,
        )
    for key, value in raw.items():
        _text(key, "key of not_while")
        if not isinstance(value, bool | int | float | str):
            raise Invalid("The not_while of %(key)s must be a text, a number, true or false.", key=key)
        if isinstance(value, int | float) and not abs(value) <= MAX_NUMBER:
            raise Invalid("The not_while of %(key)s is too big a number.", key=key)
        if isinstance(value, str):
            _text(value, f"not_while of {key}")
    return dict(raw)


def _pairs(value: object, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_PAIRS:
        raise Invalid("The never_both must be a list of at most %(max_pairs)s pairs.", max_pairs=MAX_PAIRS)
    return tuple(_pair(raw) for raw in value)


def _pair(raw: object) -> tuple[str, str]:
    if not isinstance(raw, list | tuple) or len(raw) != 2:
        raise Invalid("Each of never_both must be a pair of module ids.")
    one, other = (_text(id, "id of a module") for id in raw)
    if one.lower() == other.lower():
        raise Invalid("%(one)s is paired with itself in never_both.", one=one)
    return one, other


_WAVE: dict[str, Callable[[object, str], Any]] = {"modules": _ids, "percent": _share, "rest": _yes}
_STOP: dict[str, Callable[[object, str], Any]] = {"count": _whole(1, MAX_MODULES), "percent": _share}
_WINDOW: dict[str, tuple[str, Callable[[object, str], Any]]] = {
    "from": ("begin", _time),
    "to": ("end", _time),
    "days": ("days", _days),
}
_GUARDS: dict[str, Callable[[object, str], Any]] = {
    "min_battery": _number(0, 100, " percent"),
    "min_rssi": _number(-150, 0, " dBm"),
    "not_while": _conditions,
}
_FIELDS: dict[str, Callable[[object, str], Any]] = {
    "name": _text,
    "firmware_id": _whole(1, 2**63 - 1),
    "modules": _ids,
    "group": _text,
    "type": _whole(0, 2**31 - 1),
    "waves": _waves,
    "wait_s": _number(0, MAX_WAIT_S, " seconds"),
    "success_percent": _number(0, 100),
    "stop": _stop,
    "on_stop": _on_stop,
    "concurrency": _whole(1, MAX_AT_ONCE),
    "window": _window,
    "guards": _guards,
    "never_both": _pairs,
}
