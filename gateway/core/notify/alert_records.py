"""Between alerts and their rows; the functions run inside a transaction."""

from typing import Any

import msgspec

from gateway.core.notify.alert_values import Alert, Sentence, Severity
from gateway.storage.models import upsert
from gateway.storage.models_alerts import AlertRow, SeenRow


def insert(alert: Alert) -> None:
    AlertRow.insert(**_columns(alert)).execute()


def close(alert: Alert) -> None:
    """A row that is gone (with its module) stays gone."""
    values = _columns(alert)
    AlertRow.update(**values).where(AlertRow.id == alert.id).execute()


def delete(ids: list[int]) -> None:
    AlertRow.delete().where(AlertRow.id.in_(ids)).execute()


def load() -> tuple[list[Alert], dict[int, int]]:
    """All alerts, the oldest first, and what each person has seen."""
    alerts = [_alert(row) for row in AlertRow.select().order_by(AlertRow.id)]
    return alerts, {row.user_id: row.alert_id for row in SeenRow.select()}


def keep_seen(user_id: int, alert_id: int) -> None:
    upsert(SeenRow, [{"user_id": user_id, "alert_id": alert_id}])


def _columns(alert: Alert) -> dict[str, Any]:
    plain = ("id", "kind", "subject", "module_number", "severity", "opened_at_ms", "closed_at_ms")
    return {name: getattr(alert, name) for name in plain} | {
        "text": _text(alert.text),
        "closing": _text(alert.closing) if alert.closing else "",
        "members": _text(alert.members),
    }


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _alert(row: AlertRow) -> Alert:
    return Alert(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        module_number=row.module_number,
        severity=msgspec.convert(row.severity, Severity),
        text=msgspec.json.decode(row.text, type=Sentence),
        closing=msgspec.json.decode(row.closing, type=Sentence) if row.closing else None,
        members=msgspec.json.decode(row.members, type=tuple[int, ...]),
        opened_at_ms=row.opened_at_ms,
        closed_at_ms=row.closed_at_ms,
    )
