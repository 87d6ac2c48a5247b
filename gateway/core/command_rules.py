"""When a command ends by itself, and what a newer one replaces."""

from gateway.core.values import Command, CommandStatus

# A command that was taken up, or a setting that got no answer, is given up after this long.
ANSWER_WITHIN_S = 300


def replaces(newer: Command, older: Command) -> bool:
    """The same setting; one that sets several values at once must set all that the older one did."""
    return newer.name == older.name and all(
        not isinstance(value, dict) or value.keys() <= newer.params.get(name, {}).keys()
        for name, value in older.params.items()
    )


def overdue(command: Command, now_ms: int) -> tuple[CommandStatus, str] | None:
    """How and why a command ends now, if it does."""
    last_ms = command.history[-1][1]
    if command.status == "accepted":
        if now_ms - last_ms > ANSWER_WITHIN_S * 1000:
            return "failed", f"It was taken up, but no result came within {ANSWER_WITHIN_S} s."
    elif command.expires_at_ms is not None:
        if now_ms >= command.expires_at_ms:
            delivered = command.status != "queued"
            return "expired", "No answer came in time." if delivered else "It was not delivered in time."
    elif command.status == "sent" and now_ms - last_ms > ANSWER_WITHIN_S * 1000:
        return "failed", f"No answer came within {ANSWER_WITHIN_S} s."
    return None
