"""Webhooks: JSON, signed, so that its receiver knows that it is us and that it is fresh."""

import hmac
from hashlib import sha256
from typing import Any

import msgspec

from gateway.core import clock
from gateway.core.errors import Said
from gateway.core.notify.channel_values import Channel, Item, News
from gateway.couriers.http import post

SIGNATURE = "X-Passerelle-Signature"


class Webhook:
    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, channel: Channel, secret: str, news: News) -> None:
        body = msgspec.json.encode(self._body(news))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Passerelle",
            "Idempotency-Key": news.key,
            SIGNATURE: signature(secret, body, clock.now_ms() // 1000),
        }
        await post(channel.plan.target.url, body, headers)

    def _body(self, news: News) -> dict[str, Any]:
        return {
            "id": news.key,
            "event": f"alert.{news.what}" if news.what in ("opened", "closed") else news.what,
            "at": news.at_ms,
            "gateway": self._url,
            "alerts": [_shown(item) for item in news.items],
            "left_out": news.left_out,
        }


def signature(secret: str, body: bytes, at_s: int) -> str:
    """`t=...,v1=...`: HMAC-SHA256, in hexadecimal, of the time, a dot and the body."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def _shown(item: Item) -> dict[str, Any]:
    return {
        "id": item.alert_id,
        "state": "open" if item.what == "opened" else "closed",
        "kind": item.kind,
        "severity": item.severity,
        "subject": item.subject,
        "text": str(Said(item.template, **item.values)),
        "opened_at": item.opened_at_ms,
        "closed_at": item.closed_at_ms,
    }
