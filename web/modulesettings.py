"""The card "Settings": what a module should have beside what it says it has."""

from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.core.core import Core
from gateway.core.errors import Invalid
from gateway.core.shadow import Shadow
from gateway.core.values import Module
from web.language import gettext as _
from web.language import later

_STATES = {
    "in_step": ("online", later("In step")),
    "waiting": ("pending", later("Waiting")),
    "refused": ("warning", later("Refused")),
    "reported": ("info", later("Its own")),
}
MAX_VALUE = 8_000


@dataclass(frozen=True, slots=True)
class Setting:
    """`desired` and `reported` are JSON as people type it; empty when there is none."""

    key: str
    desired: str
    reported: str
    wanted: bool
    version: int
    by: str
    at_ms: int | None
    state: str
    icon: str
    word: str


@dataclass(frozen=True, slots=True)
class Settings:
    """`version` is what a change is made from; `dealt_with` the newest one that the module has seen."""

    rows: tuple[Setting, ...]
    version: int
    dealt_with: int
    reported_at_ms: int | None
    waiting: int
    refused: int


def settings_view(core: Core, module: Module) -> Settings:
    shadow = core.desired.of(module.id)
    keys = [*shadow.desired, *sorted(key for key in shadow.reported if key not in shadow.desired)]
    rows = tuple(_row(shadow, key) for key in keys)
    return Settings(
        rows=rows,
        version=shadow.desired_version,
        dealt_with=shadow.reported_version,
        reported_at_ms=shadow.reported_at_ms,
        waiting=sum(row.state == "waiting" for row in rows),
        refused=sum(row.state == "refused" for row in rows),
    )


def _row(shadow: Shadow, key: str) -> Setting:
    state, mark = shadow.state_of(key), shadow.marks.get(key)
    icon, word = _STATES[state]
    wanted = key in shadow.desired
    return Setting(
        key=key,
        desired=as_typed(shadow.desired[key]) if wanted else "",
        reported=as_typed(shadow.reported[key]) if key in shadow.reported else "",
        wanted=wanted,
        version=shadow.version_of(key),
        by=mark.by if mark and wanted else "",
        at_ms=mark.at_ms if mark and wanted else None,
        state=state,
        icon=icon,
        word=_(word),
    )


def as_typed(value: Any) -> str:
    """A value as it is typed: text as it is unless it would be taken for something else, all else JSON."""
    if isinstance(value, str) and value == value.strip() and _is_itself(value):
        return value
    return msgspec.json.encode(value).decode()


def _is_itself(text: str) -> bool:
    try:
        return bool(value_of(text) == text)
    except Invalid:
        return False


def value_of(text: str) -> Any:
    """What was typed: JSON where it is JSON, else the text itself. Raises `Invalid` for nothing."""
    if not text:
        raise Invalid("Type a value; to desire none, remove the setting.")
    if len(text) > MAX_VALUE:
        raise Invalid("The value is longer than %(max_value)s characters.", max_value=MAX_VALUE)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if text[0] in '{["':
            raise Invalid("This begins like JSON, but it is none: %(text)s", text=text[:60]) from None
        return text
