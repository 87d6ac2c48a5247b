"""The house itself: who may join, the types, figures, settings and the audit trail."""

from collections import Counter
from typing import Any

import msgspec
from pydantic import Field

from gateway.core.errors import Invalid
from gateway.core.rights import may_see
from gateway.core.types import ModuleType
from gateway.core.values import Join
from web.access import Access
from web.api.models import AuditPage, JoinIn, JoinOut, SettingsOut, Stats, TypeIn, TypeOut, TypePage
from web.api.paging import PageQuery, cursor_of, key_of, whole
from web.api.table import Call, Operation
from web.wording import STATUS_WORDS

TAG = "Gateway"
# What may be read; the rest are secrets, or addresses that may hold some.
SHOWN_SETTINGS = {
    "http_host", "http_port", "mqtt_host", "mqtt_port", "public_url", "topic_root", "join", "pending_ttl",
    "pending_max", "rate_limits", "log_format",
}  # fmt: skip


class AuditQuery(PageQuery):
    subject: str = Field("", max_length=64, description="Only what happened to this")


def _join(join: Join) -> dict[str, Any]:
    return {"mode": join.mode, "until": join.until_ms, "type": join.type, "quota_left": join.quota_left}


async def get_join(call: Call) -> Any:
    return _join(call.visit.site.core.joining.join)


async def set_join(call: Call) -> Any:
    core, wanted = call.visit.site.core, call.body
    if wanted.type is not None:
        core.types.get(wanted.type)
    return _join(
        await core.joining.set(
            wanted.mode, call.visit.person, seconds=wanted.seconds, type=wanted.type, quota=wanted.quota
        )
    )


def _type(kind: ModuleType) -> dict[str, Any]:
    declared: dict[str, Any] = msgspec.to_builtins(kind)
    return {
        "code": kind.code, "name": kind.name, "suffix": kind.suffix, "open": kind.open,
        "power": kind.power, "timeout_s": kind.silence_s, "restore": kind.restore,
    } | {part: declared.get(part, {}) for part in ("keys", "commands", "events")}  # fmt: skip


async def types(call: Call) -> Any:
    return whole([_type(kind) for kind in call.visit.site.core.types.all()])


async def add_type(call: Call) -> Any:
    data = call.body.model_dump(exclude_unset=True)
    return _type(await call.visit.site.core.own_types.add(data, call.visit.person))


async def stats(call: Call) -> Any:
    core = call.visit.site.core
    seen = (m for m in core.registry.all() if may_see(call.visit.principal, m.owner_id, m.group))
    counted = Counter(core.status(module) for module in seen)
    return {
        "modules": {status: counted[status] for status in STATUS_WORDS},
        "waiting": core.registry.waiting() if call.visit.manages else counted["pending"],
        "telemetry_received": core.telemetry.received,
        "telemetry_set_aside": core.telemetry.set_aside.total(),
    }


async def settings(call: Call) -> Any:
    return {"settings": call.visit.site.core.settings.model_dump(mode="json", include=SHOWN_SETTINGS)}


async def audit(call: Call) -> Any:
    query = call.query
    before = key_of(query.cursor) if query.cursor else ""
    if before and not (before.isdecimal() and len(before) <= 18):
        raise Invalid("This is no cursor of ours.")
    rows = await call.visit.site.core.audit.rows(
        before=int(before) if before else None, subject=query.subject, limit=query.limit
    )
    items = [{"at": row["at_ms"]} | {k: v for k, v in row.items() if k != "at_ms"} for row in rows]
    more = len(rows) == query.limit
    return {"items": items, "next": cursor_of(str(rows[-1]["number"])) if more else None}


OPERATIONS = [
    Operation("GET", "/join", get_join, Access.PERSON, "Whether newcomers may register", TAG, reply=JoinOut),
    Operation("PUT", "/join", set_join, Access.MANAGE, "Open, close, or open for a while", TAG,
              reply=JoinOut, body=JoinIn),
    Operation("GET", "/types", types, Access.READ, "The module types", TAG, reply=TypePage),
    Operation("POST", "/types", add_type, Access.ADMINISTER, "Declare a type", TAG, reply=TypeOut,
              body=TypeIn, status=201, errors=(409,)),
    Operation("GET", "/stats", stats, Access.READ, "How many of what", TAG, reply=Stats),
    Operation("GET", "/settings", settings, Access.ADMINISTER, "How the gateway was told to behave", TAG,
              reply=SettingsOut),
    Operation("GET", "/audit", audit, Access.ADMINISTER, "Who did what, the newest first", TAG,
              reply=AuditPage, query=AuditQuery),
]  # fmt: skip
