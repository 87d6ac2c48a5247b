"""What is on a module's time line, as sentences."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from firmware.house import Firmware
from gateway.core.core import Core
from gateway.core.errors import NotFound
from gateway.core.notify.alert_values import Sentence
from gateway.core.timeline import KINDS, Moment
from gateway.core.types import ModuleType
from web import wording
from web.commandforms import command_label
from web.jobview import image_names
from web.language import gettext as _
from web.language import later, ngettext, told
from web.modulecommands import status_word
from web.recorded import recorded

KIND_WORDS = {
    "access": later("Registration and access"),
    "change": later("Name, place, owner"),
    "presence": later("Presence"),
    "command": later("Commands"),
    "update": later("Firmware"),
    "setting": later("Settings"),
    "event": later("Events"),
    "log": later("Errors in its log"),
    "alert": later("Alerts"),
}
# Kind and word: the icon, and the sentence with what it takes from the details.
_SENTENCES: dict[tuple[str, str], tuple[str, str]] = {
    ("access", "registered"): ("door", later("Asked to join")),
    ("access", "declared"): ("modules", later("Entered before it was heard of")),
    ("access", "approved"): ("online", later("Approved")),
    ("access", "rejected"): ("rejected", later("Rejected")),
    ("access", "pending"): ("pending", later("Waits for approval again")),
    ("access", "re_enrolled"): ("key", later("Let in again with a new token")),
    ("access", "claim_rejected"): ("rejected", later("A device that asked to come back as it was refused")),
    ("access", "rotated"): ("key", later("Got a new token")),
    ("access", "revoked"): ("cancel", later("Access revoked: tokens dead, sessions ended")),
    ("change", "renamed"): ("info", later("Renamed from %(before)s to %(after)s")),
    ("change", "moved"): ("pin", later("Moved from %(before)s to %(after)s")),
    ("change", "grouped"): ("modules", later("Group changed from %(before)s to %(after)s")),
    ("change", "owner"): ("account", later("Owner changed from %(before)s to %(after)s")),
    ("presence", "online"): ("online", later("Online: %(reason)s")),
    ("presence", "offline"): ("offline", later("Offline: %(reason)s")),
    ("presence", "sleeping"): ("sleeping", later("Asleep")),
    ("presence", "unknown"): ("unknown", later("Unknown: %(reason)s")),
    ("command", "sent"): ("send", later("Command %(command)s given")),
    ("update", "runs"): ("tools", later("Runs %(after)s; before, %(before)s")),
    ("update", "assigned"): ("pending", later("%(image)s assigned to it")),
    ("update", "offered"): ("send", later("%(image)s offered to it")),
    ("update", "downloading"): ("download", later("Downloads %(image)s")),
    ("update", "downloaded"): ("download", later("Has all of %(image)s")),
    ("update", "verified"): ("key", later("Checked the signature of %(image)s")),
    ("update", "installing"): ("tools", later("Installs %(image)s")),
    ("update", "confirmed"): ("online", later("Runs %(image)s, proved")),
    ("update", "failed"): ("warning", later("Update to %(image)s failed")),
    ("update", "rolled_back"): ("back", later("Went back from %(image)s")),
    ("update", "cancelled"): ("cancel", later("Update to %(image)s cancelled")),
    ("setting", "desired"): ("tools", later("Settings changed: %(keys)s (version %(version)s)")),
    ("setting", "in_step"): ("online", later("Dealt with version %(version)s of its settings")),
    ("log", "error"): ("warning", later("Logged an error")),
}
_BAD = frozenset({
    ("access", "rejected"), ("access", "revoked"), ("access", "claim_rejected"), ("update", "failed"),
    ("update", "rolled_back"), ("command", "failed"), ("command", "rejected"), ("command", "expired"),
    ("log", "error"), ("alert", "opened"),
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class MomentView:
    """`words` is the sentence, `more` what it rests on; `who` is empty for the module itself."""

    number: int
    at_ms: int
    kind: str
    icon: str
    words: str
    more: str
    who: str
    bad: bool


class MomentWords:
    """The words of one module's moments, with names as they are today."""

    def __init__(self, core: Core, firmware: Firmware, kind: ModuleType) -> None:
        self._core = core
        self._firmware = firmware
        self._kind = kind

    def view(self, moment: Moment) -> MomentView:
        icon, words = self._sentence(moment)
        return MomentView(
            number=moment.number,
            at_ms=moment.at_ms,
            kind=moment.kind,
            icon=icon,
            words=words,
            more=_more(moment),
            who=moment.who,
            bad=(moment.kind, moment.what) in _BAD,
        )

    def _sentence(self, moment: Moment) -> tuple[str, str]:
        if moment.what == "left_out":
            return "info", _left_out(moment)
        if moment.kind == "event":
            return "send", _("Event %(name)s", name=wording.label(moment.what))
        if moment.kind == "alert":
            return "online" if moment.what == "closed" else "warning", _alert(moment)
        if moment.kind == "command" and moment.what != "sent":
            return self._command_ended(moment)
        icon, template = _SENTENCES.get((moment.kind, moment.what), ("info", moment.what.replace("%", "")))
        return icon, _(template, **self._values(moment)) if "%(" in template else _(template)

    def _command_ended(self, moment: Moment) -> tuple[str, str]:
        icon = {"done": "online", "canceled": "cancel", "expired": "pending"}.get(moment.what, "warning")
        label = command_label(self._kind, str(moment.details.get("command", "")))
        return icon, _("Command %(command)s: %(state)s", command=label, state=status_word(moment.what))

    def _values(self, moment: Moment) -> dict[str, object]:
        """What the sentence of this kind takes."""
        makers: dict[str, Callable[[dict[str, Any]], dict[str, object]]] = {
            "change": lambda said: self._before_after(said, owner=moment.what == "owner"),
            "presence": lambda said: {"reason": wording.reason(str(said.get("reason", "")))},
            "command": lambda said: {"command": command_label(self._kind, str(said.get("command", "")))},
            "update": self._update,
            "setting": _setting,
        }
        return makers[moment.kind](moment.details)

    def _before_after(self, said: dict[str, Any], *, owner: bool = False) -> dict[str, object]:
        shown = self._person if owner else _quoted
        return {name: shown(said.get(name)) for name in ("before", "after")}

    def _update(self, said: dict[str, Any]) -> dict[str, object]:
        image_id = said.get("firmware_id")
        image = image_names(self._firmware, image_id)[0] if isinstance(image_id, int) else ""
        return {"image": image} | self._before_after(said)

    def _person(self, id: Any) -> str:
        if not isinstance(id, int):
            return _("nobody")
        try:
            return self._core.accounts.people.get(id).username
        except NotFound:
            return _("user %(number)s", number=id)


def _quoted(text: Any) -> str:
    return f"“{text}”" if text else _("nothing")


def _setting(said: dict[str, Any]) -> dict[str, object]:
    keys = [*said.get("changed", {}), *said.get("removed", ())]
    return {"keys": ", ".join(keys) or _("nothing"), "version": said.get("version", "?")}


def _alert(moment: Moment) -> str:
    text = msgspec.convert(moment.details.get("text") or {"template": ""}, Sentence)
    return str(told(text.said))


def _left_out(moment: Moment) -> str:
    count = moment.details.get("count", 0)
    one, many = "%(num)s more was left out: too fast", "%(num)s more were left out: too fast"
    return ngettext(one, many, count)


def _more(moment: Moment) -> str:
    """What a sentence rests on: reasons, errors, values, as somebody else said them."""
    said = moment.details
    if moment.kind == "event":
        return wording.plain(said.get("data") or {})
    if moment.kind == "setting" and moment.what == "desired":
        gone = {key: _("removed") for key in said.get("removed", ())}
        return ", ".join(f"{key} {value}" for key, value in (said.get("changed", {}) | gone).items())
    if moment.kind in ("change", "presence", "alert") or moment.what == "left_out":
        return ""
    # What it logged is its own word; errors are sentences of ours as often as not.
    return str(said.get("text") or said.get("reason") or recorded(str(said.get("error") or "")))


def kinds() -> list[tuple[str, str]]:
    """All kinds, each by its word, for filters."""
    return [(kind, _(KIND_WORDS[kind])) for kind in KINDS]
