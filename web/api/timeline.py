"""What happened to a module: its time line, its log, how it came and went."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.core.device_log import RING
from gateway.core.errors import Invalid
from gateway.core.timeline import MAX_PAGE
from web.access import Access
from web.api.modules import TAG, asked
from web.api.paging import cursor_of, key_of
from web.api.table import Call, Model, Operation
from web.momentwords import MomentWords
from web.views import module_type

MAX_NUMBER = 2**53
Kind = Literal["access", "change", "presence", "command", "update", "setting", "event", "log", "alert"]
Level = Literal["debug", "info", "warn", "error"]


class TimelineQuery(Model):
    kind: Kind | None = Field(None, description="Only moments of this kind")
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Items a page")


class MomentOut(BaseModel):
    """`text` says it in words; `kind`, `what` and `details` are for programs."""

    number: int
    at: int
    kind: Kind
    what: str
    who: str = Field(description="Empty: the module itself, or time")
    text: str
    details: dict[str, Any]


class TimelinePage(BaseModel):
    items: list[MomentOut]
    next: str | None


class LogQuery(Model):
    level: Level | None = Field(None, description="Lines of this level and worse")
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=RING, description="Items a page")


class LogLineOut(BaseModel):
    number: int
    at: int
    level: Level
    text: str = Field(description="Control characters are made visible")


class LogPage(BaseModel):
    items: list[LogLineOut]
    next: str | None


class StaysQuery(Model):
    limit: int = Field(200, ge=1, le=200, description="How many, the newest first")


class StayOut(BaseModel):
    state: str
    reason: str
    since: int
    until: int | None = Field(description="null: it still is")


class StayPage(BaseModel):
    items: list[StayOut]
    next: None


async def timeline(call: Call) -> Any:
    core, module, query = call.visit.site.core, asked(call), call.query
    before = _before(query.cursor)
    page = await core.timeline.page(module, kind=query.kind or "", before=before, limit=query.limit)
    words = MomentWords(core, call.visit.site.firmware, module_type(core, module.type))
    items = [
        {
            "number": moment.number, "at": moment.at_ms, "kind": moment.kind, "what": moment.what,
            "who": moment.who, "text": words.view(moment).words, "details": moment.details,
        }
        for moment in page
    ]  # fmt: skip
    return {"items": items, "next": _next(page, query.limit)}


async def log(call: Call) -> Any:
    module, query = asked(call), call.query
    before = _before(query.cursor)
    page = await call.visit.site.core.device_log.page(
        module, level=query.level or "", before=before, limit=query.limit
    )
    items = [
        {"number": line.number, "at": line.at_ms, "level": line.level, "text": line.text} for line in page
    ]
    return {"items": items, "next": _next(page, query.limit)}


async def stays(call: Call) -> Any:
    found = await call.visit.site.core.timeline.stays(asked(call), call.query.limit)
    items = [
        {"state": stay.state, "reason": stay.reason, "since": stay.since_ms, "until": stay.until_ms}
        for stay in found
    ]
    return {"items": items, "next": None}


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    text = key_of(cursor)
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) > MAX_NUMBER:
        raise Invalid("This is no cursor of ours.")
    return int(text)


def _next(page: Sequence[Any], limit: int) -> str | None:
    """A full page may be the last; then the next one is empty."""
    return cursor_of(str(page[-1].number)) if len(page) == limit else None


OPERATIONS = [
    Operation("GET", "/modules/{id}/timeline", timeline, Access.READ, "What happened, the newest first", TAG,
              reply=TimelinePage, query=TimelineQuery),
    Operation("GET", "/modules/{id}/log", log, Access.READ, "What it logged, the newest first", TAG,
              reply=LogPage, query=LogQuery),
    Operation("GET", "/modules/{id}/sessions", stays, Access.READ, "How it came and went, and why", TAG,
              reply=StayPage, query=StaysQuery),
]  # fmt: skip
