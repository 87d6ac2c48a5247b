"""Readings back out: as JSON, or streamed as CSV or JSON lines."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.errors import Invalid
from gateway.core.readings.history import DAY_MS, MAX_POINTS, Point
from gateway.core.types import NAME
from web import csvs, wording
from web.access import Access
from web.api.models import Points
from web.api.modules import asked
from web.api.paging import cursor_of, key_of
from web.api.table import Call, Model, Operation

TAG = "Telemetry"
ALL = "*"
_FROM = "UTC ms; a day ago unless told"


class HistoryQuery(Model):
    key: str = Field(min_length=1, max_length=260)
    from_: int | None = Field(None, alias="from", ge=0, le=10**14, description=_FROM)
    to: int | None = Field(None, ge=0, le=10**14)
    step: int | None = Field(None, ge=1, le=10**12, description="Bucket in ms; without it every reading")
    aggregate: Literal["avg", "min", "max", "sum", "count", "last", "all"] = Field(
        "avg", description="Of a bucket's numbers; `all`: an object of the others"
    )
    limit: int = Field(1000, ge=1, le=MAX_POINTS, description="The newest so many")
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before: what is older")


class ExportQuery(Model):
    key: str = Field(
        min_length=1, max_length=4000, description="One key, several with commas between, or `*` for all"
    )
    from_: int | None = Field(None, alias="from", ge=0, le=10**14, description=_FROM)
    to: int | None = Field(None, ge=0, le=10**14)
    step: int | None = Field(None, ge=1000, le=10**12, description="Averages of buckets of so many ms")


async def history(call: Call) -> Any:
    query = call.query
    to_ms = query.to if query.cursor is None else _before(query.cursor)
    page = await call.visit.site.core.history.page(
        asked(call).id, query.key, from_ms=query.from_, to_ms=to_ms, step_ms=query.step,
        aggregate=query.aggregate, limit=query.limit,
    )  # fmt: skip
    return {
        "items": [{"ts": ts_ms, "value": value} for ts_ms, value in page.points],
        "next": None if page.before_ms is None else cursor_of(str(page.before_ms - 1)),
    }


def _before(cursor: str) -> int:
    text = key_of(cursor)
    if not (text.isdecimal() and text.isascii() and len(text) <= 16):
        raise Invalid("This is no cursor of ours.")
    return int(text)


# Exports

Shape = Callable[[str, list[Point]], str]


async def as_csv(call: Call) -> Response:
    """RFC 4180. One key: time and value; several: the key between them."""
    keys = _keys(call)
    if len(keys) == 1 and call.query.key != ALL:
        head, shape = "time,value\r\n", _csv_of_one
    else:
        head, shape = "time,key,value\r\n", _csv_of_many
    return _streamed(call, keys, shape, head, "csv", "text/csv")


async def as_json_lines(call: Call) -> Response:
    return _streamed(call, _keys(call), _json_lines, "", "jsonl", "application/jsonl")


def _keys(call: Call) -> list[str]:
    if call.query.key == ALL:
        return call.visit.site.core.telemetry.keys(asked(call).id)
    return list(dict.fromkeys(call.query.key.split(",")))


def _streamed(call: Call, keys: list[str], shape: Shape, head: str, end: str, media: str) -> Response:
    module, query = asked(call), call.query
    now_ms = clock.now_ms()
    from_ms = now_ms - DAY_MS if query.from_ is None else query.from_
    to_ms = now_ms + DAY_MS if query.to is None else query.to
    parts = _parts(call.visit.site.core, module.id, keys, (from_ms, to_ms, query.step), shape, head)
    which = keys[0] if len(keys) == 1 and NAME.match(keys[0]) else "readings"
    name = f"{module.id}-{which}.{end}".replace(":", "_")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type=media, headers=headers)


async def _parts(
    core: Core, id: str, keys: list[str], span: tuple[int, int, int | None], shape: Shape, head: str
) -> AsyncIterator[str]:
    """Page by page, so that a long history takes no more memory than a short one."""
    if head:
        yield head
    for key in keys:
        async for text in core.history.export(id, key, *span, partial(shape, key)):
            yield text


def _csv_of_one(key: str, points: list[Point]) -> str:
    return csvs.lines((wording.iso(ts_ms), value) for ts_ms, value in points)


def _csv_of_many(key: str, points: list[Point]) -> str:
    return csvs.lines((wording.iso(ts_ms), key, value) for ts_ms, value in points)


def _json_lines(key: str, points: list[Point]) -> str:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return "".join(
        encode({"time": wording.iso(ts_ms), "ts": ts_ms, "key": key, "value": value}) + "\n"
        for ts_ms, value in points
    )


OPERATIONS = [
    Operation("GET", "/modules/{id}/telemetry", history, Access.READ, "One key over time", TAG,
              reply=Points, query=HistoryQuery),
    Operation("GET", "/modules/{id}/telemetry.csv", as_csv, Access.READ, "Readings as CSV", TAG,
              query=ExportQuery, media="text/csv"),
    Operation("GET", "/modules/{id}/telemetry.jsonl", as_json_lines, Access.READ, "Readings as JSON lines",
              TAG, query=ExportQuery, media="application/jsonl"),
]  # fmt: skip
