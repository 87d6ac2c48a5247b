"""What a check of the audit trail found, as a sentence."""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import Said

_SENTENCES = {
    "": "The audit trail is whole: %(rows)s rows.",
    "changed": "The audit trail does not fit at row %(broken_at)s: it was changed, or one before it is gone.",
    "cut": "The audit trail ends too early, or its end was replaced: row %(anchored)s is not the one it was.",
    "anchor_missing": "The file audit.anchor is gone; whether the end of the trail was cut off is not known.",
    "anchor_forged": "The file audit.anchor was not signed with this gateway's key.",
}


def said_of(verdict: Mapping[str, Any]) -> Said:
    """`verdict`: `rows`, `broken_at`, `anchored`, `fault`."""
    return Said(_SENTENCES[verdict["fault"]], **verdict)
