"""What alerts are called on pages and in messages."""

from gateway.core.errors import Said
from gateway.core.notify.channel_values import Item
from web.language import gettext, later, told

KIND_WORDS = {
    "offline": later("Module offline"),
    "many": later("Many modules offline"),
    "unstable": later("Module comes and goes"),
    "clone": later("Two devices with one identity"),
    "waiting": later("Device waits for approval"),
    "update": later("Update failed"),
    "rollout": later("Rollout stopped"),
    "disk": later("Disk nearly full"),
    "database": later("Database cannot write"),
    "certificate": later("Certificate expires"),
    "gateway": later("Gateway was away"),
}
SEVERITY_WORDS = {"urgent": later("Urgent"), "warning": later("Warning"), "info": later("Information")}
SEVERITY_ICONS = {"urgent": "warning", "warning": "warning", "info": "info"}
CHANNEL_WORDS = {"webhook": "Webhook", "email": later("E-mail"), "ntfy": "ntfy"}


def kind_word(kind: str) -> str:
    return gettext(KIND_WORDS.get(kind, kind))


def severity_word(severity: str) -> str:
    return gettext(SEVERITY_WORDS.get(severity, severity))


def item_text(item: Item) -> str:
    """The sentence of an alert in the language that is spoken now."""
    return str(told(Said(item.template, **item.values)))


def item_title(item: Item) -> str:
    word = kind_word(item.kind)
    return gettext("%(kind)s: over", kind=word) if item.what == "closed" else word
