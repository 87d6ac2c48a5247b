"""Updates in words: sizes, speeds, states, and what comes next."""

from typing import Any

from web import wording
from web.language import gettext as _
from web.language import later

_SIZES = (
    (1000, 1, later("B"), 0), (1_000_000, 1000, later("kB"), 1), (1_000_000_000, 1_000_000, later("MB"), 2),
)  # fmt: skip

# State: how a pill calls it, and the icon beside it.
STATES: dict[str, tuple[str, str]] = {
    "assigned": (later("Assigned"), "pending"),
    "offered": (later("Offered"), "send"),
    "downloading": (later("Downloading"), "download"),
    "downloaded": (later("Downloaded"), "download"),
    "verified": (later("Verified"), "key"),
    "installing": (later("Installing"), "tools"),
    "confirmed": (later("Confirmed"), "online"),
    "failed": (later("Failed"), "warning"),
    "rolled_back": (later("Rolled back"), "back"),
    "cancelled": (later("Cancelled"), "cancel"),
    "running": (later("Running"), "send"),
    "paused": (later("Paused"), "pause"),
    "stopped": (later("Stopped"), "warning"),
    "reverting": (later("Reverting"), "back"),
    "reverted": (later("Reverted"), "back"),
    "done": (later("Done"), "online"),
    "waiting": (later("Waiting"), "pending"),
    "skipped": (later("Skipped"), "offline"),
}
_NEXT = {
    "offered": later("The module says that it downloads."),
    "downloading": later("The rest of the image; then the module checks its digest."),
    "downloaded": later("The module checks digest and signature."),
    "verified": later("The module writes the image to its free slot."),
    "installing": later(
        "It comes back from its reboot, says the new digest and stays well for %(probation)s."
    ),
    "confirmed": later("Nothing: it came back with the new image and stayed well."),
    "failed": later("See to the cause, then try again."),
    "rolled_back": later(
        "It runs what it ran before; it gets this image again only when an admin says so."
    ),
    "cancelled": later("Nothing: it keeps what it runs."),
}  # fmt: skip


def size(count: int) -> str:
    """A number of bytes: `812 B`, `24.1 kB`, `1.05 MB`."""
    for limit, unit, name, digits in _SIZES:
        if count < limit:
            return f"{wording.fixed(count / unit, digits)} {_(name)}"
    return f"{count / 1_000_000:.0f} {_('MB')}"


def part(received: int, whole: int) -> str:
    return _("%(part)s of %(whole)s", part=size(received), whole=size(whole))


def percent(part: int, whole: int) -> int:
    """Whole percent; 100 only when nothing is left."""
    return part * 100 // whole if whole else 0


def rate(bytes_per_s: float | None) -> str:
    return f"{size(round(bytes_per_s))}/s" if bytes_per_s else ""


def eta(seconds: float | None) -> str:
    return "" if seconds is None else _("%(time)s left", time=wording.span(max(1, seconds)))


def state_word(state: str) -> str:
    return _(STATES[state][0]) if state in STATES else wording.label(state)


def state_icon(state: str) -> str:
    return STATES.get(state, ("", "info"))[1]


def next_step(state: str, *, due: bool, online: bool, probation_s: float) -> str:
    """What the update waits for, as a sentence."""
    if state == "assigned":
        if not due:
            return _("It is offered at that time, or when the module is there after it.")
        if online:
            return _("The module is offered it now.")
        return _("The module is offered it when it connects.")
    return _(_NEXT[state], probation=wording.span(probation_s)) if state in _NEXT else ""


def header_facts(header: Any) -> list[tuple[str, str]]:
    """What an image says of itself, with how each fact is called; nothing for what it does not say."""
    flash = size(header.flash_size) if header.flash_size else ""
    rows = [
        (_("Kind"), _kind(header)), (_("Chip"), header.chip), (_("Project"), header.project),
        (_("Says it is"), header.version), (_("ELF digest"), header.elf_digest), (_("Flash"), flash),
    ]  # fmt: skip
    return [(word, text) for word, text in rows if text]


def header_line(header: Any) -> list[str]:
    """The same without digests and sizes."""
    return [text for text in (_kind(header), header.chip, header.project, header.version) if text]


def _kind(header: Any) -> str:
    names = {"esp32": "ESP32", "esp8266": "ESP8266", "micropython": _("MicroPython bundle")}
    return names.get(header.kind, "")
