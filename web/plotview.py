"""One reading's history, as the module's page shows it: a plot's parameters and the table under it."""

from dataclasses import dataclass
from typing import Any

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.types import Field, ModuleType
from gateway.core.values import Module
from web import wording

# What a person may choose: code, word, seconds back, and the bucket in ms (0: every reading).
RANGES: dict[str, tuple[str, int, int]] = {
    "15m": ("15 minutes", 900, 0),
    "1h": ("1 hour", 3600, 0),
    "6h": ("6 hours", 6 * 3600, 30_000),
    "24h": ("24 hours", 86400, 120_000),
    "7d": ("7 days", 7 * 86400, 900_000),
    "30d": ("30 days", 30 * 86400, 3_600_000),
}
DEFAULT_RANGE = "1h"
TABLE_ROWS = 100
_NUMERIC = ("number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class PlotView:
    key: str
    label: str
    unit: str
    range: str
    range_s: int
    step_ms: int
    from_ms: int
    keys: list[tuple[str, str]]
    ranges: list[tuple[str, str]]
    rows: list[tuple[str, str]]


def plot_keys(core: Core, module: Module, kind: ModuleType) -> list[str]:
    """The keys that have a history of numbers, in the order of the declaration."""
    latest = core.telemetry.latest(module.id)
    order = {key: place for place, key in enumerate(kind.keys)}
    keys = [key for key in core.telemetry.keys(module.id) if _is_numeric(kind, latest, key)]
    return sorted(keys, key=lambda key: (order.get(key, len(order)), key))


def _is_numeric(kind: ModuleType, latest: dict[str, Any], key: str) -> bool:
    declared = kind.keys.get(key)
    if declared is not None and declared.kind != "any":
        return declared.kind in _NUMERIC
    # A nested key, as in `lamp.on`, is kept as a series of its own only when it is a number.
    return isinstance(latest.get(key, 0), bool | int | float)


async def plot_view(
    core: Core, module: Module, kind: ModuleType, key: str, range_code: str
) -> PlotView | None:
    """The view of `key`, or of the first key there is; None when nothing can be plotted."""
    keys = plot_keys(core, module, kind)
    if not keys:
        return None
    key = key if key in keys else keys[0]
    range_code = range_code if range_code in RANGES else DEFAULT_RANGE
    _, range_s, step_ms = RANGES[range_code]
    from_ms = clock.now_ms() - range_s * 1000
    points = await core.history.points(
        module.id, key, from_ms=from_ms, step_ms=step_ms or None, limit=TABLE_ROWS
    )
    declared = kind.keys.get(key, Field())
    return PlotView(
        key=key,
        label=wording.label(key, declared),
        unit=declared.unit,
        range=range_code,
        range_s=range_s,
        step_ms=step_ms,
        from_ms=from_ms,
        keys=[(each, wording.label(each, kind.keys.get(each))) for each in keys],
        ranges=[(code, row[0]) for code, row in RANGES.items()],
        rows=[(wording.clock(at_ms)[:-4], wording.shown(value)) for at_ms, value in reversed(points)],
    )
