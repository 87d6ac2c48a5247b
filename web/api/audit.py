"""The audit trail for admins: filtered, page by page, as CSV, and checked."""

from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field
from starlette.responses import Response

from gateway.core.audit_rows import Wanted
from gateway.core.audit_words import said_of
from gateway.core.errors import Invalid
from web.access import Access
from web.api.models import AuditPage
from web.api.paging import MAX_PAGE, cursor_of, key_of
from web.api.table import Call, Model, Nothing, Operation
from web.auditview import as_csv

TAG = "Audit"
MAX_MS = 10**14


class AuditWanted(Model):
    who: str = Field("", max_length=64, description="Only what this person, program or module did")
    action: str = Field("", max_length=64, description="How the action begins: `module.` or `module.edit`")
    subject: str = Field("", max_length=64, description="Only what happened to this")
    level: Literal["", "info", "warning", "error"] = ""
    text: str = Field("", max_length=100, description="Part of any of its words, in any case")
    from_: int | None = Field(None, alias="from", ge=0, le=MAX_MS, description="UTC ms, from then on")
    to: int | None = Field(None, ge=0, le=MAX_MS, description="UTC ms, before then")

    def wanted(self) -> Wanted:
        return Wanted(
            self.who, self.action, self.subject, self.level, self.text, from_ms=self.from_, to_ms=self.to
        )


class AuditQuery(AuditWanted):
    cursor: str | None = Field(None, max_length=400, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=MAX_PAGE, description="Items a page")


class VerdictOut(BaseModel):
    """`fault`: `changed` (or taken out), `cut` (ends too early), or something is wrong with the anchor."""

    whole: bool
    rows: int
    broken_at: int | None = Field(description="The first row that does not fit the one before it")
    anchored: int | None = Field(description="The row up to which the signed anchor vouches for the trail")
    fault: Literal["", "changed", "cut", "anchor_missing", "anchor_forged"]
    said: str


async def find(call: Call) -> Any:
    query: AuditQuery = call.query
    before = key_of(query.cursor) if query.cursor else ""
    if before and not (before.isascii() and before.isdecimal() and len(before) <= 18):
        raise Invalid("This is no cursor of ours.")
    rows = await call.visit.site.core.audit.rows(
        before=int(before) if before else None, wanted=query.wanted(), limit=query.limit + 1
    )
    shown = rows[: query.limit]
    items = [{"at": row["at_ms"]} | {k: v for k, v in row.items() if k != "at_ms"} for row in shown]
    more = len(rows) > query.limit
    return {"items": items, "next": cursor_of(str(shown[-1]["number"])) if more else None}


async def export(call: Call) -> Response:
    return as_csv(call.visit.site.core.audit, call.query.wanted())


async def verify(call: Call) -> Any:
    verdict = await call.visit.site.core.audit.verify()
    found: dict[str, Any] = msgspec.to_builtins(verdict)
    return {"whole": verdict.whole, **found, "said": said_of(found)}


OPERATIONS = [
    Operation("GET", "/audit", find, Access.ADMINISTER, "Who did what, the newest first", TAG,
              reply=AuditPage, query=AuditQuery),
    Operation("GET", "/audit.csv", export, Access.ADMINISTER, "The same as CSV, the oldest first", TAG,
              query=AuditWanted, media="text/csv"),
    Operation("POST", "/audit/verify", verify, Access.ADMINISTER,
              "Check that no row was changed, taken out or cut off", TAG, reply=VerdictOut, body=Nothing),
]  # fmt: skip
