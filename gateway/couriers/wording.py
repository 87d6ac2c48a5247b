"""A message for people: a title and lines, in the language of its channel."""

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.core.notify.channel_values import Channel, Item, News
from web.alertwords import item_text, item_title
from web.language import gettext as _
from web.language import ngettext, speaking

MAX_LINE = 1000


@dataclass(frozen=True, slots=True)
class Message:
    title: str
    lines: tuple[str, ...]
    urgent: bool = False
    warns: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def worded(channel: Channel, news: News) -> Message:
    with speaking(channel.plan.language):
        if news.what == "test":
            return Message(_("Passerelle: a test"), (_("Alerts of the gateway arrive here."),))
        if news.what == "digest":
            return _digest(news)
        item = news.items[0]
        rank = item.severity if item.what == "opened" else "info"
        return Message(item_title(item), (_line(item_text(item)),), rank == "urgent", rank == "warning")


def _digest(news: News) -> Message:
    count = len(news.items) + news.left_out
    title = ngettext("%(num)s alert during quiet hours", "%(num)s alerts during quiet hours", count)
    lines = [f"{_at(item)} {_line(item_text(item))}" for item in news.items]
    if news.left_out:
        lines.append(ngettext("And %(num)s more.", "And %(num)s more.", news.left_out))
    return Message(title, tuple(lines), warns=True)


def _at(item: Item) -> str:
    at_ms = item.closed_at_ms if item.what == "closed" and item.closed_at_ms else item.opened_at_ms
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M UTC")


def _line(text: str) -> str:
    """One line, whatever a device has called itself."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:MAX_LINE]
