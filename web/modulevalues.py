"""A module's values on its own page: each with its age, and with a mark when it is old."""

from dataclasses import dataclass

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.values import Module
from web.views import module_type, readings

# A key that stayed away for so many silences of its type while others came is old.
OLD_SILENCES = 3
OLD_AT_LEAST_MS = 600_000
_THERE = frozenset({"online", "sleeping"})


@dataclass(frozen=True, slots=True)
class Value:
    """`old`: the module is gone, or sends others but not this one any more."""

    key: str
    label: str
    text: str
    unit: str
    long: bool
    at_ms: int | None
    old: bool


@dataclass(frozen=True, slots=True)
class Values:
    """`set_aside` counts readings that did not fit the type, `clock_faults` those with an impossible time."""

    values: tuple[Value, ...]
    keys: tuple[str, ...]
    old: int
    set_aside: int
    clock_faults: int


def values_view(core: Core, module: Module) -> Values:
    kind, times = module_type(core, module.type), core.telemetry.times(module.id)
    presence = core.presence.of(module.id)
    gone = presence.state not in _THERE
    patience_ms = max(OLD_AT_LEAST_MS, int(OLD_SILENCES * kind.silence_s * 1000))
    newest_ms = max(times.values(), default=0)
    found = tuple(
        Value(
            key=each.key,
            label=each.label,
            text=each.text,
            unit=each.unit,
            long=each.long,
            at_ms=min(times[each.key], clock.now_ms()) if each.key in times else None,
            old=gone or newest_ms - times.get(each.key, 0) > patience_ms,
        )
        for each in readings(kind, core.telemetry.latest(module.id))
    )
    return Values(
        values=found,
        keys=tuple(core.telemetry.keys(module.id)),
        old=sum(each.old for each in found),
        set_aside=core.telemetry.set_aside[module.id],
        clock_faults=core.telemetry.clock_faults(module.id),
    )
