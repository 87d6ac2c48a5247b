"""Updates in words: sizes, speeds, states, and what comes next."""

from typing import Any

from web import wording

_SIZES = ((1000, 1, "B", 0), (1_000_000, 1000, "kB", 1), (1_000_000_000, 1_000_000, "MB", 2))

# State: how a pill calls it, and the icon beside it.
STATES: dict[str, tuple[str, str]] = {
    "assigned": ("Assigned", "pending"),
    "offered": ("Offered", "send"),
    "downloading": ("Downloading", "download"),
    "downloaded": ("Downloaded", "download"),
    "verified": ("Verified", "key"),
    "installing": ("Installing", "tools"),
    "confirmed": ("Confirmed", "online"),
    "failed": ("Failed", "warning"),
    "rolled_back": ("Rolled back", "back"),
    "cancelled": ("Cancelled", "cancel"),
    "running": ("Running", "send"),
    "paused": ("Paused", "pause"),
    "stopped": ("Stopped", "warning"),
    "reverting": ("Reverting", "back"),
    "reverted": ("Reverted", "back"),
    "done": ("Done", "online"),
    "waiting": ("Waiting", "pending"),
    "skipped": ("Skipped", "offline"),
}
_NEXT = {
    "offered": "The module says that it downloads.",
    "downloading": "The rest of the image; then the module checks its digest.",
    "downloaded": "The module checks digest and signature.",
    "verified": "The module writes the image to its free slot.",
    "installing": "It comes back from its reboot, says the new digest and stays well for {probation}.",
    "confirmed": "Nothing: it came back with the new image and stayed well.",
    "failed": "See to the cause, then try again.",
    "rolled_back": "It runs what it ran before; it gets this image again only when an admin says so.",
    "cancelled": "Nothing: it keeps what it runs.",
}


def size(count: int) -> str:
    """A number of bytes: `812 B`, `24.1 kB`, `1.05 MB`."""
    for limit, unit, name, digits in _SIZES:
        if count < limit:
            return f"{count / unit:.{digits}f} {name}"
    return f"{count / 1_000_000:.0f} MB"


def percent(part: int, whole: int) -> int:
    """Whole percent; 100 only when nothing is left."""
    return part * 100 // whole if whole else 0


def rate(bytes_per_s: float | None) -> str:
    return f"{size(round(bytes_per_s))}/s" if bytes_per_s else ""


def eta(seconds: float | None) -> str:
    return "" if seconds is None else f"{wording.span(max(1, seconds))} left"


def state_word(state: str) -> str:
    return STATES.get(state, (wording.label(state), ""))[0]


def state_icon(state: str) -> str:
    return STATES.get(state, ("", "info"))[1]


def next_step(state: str, *, due: bool, online: bool, probation_s: float) -> str:
    """What the update waits for, as a sentence."""
    if state == "assigned":
        if not due:
            return "It is offered at that time, or when the module is there after it."
        return "The module is offered it now." if online else "The module is offered it when it connects."
    return _NEXT.get(state, "").format(probation=wording.span(probation_s))


def header_facts(header: Any) -> list[tuple[str, str]]:
    """What an image says of itself, with how each fact is called; nothing for what it does not say."""
    flash = size(header.flash_size) if header.flash_size else ""
    rows = [
        ("Kind", {"esp32": "ESP32", "esp8266": "ESP8266", "micropython": "MicroPython bundle"}.get(
            header.kind, "")),
        ("Chip", header.chip), ("Project", header.project), ("Says it is", header.version),
        ("ELF digest", header.elf_digest), ("Flash", flash),
    ]  # fmt: skip
    return [(word, text) for word, text in rows if text]
