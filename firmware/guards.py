"""What must hold of a module before its update starts, told by what it reported last."""

from collections.abc import Mapping
from typing import Any

from firmware.plan import Guards

# How types call these two, in order of preference.
BATTERY = ("battery", "battery_level", "battery_percent")
RSSI = ("rssi", "wifi_rssi", "signal")
Values = Mapping[str, Any]


def held_back(guards: Guards, latest: Values, desired: Values) -> str:
    """Which guard holds the module back, as a sentence; empty: none does.

    A module that has no battery or no radio to speak of is not held back by its guard. `not_while` looks at
    what the module reports and at what it should have.
    """
    return (
        _below(guards.min_battery, latest, BATTERY, "min_battery", " %")
        or _below(guards.min_rssi, latest, RSSI, "min_rssi", " dBm")
        or _while(guards.not_while, latest, desired)
    )


def _below(least: float | None, latest: Values, keys: tuple[str, ...], guard: str, unit: str) -> str:
    if least is None:
        return ""
    for key in keys:
        value = latest.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low = value < least
            return f"Guard {guard}: {key} is {value:g}{unit}, below {least:g}{unit}." if low else ""
    return ""


def _while(conditions: Values, latest: Values, desired: Values) -> str:
    for key, value in conditions.items():
        for values, word in ((latest, "is"), (desired, "should be")):
            if _same(_inner(values, key), value):
                return f"Guard not_while: {key} {word} {_word(value)}."
    return ""


def _inner(values: Values, key: str) -> Any:
    """The value of a key, or of a dotted path within objects; None where there is none."""
    if key in values:
        return values[key]
    head, _, rest = key.partition(".")
    inner = values.get(head)
    return _inner(inner, rest) if rest and isinstance(inner, Mapping) else None


def _same(one: Any, other: Any) -> bool:
    """1 and 1.0 are the same, 1 and true are not."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
