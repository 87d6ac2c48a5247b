"""The audit trail as pages and programs read it: which rows, one after another, and what changed in each."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from starlette.responses import Response

from gateway.core.audit import Audit
from gateway.core.audit_rows import Wanted
from web import csvs, wording
from web.language import gettext as _

HEAD = ("number", "time", "level", "who", "role", "action", "subject", "address", "details")
ROWS_AT_ONCE = 200


class Change(msgspec.Struct, frozen=True):
    """One field of a row's details: what it is, and what it was where that was noted."""

    name: str
    after: str
    before: str | None = None


def changes(details: dict[str, Any]) -> list[Change]:
    """What a row says, field by field, with what was before where that is known."""
    before, after = (
        part if isinstance(part, dict) else {} for part in (details.get("before"), details.get("after"))
    )
    plain = {name: value for name, value in details.items() if (name, value) != ("before", before)}
    if after and plain.get("after") == after:
        del plain["after"]
    gone = {name: None for name in before if name not in plain | after}
    found = []
    for name, value in {**plain, **after, **gone}.items():
        if isinstance(value, dict) and value.keys() == {"before", "after"}:
            found.append(Change(name, _text(value["after"]), _text(value["before"])))
        else:
            found.append(Change(name, _text(value), _text(before[name]) if name in before else None))
    return found


def _text(value: Any) -> str:
    if value is None:
        return _("none")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_csv(audit: Audit, wanted: Wanted) -> Response:
    """Every row that is asked for, the oldest first."""
    return csvs.download("audit.csv", HEAD, _pages(audit, wanted))


async def _pages(audit: Audit, wanted: Wanted) -> AsyncIterator[list[csvs.Row]]:
    number = 0
    while rows := await audit.rows_after(number, wanted, ROWS_AT_ONCE):
        yield [
            (row["number"], wording.iso(row["at_ms"]), *(row[name] for name in HEAD[2:])) for row in rows
        ]
        number = rows[-1]["number"]
