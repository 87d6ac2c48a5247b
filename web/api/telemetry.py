"""Readings back out: as JSON, or streamed as CSV."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import Field
from starlette.responses import Response, StreamingResponse

from gateway.core import clock
from gateway.core.core import Core
from gateway.core.history import DAY_MS, MAX_POINTS
from gateway.core.types import NAME
from web import wording
from web.access import Access
from web.api.models import Points
from web.api.modules import asked
from web.api.table import Call, Model, Operation

TAG = "Telemetry"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ReadingsQuery(Model):
    key: str = Field(min_length=1, max_length=260)
    from_: int | None = Field(
        None, alias="from", ge=0, le=10**14, description="UTC ms; a day ago unless told"
    )
    to: int | None = Field(None, ge=0, le=10**14)


class HistoryQuery(ReadingsQuery):
    step: int | None = Field(None, ge=1, le=10**12, description="Bucket in ms; without it every reading")
    aggregate: Literal["avg", "min", "max", "sum", "count", "last"] = "avg"
    limit: int = Field(1000, ge=1, le=MAX_POINTS, description="The newest so many")


async def history(call: Call) -> Any:
    query = call.query
    points = await call.visit.site.core.history.points(
        asked(call).id, query.key, from_ms=query.from_, to_ms=query.to, step_ms=query.step,
        aggregate=query.aggregate, limit=query.limit,
    )  # fmt: skip
    return {"items": [{"ts": ts_ms, "value": value} for ts_ms, value in points]}


async def export(call: Call) -> Response:
    module, query = asked(call), call.query
    now_ms = clock.now_ms()
    from_ms = now_ms - DAY_MS if query.from_ is None else query.from_
    to_ms = now_ms + DAY_MS if query.to is None else query.to
    rows = _rows(call.visit.site.core, module.id, query.key, from_ms, to_ms)
    name = f"{module.id}-{query.key if NAME.match(query.key) else 'readings'}.csv".replace(":", "_")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(rows, media_type="text/csv", headers=headers)


async def _rows(core: Core, module_id: str, key: str, from_ms: int, to_ms: int) -> AsyncIterator[str]:
    """RFC 4180 lines, page by page, so that a long history takes no more memory than a short one."""
    yield "time,value\r\n"
    while points := await core.history.pages(module_id, key, from_ms, to_ms):
        lines = io.StringIO()
        csv.writer(lines).writerows([wording.iso(ts_ms), _cell(value)] for ts_ms, value in points)
        yield lines.getvalue()
        from_ms = points[-1][0] + 1


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


OPERATIONS = [
    Operation("GET", "/modules/{id}/telemetry", history, Access.READ, "One key over time", TAG,
              reply=Points, query=HistoryQuery),
    Operation("GET", "/modules/{id}/telemetry.csv", export, Access.READ, "Every reading of a key as CSV", TAG,
              query=ReadingsQuery, media="text/csv"),
]  # fmt: skip
