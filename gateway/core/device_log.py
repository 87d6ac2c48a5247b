"""What modules log themselves: the newest lines of each, kept over a restart."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import msgspec

from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.events import Event, Hub, ModuleRemoved
from gateway.core.registry import Registry
from gateway.core.values import Module
from gateway.storage.models_timeline import LogRow
from gateway.storage.store import Store

LEVELS = ("debug", "info", "warn", "error")
RING = 500
# The ring may be longer by so many before it is cut.
CUT_EVERY = 50
MAX_TEXT = 500
# Of one module: so many lines at once, and so many a second from then on.
BURST, RATE = 300.0, 20.0
INSERT = "INSERT INTO device_log (module_number, at_ms, level, text) (VALUES)"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    at_ms: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class LogWritten(Event):
    """A module logged this; `text` has no character in it that would not be seen."""

    module_id: str
    level: str
    text: str


class _Flow(msgspec.Struct):
    """How many lines a module may log now, and how many were left out meanwhile."""

    room: float
    at_s: float
    left_out: int = 0


def visible(text: str) -> str:
    """`text` with every character that does something, but shows nothing, made one that can be seen.

    Control characters become their pictures (an escape is U+241B), those that turn the direction of writing
    or show nothing become their number.
    """
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    code = ord(character)
    if code in _PICTURES:
        return _PICTURES[code]
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\u{{{code:x}}}"
    return character


class DeviceLog:
    """Lines are written behind; a flood is cut to a pace, and what was left out is counted and told."""

    def __init__(
        self, store: Store, hub: Hub, registry: Registry, monotonic_s: Callable[[], float] = monotonic
    ) -> None:
        self._store = store
        self._hub = hub
        self._now_s = monotonic_s
        self._flows: dict[int, _Flow] = {}
        self._uncut: Counter[int] = Counter()
        self.left_out = 0
        hub.subscribe(ModuleRemoved, self._module_removed)

    def write(self, module: Module, level: str, payload: bytes) -> None:
        """A line of an approved module. Raises `Invalid` for a level that there is not."""
        if level not in LEVELS:
            raise Invalid("A log line is one of %(levels)s.", levels=", ".join(LEVELS))
        flow = self._flow(module.number)
        if flow.room < 1:
            flow.left_out += 1
            self.left_out += 1
            return
        flow.room -= 1
        if flow.left_out:
            count, flow.left_out = flow.left_out, 0
            self._keep(module, "warn", f"({count} lines were left out: they came too fast.)")
        # So many bytes hold all that is shown, whatever comes after.
        text = payload[: 4 * MAX_TEXT + 4].decode(errors="backslashreplace").strip("\r\n")
        shown = visible(text[: MAX_TEXT + 1])
        text = shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
        self._keep(module, level, text)
        self._hub.publish(LogWritten(module.id, level, text))

    def _flow(self, number: int) -> _Flow:
        now_s = self._now_s()
        flow = self._flows.setdefault(number, _Flow(BURST, now_s))
        flow.room = min(BURST, flow.room + (now_s - flow.at_s) * RATE)
        flow.at_s = now_s
        return flow

    def _keep(self, module: Module, level: str, text: str) -> None:
        if not self._store.append(INSERT, (module.number, clock.now_ms(), level, text)):
            self.left_out += 1
            return
        number = module.number
        # The first line after a start cuts too, as nobody knows how many came before it.
        if number not in self._uncut or self._uncut[number] >= CUT_EVERY:
            self._uncut[number] = 0
            self._store.submit(lambda: cut(number))
        self._uncut[number] += 1

    async def page(
        self, module: Module, *, level: str = "", before: int | None = None, limit: int = 100
    ) -> list[LogLine]:
        """Lines of this level and worse, the newest first; `before` is the number of the last one seen."""
        if level and level not in LEVELS:
            raise Invalid("A log line is one of %(levels)s.", levels=", ".join(LEVELS))
        wanted = LEVELS[LEVELS.index(level) :] if level else ()
        most = max(1, min(limit, RING))
        return await self._store.read(lambda: _page(module.number, wanted, before, most))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self._flows.pop(event.module.number, None)
        self._uncut.pop(event.module.number, None)


def _page(module_number: int, levels: tuple[str, ...], before: int | None, limit: int) -> list[LogLine]:
    query = LogRow.select().where(LogRow.module_number == module_number)
    if levels:
        query = query.where(LogRow.level.in_(levels))
    if before is not None:
        query = query.where(LogRow.number < before)
    rows = query.order_by(LogRow.number.desc()).limit(limit)
    return [LogLine(number=row.number, at_ms=row.at_ms, level=row.level, text=row.text) for row in rows]


def cut(module_number: int) -> None:
    """Leave the newest lines; inside a transaction."""
    own = LogRow.module_number == module_number
    newest = LogRow.select(LogRow.number).where(own).order_by(LogRow.number.desc())
    first_too_many = newest.offset(RING).limit(1).scalar()
    if first_too_many is not None:
        LogRow.delete().where(own & (LogRow.number <= first_too_many)).execute()
