"""ntfy: a push to whoever has subscribed to a topic."""

from typing import Any

import msgspec

from gateway.core.notify.channel_values import Channel, News
from gateway.couriers.http import post
from gateway.couriers.wording import worded

# What ntfy calls max, high and default.
URGENT, HIGH, PLAIN = 5, 4, 3
MAX_TEXT = 3500


class Ntfy:
    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, channel: Channel, secret: str, news: News) -> None:
        message, target = worded(channel, news), channel.plan.target
        body: dict[str, Any] = {
            "topic": target.topic,
            "title": message.title,
            "message": message.text.encode()[:MAX_TEXT].decode(errors="ignore"),
            "priority": URGENT if message.urgent else HIGH if message.warns else PLAIN,
            "click": f"{self._url}/notifications",
        }
        headers = {"Content-Type": "application/json", "User-Agent": "Passerelle"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        await post(target.url.rstrip("/"), msgspec.json.encode(body), headers)
