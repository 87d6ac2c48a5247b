"""What happened to a module as its page shows it: time line, presence, log."""

from dataclasses import dataclass

from gateway.core.device_log import LEVELS, LogLine
from gateway.core.timeline import KINDS, Stay
from gateway.core.values import Module
from web import wording
from web.language import gettext as _
from web.language import later
from web.momentwords import MomentView, MomentWords, kinds
from web.views import module_type
from web.visit import Visit

MOMENTS, LINES, STAYS, ALL_STAYS = 12, 50, 8, 200
MAX_NUMBER = 2**53
_LEVELS = {
    "debug": ("info", later("Debug")),
    "info": ("info", later("Info")),
    "warn": ("warning", later("Warning")),
    "error": ("rejected", later("Error")),
}


@dataclass(frozen=True, slots=True)
class TimelineView:
    """`older` is where the next page begins, `kind` the filter, `first` whether it is the newest page."""

    moments: tuple[MomentView, ...]
    kinds: list[tuple[str, str]]
    kind: str
    older: int | None
    first: bool


async def timeline_view(visit: Visit, module: Module) -> TimelineView:
    core, firmware = visit.site.core, visit.site.firmware
    kind, before = visit.query("kind"), number(visit.query("before"))
    kind = kind if kind in KINDS else ""
    page = await core.timeline.page(module, kind=kind, before=before, limit=MOMENTS + 1)
    words = MomentWords(core, firmware, module_type(core, module.type))
    shown = page[:MOMENTS]
    return TimelineView(
        moments=tuple(map(words.view, shown)),
        kinds=[("", _("Everything")), *kinds()],
        kind=kind,
        older=shown[-1].number if len(page) > MOMENTS else None,
        first=before is None,
    )


@dataclass(frozen=True, slots=True)
class StayView:
    state: str
    word: str
    reason: str
    since_ms: int
    lasted: str


@dataclass(frozen=True, slots=True)
class StaysView:
    rows: tuple[StayView, ...]
    more: bool


async def stays_view(visit: Visit, module: Module) -> StaysView:
    most = ALL_STAYS if visit.query("stays") == "all" else STAYS
    found = await visit.site.core.timeline.stays(module, most + 1 if most == STAYS else most)
    return StaysView(tuple(map(_stay, found[:most])), len(found) > most)


def _stay(stay: Stay) -> StayView:
    lasted = "" if stay.until_ms is None else wording.span((stay.until_ms - stay.since_ms) / 1000)
    word = wording.status_word(stay.state)
    return StayView(stay.state, word, wording.reason(stay.reason), stay.since_ms, lasted)


@dataclass(frozen=True, slots=True)
class LineView:
    at_ms: int
    level: str
    icon: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class LogView:
    lines: tuple[LineView, ...]
    levels: list[tuple[str, str]]
    level: str
    older: int | None
    first: bool


async def log_view(visit: Visit, module: Module) -> LogView:
    level, before = visit.query("level"), number(visit.query("lines"))
    level = level if level in LEVELS else ""
    page = await visit.site.core.device_log.page(module, level=level, before=before, limit=LINES + 1)
    shown = page[:LINES]
    return LogView(
        lines=tuple(map(_line, shown)),
        levels=[("", _("All levels")), ("info", _("Info and worse")), ("warn", _("Warnings and errors")),
                ("error", _("Errors only"))],
        level=level,
        older=shown[-1].number if len(page) > LINES else None,
        first=before is None,
    )  # fmt: skip


def _line(line: LogLine) -> LineView:
    icon, word = _LEVELS[line.level]
    return LineView(line.at_ms, line.level, icon, _(word), line.text)


def number(text: str) -> int | None:
    """A place to go on from; None for what is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
