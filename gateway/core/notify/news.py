"""From alerts to the news that couriers carry."""

import secrets

from gateway.core import clock
from gateway.core.notify.alert_values import Alert, What
from gateway.core.notify.channel_values import Item, News
from gateway.core.notify.deliveries import Delivery

MOST_IN_DIGEST = 200


def item_of(alert: Alert, what: What) -> Item:
    """The alert as it is now; once it is over, in the words of its end."""
    sentence = alert.closing if what == "closed" and alert.closing else alert.text
    return Item(
        alert_id=alert.id, what=what, kind=alert.kind, severity=alert.severity, subject=alert.subject,
        template=sentence.template, values=sentence.values, opened_at_ms=alert.opened_at_ms,
        closed_at_ms=alert.closed_at_ms,
    )  # fmt: skip


def news_of(deliveries: list[Delivery]) -> News:
    """One delivery, or all of one digest."""
    first = deliveries[0]
    if not first.batch:
        return News(key=first.key, what=first.item.what, at_ms=first.created_at_ms, items=(first.item,))
    return News(
        key=first.batch,
        what="digest",
        at_ms=first.created_at_ms,
        items=tuple(one.item for one in deliveries[:MOST_IN_DIGEST]),
        left_out=max(0, len(deliveries) - MOST_IN_DIGEST),
    )


def test_news() -> News:
    return News(key=secrets.token_hex(16), what="test", at_ms=clock.now_ms())
