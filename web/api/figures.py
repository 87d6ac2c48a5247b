"""The house in numbers, and what a caller may still ask."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from anyio import to_thread
from pydantic import BaseModel, Field

from gateway.core import clock
from gateway.core.rights import Service, may_see
from web import kept
from web.access import Access
from web.api.house import TAG
from web.api.paging import MAX_PAGE
from web.api.table import Call, Operation
from web.body import MAX_BODY
from web.pace import STRANGERS_A_MINUTE
from web.upload import BOUNDS
from web.wording import STATUS_WORDS


class Rates(BaseModel):
    """Of the last ten seconds, each second; zero right after a start."""

    messages: float
    readings: float


class Disk(BaseModel):
    """Bytes of the file system that holds the data."""

    free: int
    total: int


class GatewayFigures(BaseModel):
    """Of the process; counters run since its start."""

    started_at: int
    uptime_s: float
    rates: Rates
    database_bytes: int
    disk: Disk
    telemetry_not_kept: int = Field(description="Readings that the full disk had no room for")
    dropped: dict[str, int] = Field(description="What bounded queues had no room for")
    mqtt: dict[str, int]


class Stats(BaseModel):
    modules: dict[str, int] = Field(description="How many of each status, of those one may see")
    waiting: int
    telemetry_received: int
    telemetry_set_aside: int
    gateway: GatewayFigures | None = Field(description="For those who manage, and for programs; else null")


class CallLimits(BaseModel):
    enabled: bool
    a_minute: int
    at_once: int
    left: int = Field(description="So many at once now")
    retry_after: int = Field(description="Seconds until the next; 0: now")


class Limits(BaseModel):
    calls: CallLimits = Field(description="Of this person or account, over all its programs")
    calls_a_minute_without_login: int = Field(description="Of an address")
    body_bytes: int
    upload_bytes: int
    items_a_page: int
    idempotency_keys: int = Field(description="So many of the newest are kept")
    idempotency_key_hours: int


async def stats(call: Call) -> Any:
    core, visit = call.visit.site.core, call.visit
    seen = (m for m in core.registry.all() if may_see(visit.principal, m.owner_id, m.group))
    counted = Counter(core.status(module) for module in seen)
    whole = visit.manages or isinstance(visit.visitor, Service)
    return {
        "modules": {status: counted[status] for status in STATUS_WORDS},
        "waiting": core.registry.waiting_for(visit.principal) if visit.manages else counted["pending"],
        "telemetry_received": core.telemetry.received,
        "telemetry_set_aside": core.telemetry.set_aside.total(),
        "gateway": await _gateway(call) if whole else None,
    }


async def _gateway(call: Call) -> dict[str, Any]:
    site = call.visit.site
    core, now_ms = site.core, clock.now_ms()
    newest = core.pulse.samples()[-1:]
    return {
        "started_at": site.started_ms,
        "uptime_s": max(0, now_ms - site.started_ms) / 1000,
        "rates": {
            "messages": newest[0].messages if newest else 0.0,
            "readings": newest[0].readings if newest else 0.0,
        },
        "database_bytes": await to_thread.run_sync(_size, core.settings.database),
        "disk": await to_thread.run_sync(_disk, core.settings.data),
        "telemetry_not_kept": core.telemetry.not_kept,
        "dropped": {"writes": core.store.dropped, "notices": site.notices.dropped},
        "mqtt": dict(site.roof.mqtt_counts()),
    }


def _disk(folder: Path) -> dict[str, int]:
    usage = shutil.disk_usage(folder)
    return {"free": usage.free, "total": usage.total}


def _size(url: str) -> int:
    path = url.removeprefix("sqlite:///")
    files = (Path(f"{path}{end}") for end in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


async def limits(call: Call) -> Any:
    return {
        "calls": call.visit.site.pace.told(call.visit.principal),
        "calls_a_minute_without_login": STRANGERS_A_MINUTE,
        "body_bytes": MAX_BODY,
        "upload_bytes": BOUNDS.max_bytes,
        "items_a_page": MAX_PAGE,
        "idempotency_keys": kept.MAX_OF_CALLER,
        "idempotency_key_hours": kept.KEPT_MS // 3_600_000,
    }


OPERATIONS = [
    Operation("GET", "/stats", stats, Access.READ, "How many of what, and how fast", TAG, reply=Stats),
    Operation("GET", "/limits", limits, Access.READ, "What one may ask, and what is left of it now", TAG,
              reply=Limits),
]  # fmt: skip
