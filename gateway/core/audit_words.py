"""What a check of the audit trail found, as a sentence."""

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import Said


def said_of(verdict: Mapping[str, Any]) -> Said:
    """`verdict`: `rows`, `broken_at`, `anchored`, `fault`."""
    match verdict["fault"]:
        case "changed":
            return Said(
                "The audit trail does not fit at row %(number)s: it was changed, or one before it is gone.",
                number=verdict["broken_at"],
            )
        case "cut":
            return Said(
                "The audit trail ends too early, or its end was replaced: row %(number)s is not what it was.",
                number=verdict["anchored"],
            )
        case "anchor_missing":
            return Said("The file audit.anchor is gone; whether the end of the trail was cut off is unknown.")
        case "anchor_forged":
            return Said("The file audit.anchor was not signed with this gateway's key.")
        case _:
            return Said("The audit trail is whole: %(rows)s rows.", rows=verdict["rows"])
