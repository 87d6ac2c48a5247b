"""CSV as RFC 4180 has it, streamed, and harmless when a spreadsheet opens it."""

import csv
import io
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from starlette.responses import StreamingResponse

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Row = Sequence[Any]


def cell(value: Any) -> Any:
    """Numbers as they are, all else as text; text that a spreadsheet would compute gets an apostrophe."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(_FORMULA) else text


def lines(rows: Iterable[Row]) -> str:
    """Rows as lines, each with CR LF at its end."""
    written = io.StringIO()
    csv.writer(written).writerows([cell(value) for value in row] for row in rows)
    return written.getvalue()


def download(name: str, head: Row, pages: AsyncIterator[Iterable[Row]]) -> StreamingResponse:
    """A file that is made while it is sent, so that a long one takes no more memory than a short one."""

    async def parts() -> AsyncIterator[str]:
        yield lines([head])
        async for rows in pages:
            yield lines(rows)

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts(), media_type="text/csv", headers=headers)
