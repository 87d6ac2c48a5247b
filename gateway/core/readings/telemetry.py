"""What modules report: checked, newest values in memory, every reading on its way to the history."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from peewee import fn

from gateway.core import clock
from gateway.core.events import Hub, ModuleRemoved, TelemetryChanged
from gateway.core.readings.late import Late
from gateway.core.registry import Registry
from gateway.core.types import MAX_DEPTH, MAX_KEYS, NAME, Types
from gateway.core.values import Module
from gateway.storage.models import ReadingRow, SeriesRow
from gateway.storage.store import Store

INSERT = (
    "INSERT INTO reading (series, ts_ms, number, text) (VALUES) ON CONFLICT (series, ts_ms)"
    " DO UPDATE SET number = excluded.number, text = excluded.text"
)
MAX_NUMBER = 10**300
MAX_NAME = 64
# Of one module, those within objects included, so that invented keys cannot fill memory.
MAX_SERIES = 500
CLOCK_TOLERANCE_MS = 24 * 3600 * 1000
# So far ahead of the clock our own times may have run before a restart, when readings came faster than 1/ms.
AHEAD_MS = 10_000

Values = Mapping[str, Any]


class ClockFault(msgspec.Struct, frozen=True):
    """At `at_ms` of our clock a module said that it was `said_ms` (UTC ms): more than a day wrong."""

    at_ms: int
    said_ms: int


class _Latest(msgspec.Struct):
    """The newest value of each key of one module, the time and series of each, and the last time we gave."""

    number: int
    values: dict[str, Any]
    at_ms: dict[str, int]
    series: dict[str, int]
    given_ms: dict[str, int]

    def has_room(self, key: str) -> bool:
        return key in self.series or len(self.series) < MAX_SERIES


class Telemetry:
    """Synchronous and poor in allocations: nothing awaits for a reading."""

    def __init__(self, store: Store, hub: Hub, registry: Registry, types: Types) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._types = types
        self._latest: dict[str, _Latest] = {}
        self._next_series = 1
        self._encode = msgspec.json.Encoder().encode
        self.late = Late(store)
        # False while the disk is full: readings are shown, counted here and not recorded.
        self.keeps = True
        self.not_kept = 0
        self.received = 0
        self._clock_faults: dict[str, ClockFault] = {}
        self.set_aside: Counter[str] = Counter()
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        """The newest value of every series, so that a restart forgets nothing that is on the screens."""
        self._next_series, found = await self._store.run(_load_latest)
        for number, key, series, leaf, ts_ms, value in found:
            module = self._registry.numbered(number)
            if module is None:
                continue
            latest = self._of(module)
            latest.series[key] = series
            now_ms = clock.now_ms()
            latest.at_ms[key] = min(ts_ms, now_ms)
            # What was recorded must not be written over by what comes now.
            latest.given_ms[key] = min(ts_ms, now_ms + AHEAD_MS)
            if not leaf and ts_ms:
                latest.values[key] = value

    def latest(self, module_id: str) -> dict[str, Any]:
        """The newest values; the caller must not change them."""
        known = self._latest.get(module_id)
        return known.values if known else {}

    def times(self, module_id: str) -> dict[str, int]:
        """When the newest value of each key is from, UTC ms; the caller must not change them."""
        known = self._latest.get(module_id)
        return known.at_ms if known else {}

    def clock_faults(self, module_id: str) -> int:
        """How many readings since the start came with a time that cannot be."""
        return self.set_aside[f"{module_id} clock"]

    def report(self, module: Module, values: Values, ts_ms: int | None = None) -> bool:
        """Take one reading of several keys, at `ts_ms` (the module's word, UTC) or now.

        Keys the type does not declare, and values that do not fit, are set aside and counted, and so is a
        reading beyond the bounds as a whole. False when it cannot be recorded now: do not acknowledge it.
        """
        self.received += 1
        if not _within_bounds(values):
            self.set_aside[module.id] += 1
            return True
        latest = self._latest.get(module.id) or self._of(module)
        at_ms = self._time(module, ts_ms)
        keys, is_open = self._declared(module.type)
        changed: dict[str, Any] = {}
        kept = True
        for key, value in values.items():
            declared = keys.get(key)
            unwanted = (declared is None and not is_open) or (declared and declared.fault(value))
            if value is None or unwanted or not latest.has_room(key):
                self.set_aside[module.id] += 1
                continue
            kept = self._record(latest, key, value, at_ms) and kept
            if at_ms is None or at_ms >= latest.at_ms.get(key, 0):
                if _differs(latest.values.get(key), value):
                    changed[key] = latest.values[key] = value
                if at_ms is not None:
                    # A clock that is ahead must not make what comes after it look late.
                    latest.at_ms[key] = min(at_ms, clock.now_ms())
        if changed:
            self._hub.publish(TelemetryChanged(module.id, changed))
        return kept

    def _declared(self, type_code: int) -> tuple[Mapping[str, Any], bool]:
        known = self._types.get(type_code)
        return known.keys, known.open

    def _time(self, module: Module, ts_ms: int | None) -> int | None:
        """A device's own time, if it can be believed: one that is a day off is its clock's fault."""
        if ts_ms is None:
            return None
        now_ms = clock.now_ms()
        if abs(ts_ms - now_ms) <= CLOCK_TOLERANCE_MS:
            if self._clock_faults:
                self._clock_faults.pop(module.id, None)
            return ts_ms
        self.set_aside[f"{module.id} clock"] += 1
        self._clock_faults[module.id] = ClockFault(at_ms=now_ms, said_ms=ts_ms)
        return None

    def clock_fault(self, module_id: str) -> ClockFault | None:
        """How wrong the time of its last reading was, if that could not be believed."""
        return self._clock_faults.get(module_id)

    def _record(self, latest: _Latest, key: str, value: Any, at_ms: int | None) -> bool:
        if at_ms is None:
            # Two readings within a millisecond are two readings: the later moves on by one.
            now_ms, given_ms = clock.now_ms(), latest.given_ms.get(key, 0)
            # Of a clock that was set back nothing is taken up: far ahead would stay ahead.
            at_ms = now_ms if given_ms > now_ms + AHEAD_MS else max(now_ms, given_ms + 1)
            latest.given_ms[key] = latest.at_ms[key] = at_ms
        kept = self._append(latest, key, value, at_ms, leaf=False)
        if isinstance(value, dict):
            for path, leaf in _leaves(key, value):
                if latest.has_room(path):
                    kept = self._append(latest, path, leaf, at_ms, leaf=True) and kept
        return kept

    def _append(self, latest: _Latest, key: str, value: Any, at_ms: int, *, leaf: bool) -> bool:
        if not self.keeps:
            self.not_kept += 1
            return True
        series = latest.series.get(key) or self._new_series(latest, key, leaf)
        if at_ms < self.late.rolled_ms:
            self.late.mark(series, at_ms)
        number = float(value) if isinstance(value, bool | int | float) else None
        text = None if number is not None and value is not True and value is not False else self._text(value)
        return self._store.append(INSERT, (series, at_ms, number, text))

    def _text(self, value: Any) -> str:
        return self._encode(value).decode()

    def _new_series(self, latest: _Latest, key: str, leaf: bool) -> int:
        series, number = self._next_series, latest.number
        self._next_series += 1
        latest.series[key] = series
        self._store.submit(
            lambda: SeriesRow.insert(id=series, module_number=number, key=key, leaf=leaf).execute()
        )
        return series

    def _of(self, module: Module) -> _Latest:
        return self._latest.setdefault(module.id, _Latest(module.number, {}, {}, {}, {}))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._latest.pop(event.module.id, None)
        self._clock_faults.pop(event.module.id, None)
        for name in (event.module.id, f"{event.module.id} clock"):
            self.set_aside.pop(name, None)

    def keys(self, module_id: str) -> list[str]:
        """Every key that has a history, nested ones as `outer.inner`."""
        known = self._latest.get(module_id)
        return sorted(known.series) if known else []

    def series(self, module_id: str, key: str) -> int | None:
        known = self._latest.get(module_id)
        return known.series.get(key) if known else None


def _within_bounds(values: Values) -> bool:
    try:
        return _count(values, 1) <= MAX_KEYS
    except ValueError:
        return False


def _count(container: Any, depth: int) -> int:
    """How many keys there are at all levels; raises `ValueError` beyond a bound (depth, name, number)."""
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    is_object = isinstance(container, dict)
    # The length first: what is remembered of names must not be for a device to choose.
    if is_object and not all(len(key) <= MAX_NAME and _is_name(key) for key in container):
        raise ValueError("no name")
    count = len(container) if is_object else 0
    for item in container.values() if is_object else container:
        kind = type(item)
        if kind is dict or kind is list:
            count += _count(item, depth + 1)
        elif (kind is float or kind is int) and not -MAX_NUMBER < item < MAX_NUMBER:
            raise ValueError("not a number that can be kept")
    return count


@lru_cache(maxsize=10_000)
def _is_name(key: str) -> bool:
    return NAME.match(key) is not None


def _differs(old: Any, new: Any) -> bool:
    return old != new or isinstance(old, bool) is not isinstance(new, bool)


def _leaves(prefix: str, value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The numbers and booleans within an object, as dotted keys."""
    for key, inner in value.items():
        path = f"{prefix}.{key}"
        if isinstance(inner, dict):
            yield from _leaves(path, inner)
        elif isinstance(inner, bool | int | float):
            yield path, inner


def _load_latest() -> tuple[int, list[tuple[int, str, int, bool, int, Any]]]:
    """The next free series id, and (module number, key, series, leaf, newest time, value) of each series."""
    found = []
    # Readings may have outlived their series; their numbers must not be given to another.
    highest = ReadingRow.select(fn.MAX(ReadingRow.series)).scalar() or 0
    for series in SeriesRow.select():
        highest = max(highest, series.id)
        newest = (
            ReadingRow.select()
            .where(ReadingRow.series == series.id)
            .order_by(ReadingRow.ts_ms.desc())
            .limit(1)
            .first()
        )
        ts_ms, value = (newest.ts_ms, value_of(newest.number, newest.text)) if newest else (0, None)
        found.append((series.module_number, series.key, series.id, series.leaf, ts_ms, value))
    return highest + 1, found


def value_of(number: float | None, text: str | None) -> Any:
    """A reading's value from its two columns."""
    if text is not None:
        return msgspec.json.decode(text)
    return int(number) if number is not None and number.is_integer() else number
