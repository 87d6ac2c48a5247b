"""The history of a few readings on the module's page: a plot's parameters and the table under it."""

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.errors import Invalid
from gateway.core.types import Field, ModuleType
from gateway.core.values import Module
from web import localtime, wording
from web.language import gettext as _
from web.language import later
from web.visit import Visit

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3600_000, 86_400_000
# What a person may choose: code, words, ms back.
RANGES: dict[str, tuple[str, int]] = {
    "15m": (later("15 minutes"), 15 * MINUTE_MS),
    "1h": (later("1 hour"), HOUR_MS),
    "6h": (later("6 hours"), 6 * HOUR_MS),
    "24h": (later("24 hours"), DAY_MS),
    "7d": (later("7 days"), 7 * DAY_MS),
    "30d": (later("30 days"), 30 * DAY_MS),
    "90d": (later("90 days"), 90 * DAY_MS),
    "1y": (later("1 year"), 365 * DAY_MS),
    "2y": (later("2 years"), 730 * DAY_MS),
}
DEFAULT_RANGE, FREE = "1h", "free"
# A bucket is the first of these of which so many fit on the screen; up to an hour, every reading is shown.
STEPS_MS = (15_000, 30_000, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 6 * HOUR_MS, DAY_MS)
MOST_STEPS, RAW_UP_TO_MS = 1500, HOUR_MS
MOST_KEYS = 4
TABLE_ROWS = 100
_NUMERIC = ("number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class Line:
    """A reading that may be plotted; `chosen`: its place on the plot from 1 on, 0 when it is not on it."""

    key: str
    label: str
    unit: str
    switch: bool
    chosen: int


@dataclass(frozen=True, slots=True)
class Window:
    """`range` is a code of RANGES or `free`; times UTC ms; `step_ms` 0: every reading."""

    range: str
    from_ms: int
    to_ms: int
    typed_from: str
    typed_to: str
    fault: str

    @property
    def step_ms(self) -> int:
        return step_of(self.to_ms - self.from_ms)


@dataclass(frozen=True, slots=True)
class PlotView:
    lines: list[Line]
    window: Window
    ranges: list[tuple[str, str]]
    rows: list[tuple[str, list[str]]]
    # The query of what is shown, and of every reading, for exports.
    query: str
    raw_query: str
    zone: str
    # What people should know of the disk; empty when all is kept.
    warning: str

    @property
    def chosen(self) -> list[Line]:
        return sorted((line for line in self.lines if line.chosen), key=lambda line: line.chosen)


def step_of(span_ms: int) -> int:
    """The bucket for so long a time; the same rule as the script's."""
    if span_ms <= RAW_UP_TO_MS:
        return 0
    return next((step for step in STEPS_MS if span_ms / step <= MOST_STEPS), STEPS_MS[-1])


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


async def plot_view(visit: Visit, module: Module, kind: ModuleType) -> PlotView | None:
    """The keys asked for, or the first there is; None when nothing can be plotted."""
    core = visit.site.core
    keys = plot_keys(core, module, kind)
    if not keys:
        return None
    asked = dict.fromkeys(visit.request.query_params.getlist("key"))
    chosen = [key for key in asked if key in keys][:MOST_KEYS] or keys[:1]
    window = _window(visit)
    lines = [_line(core, module, kind, key, chosen) for key in keys]
    span = {"key": ",".join(chosen), "from": window.from_ms, "to": window.to_ms}
    return PlotView(
        lines=lines,
        window=window,
        ranges=[(code, _(words)) for code, (words, _span) in RANGES.items()] + [(FREE, _("From … to …"))],
        rows=await _rows(core, module, chosen, window),
        query=urlencode(span | ({"step": window.step_ms} if window.step_ms else {})),
        raw_query=urlencode(span),
        zone=localtime.zone_name(),
        warning="" if core.keeping.health.state == "ok" else core.keeping.health.sentence,
    )


def _line(core: Core, module: Module, kind: ModuleType, key: str, chosen: list[str]) -> Line:
    declared = kind.keys.get(key, Field())
    latest = core.telemetry.latest(module.id).get(key)
    return Line(
        key=key,
        label=wording.label(key, declared),
        unit=declared.unit,
        switch=declared.kind == "boolean" or isinstance(latest, bool),
        chosen=chosen.index(key) + 1 if key in chosen else 0,
    )


def _window(visit: Visit) -> Window:
    """As asked; what makes no sense is said, and the usual range is shown."""
    now_ms = clock.now_ms()
    code, fault = visit.query("range"), ""
    typed = visit.query("from"), visit.query("to")
    if code == FREE or (any(typed) and code not in RANGES):
        try:
            from_ms, to_ms = (localtime.at_ms(text, visit.query("zone")) for text in typed)
            to_ms = to_ms or now_ms
            if from_ms is not None and from_ms < to_ms:
                return Window(FREE, max(0, from_ms), min(to_ms, 10**14), *typed, "")
            fault = _("Choose a beginning that lies before the end.")
        except Invalid as invalid:
            fault = invalid.message
    code = code if code in RANGES else DEFAULT_RANGE
    return Window(code, now_ms - RANGES[code][1], now_ms, *typed, fault)


async def _rows(
    core: Core, module: Module, keys: list[str], window: Window
) -> list[tuple[str, list[str]]]:
    """The newest first: a time, and what each key said then."""
    asked = {"from_ms": window.from_ms, "to_ms": window.to_ms, "step_ms": window.step_ms or None}
    histories = await asyncio.gather(
        *(core.history.points(module.id, key, limit=TABLE_ROWS, **asked) for key in keys)
    )
    table: dict[int, dict[str, Any]] = {}
    for key, points in zip(keys, histories, strict=True):
        for at_ms, value in points:
            table.setdefault(at_ms, {})[key] = value
    newest = sorted(table, reverse=True)[:TABLE_ROWS]
    return [(wording.clock(at_ms), [_shown(table[at_ms], key) for key in keys]) for at_ms in newest]


def _shown(values: dict[str, Any], key: str) -> str:
    return wording.shown(values[key]) if key in values else ""
