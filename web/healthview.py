"""The gateway's own health, as admins see it: parts with a state and a sentence, and what was dropped."""

import platform
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from anyio import to_thread

from gateway.core import clock
from gateway.core.certificates import WARN_DAYS, Certificate
from gateway.core.errors import Unavailable
from gateway.storage.models import SettingRow
from web import wording
from web.language import gettext as _
from web.language import later
from web.site import Site

LOW_BYTES = 500_000_000
DAY_MS = 86_400_000
MEMORY = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Part:
    """`state` is `online` (well), `pending` (look at it) or `failed`; `word` says it in a word."""

    name: str
    state: str
    word: str
    said: str


@dataclass(frozen=True, slots=True)
class About:
    version: str
    python: str
    sqlite: str
    system: str
    started_ms: int
    memory: str
    data: str


async def about(site: Site) -> About:
    """What runs, since when, and on what."""
    memory = await to_thread.run_sync(_memory)
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    data = str(await to_thread.run_sync(site.core.settings.data.absolute))
    return About(
        _version(), platform.python_version(), sqlite3.sqlite_version, system, site.started_ms, memory, data
    )


@cache
def _version() -> str:
    return version("passerelle")


def _memory() -> str:
    try:
        lines = MEMORY.read_text().splitlines()
    except OSError:
        return ""
    held = next((line.split()[1] for line in lines if line.startswith("VmRSS:")), "0")
    return sized(int(held) * 1024)


async def health(site: Site) -> list[Part]:
    return [_broker(site), await _database(site), await _disk(site), _audit(site), _certificate(site)]


def _broker(site: Site) -> Part:
    counts = site.roof.mqtt_counts()
    if "connections" not in counts:
        return Part(_("MQTT broker"), "pending", _("not there"), _("This process runs without a broker."))
    said = _(
        "%(connections)s connections, %(sessions)s sessions, %(queued)s messages waiting for their clients",
        connections=counts["connections"],
        sessions=counts["sessions"],
        queued=counts["queued"],
    )
    return Part(_("MQTT broker"), "online", _("well"), said)


async def _database(site: Site) -> Part:
    store, name = site.core.store, _("Database")
    try:
        await store.read(lambda: SettingRow.select().limit(1).count())
    except Unavailable as error:
        return Part(name, "failed", _("does not answer"), str(error.message))
    if not store.healthy:
        return Part(name, "failed", _("takes no writes"), _("Nothing is acknowledged until it does."))
    size = await database_size(site)
    said = _("%(size)s, %(commits)s commits since the start", size=size, commits=store.commits)
    return Part(name, "online", _("well"), said)


async def database_size(site: Site) -> str:
    return sized(await to_thread.run_sync(_size_of, site.core.settings.database_path))


async def _disk(site: Site) -> Part:
    usage = await to_thread.run_sync(shutil.disk_usage, site.core.settings.data)
    said = _("%(free)s of %(total)s free", free=sized(usage.free), total=sized(usage.total))
    low = usage.free < LOW_BYTES
    return Part(_("Disk"), "pending" if low else "online", _("nearly full") if low else _("well"), said)


def _audit(site: Site) -> Part:
    waiting = site.core.audit.lines_waiting
    if site.core.audit.fault:
        return Part(_("Audit trail"), "failed", _("not whole"), _("Somebody changed it from outside."))
    said = "" if waiting is None else _("%(count)s rows wait for their receiver", count=waiting)
    return Part(_("Audit trail"), "online", _("well"), said)


def _certificate(site: Site) -> Part:
    certificates, name = site.roof.certificates, _("Encryption")
    if (current := certificates.current) is None:
        said = _("Passwords and tokens cross the network readable. PASSERELLE_TLS=own changes that.")
        return Part(name, "pending", _("off"), said)
    days = days_left(current)
    if certificates.problem:
        return Part(name, "pending", _("old certificate"), certificates.problem)
    soon = days <= WARN_DAYS and not current.own
    said = _("The certificate ends in %(days)s days", days=days)
    return Part(name, "pending" if soon else "online", _("ends soon") if soon else _("on"), said)


def days_left(certificate: Certificate) -> int:
    return max(0, (certificate.ends_at_ms - clock.now_ms()) // DAY_MS)


def certificate_view(site: Site) -> Certificate | None:
    return site.roof.certificates.current


# What each figure of the link that counts losses is called; zero is good news.
_LOSSES = {
    "dropped_full": later("MQTT messages dropped: a client's queue was full"),
    "dropped_expired": later("MQTT messages dropped: they had expired"),
    "dropped_rights": later("MQTT messages dropped: the right to them had ended"),
    "set_aside": later("Messages of modules set aside: they could not be read"),
    "malformed": later("MQTT connections ended: no MQTT"),
    "too_slow": later("MQTT connections ended: too slow"),
    "connections_refused": later("MQTT connections refused: too many"),
    "throttled": later("Messages held back: too many at once"),
    "errors": later("Errors within the broker"),
}


def drops(site: Site) -> list[tuple[str, int]]:
    """Every queue's losses since the start, by what they are."""
    core, counts = site.core, site.roof.mqtt_counts()
    own: list[tuple[str, Callable[[], int]]] = [
        (_("Rows the database could not take"), lambda: core.store.dropped),
        (_("Readings that did not fit their type"), core.telemetry.set_aside.total),
        (_("Listeners within the gateway that failed"), lambda: core.hub.failures),
        (_("Downloads of images refused: no place"), lambda: site.downloads.refused),
        (_("Messages of pages nobody picked up"), lambda: site.notices.dropped),
    ]
    link = [(_(words), counts[name]) for name, words in _LOSSES.items() if name in counts]
    return [*((words, count()) for words, count in own), *link]


def sized(size: int) -> str:
    """Bytes as people say them."""
    for unit, bytes_in in ((_("GB"), 10**9), (_("MB"), 10**6), (_("kB"), 10**3)):
        if size >= bytes_in:
            return f"{wording.fixed(size / bytes_in, 1)} {unit}"
    return f"{size} {_('B')}"


def _size_of(path: Path) -> int:
    """Of the database and what lies beside it until the next checkpoint."""
    parts = (path, path.with_name(path.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
