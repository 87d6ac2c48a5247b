"""Alerts and channels as pages show them."""

from dataclasses import dataclass
from urllib.parse import quote

from gateway.core.core import Core
from gateway.core.notify.alert_values import Alert
from gateway.core.notify.channel_values import Channel
from web.alertwords import SEVERITY_ICONS, kind_word, severity_word
from web.language import told


@dataclass(frozen=True, slots=True)
class AlertView:
    """`status` colours its pill; `fresh`: whoever looks has not seen it before; `link` is where to go on."""

    id: int
    kind: str
    severity: str
    status: str
    icon: str
    text: str
    closing: str
    opened_at_ms: int
    closed_at_ms: int | None
    link: str
    link_label: str
    fresh: bool


_STATUSES = {"urgent": "failed", "warning": "pending", "info": "sent"}
_PLACES = {"waiting": "/waiting", "many": "/modules", "disk": "/admin", "database": "/admin"}


def alert_view(core: Core, alert: Alert, seen: int = 0) -> AlertView:
    link, label = _link(core, alert)
    return AlertView(
        id=alert.id,
        kind=kind_word(alert.kind),
        severity=severity_word(alert.severity),
        status=_STATUSES[alert.severity],
        icon=SEVERITY_ICONS[alert.severity],
        text=str(told(alert.text.said)),
        closing=str(told(alert.closing.said)) if alert.closing else "",
        opened_at_ms=alert.opened_at_ms,
        closed_at_ms=alert.closed_at_ms,
        link=link,
        link_label=label,
        fresh=alert.id > seen,
    )


def _link(core: Core, alert: Alert) -> tuple[str, str]:
    if alert.kind == "rollout":
        return f"/rollouts/{quote(alert.subject, safe='')}", alert.subject
    module = core.registry.numbered(alert.module_number) if alert.module_number is not None else None
    if module is not None and module.life == "approved":
        return f"/modules/{quote(module.id, safe='')}", module.id
    place = _PLACES.get(alert.kind, "")
    return place, kind_word(alert.kind)


@dataclass(frozen=True, slots=True)
class ChannelView:
    """`state`: `online` (the newest attempt went well), `failed`, `offline` (turned off) or `unknown`."""

    channel: Channel
    state: str
    waiting: int


def channel_view(core: Core, channel: Channel) -> ChannelView:
    state = "failed" if channel.fault else "online" if channel.succeeded_at_ms else "unknown"
    if not channel.plan.active:
        state = "offline"
    return ChannelView(channel, state, len(core.alerting.post.deliveries.of(channel.id)))
