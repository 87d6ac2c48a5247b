"""What an admin may choose, and what the environment decided, as the settings page shows them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from gateway.core.audit_rows import Wanted
from gateway.core.choices import Choice, Value
from gateway.core.core import Core
from gateway.core.errors import Conflict, Invalid
from gateway.settings import CONFIG_FILE, Settings
from web.language import gettext as _

CHANGE = "settings.change"
# So far back in the trail it is looked for who changed what.
LOOKED_AT = 500
PREFIX = "PASSERELLE_"


@dataclass(frozen=True, slots=True)
class ChoiceView:
    choice: Choice
    kind: str
    value: Value
    is_default: bool
    changed_by: str
    changed_ms: int | None

    @property
    def default_words(self) -> str:
        """The default as a person would say it."""
        default = self.choice.default
        if isinstance(default, bool):
            return _("on") if default else _("off")
        if self.choice.options:
            return _(dict(self.choice.options)[str(default)])
        return f"{default} {_(self.choice.unit)}".strip() if self.choice.unit else str(default)


@dataclass(frozen=True, slots=True)
class EnvironmentView:
    """`about` is in English, as in the README."""

    name: str
    about: str
    value: str
    source: str


async def choice_groups(core: Core) -> dict[str, list[ChoiceView]]:
    """Every choice, by its group, with who changed it last."""
    changed = await _last_changes(core)
    groups: dict[str, list[ChoiceView]] = {}
    for choice in core.choices.declared():
        who, at_ms = changed.get(choice.name, ("", None))
        value = core.choices[choice.name]
        view = ChoiceView(choice, _kind(choice), value, value == choice.default, who, at_ms)
        groups.setdefault(choice.group, []).append(view)
    return groups


async def _last_changes(core: Core) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for row in await core.audit.rows(limit=LOOKED_AT, wanted=Wanted(action=CHANGE, subject="settings")):
        for name in row["details"]:
            found.setdefault(name, (row["who"], row["at_ms"]))
    return found


def _kind(choice: Choice) -> str:
    if isinstance(choice.default, bool):
        return "switch"
    if isinstance(choice.default, int):
        return "number"
    return "options" if choice.options else "secret" if choice.secret else "text"


def typed_changes(core: Core, group: str, form: Mapping[str, Any]) -> dict[str, Value]:
    """What the form of a group changes.

    Raises `Invalid` for what is no value, and `Conflict` when somebody else changed one of them since the
    page was made, and this form would undo it.
    """
    changes: dict[str, Value] = {}
    for choice in core.choices.declared():
        if choice.group != group:
            continue
        value = _typed(choice, form.get(choice.name))
        if value is None or value == core.choices[choice.name]:
            continue
        shown = form.get(f"was:{choice.name}")
        now = core.choices[choice.name]
        if shown is not None and not choice.secret and shown != in_form(now):
            if in_form(value) == shown:
                # Left as it was shown: the newer one stays.
                continue
            raise Conflict(
                "%(name)s was changed to %(value)s meanwhile; look at it and save again.",
                name=choice.label, value=now,
            )  # fmt: skip
        changes[choice.name] = value
    return changes


def _typed(choice: Choice, text: object) -> Value | None:
    """None for a secret that was left empty: it stays."""
    if isinstance(choice.default, bool):
        return text == "on"
    words = text.strip() if isinstance(text, str) else ""
    if isinstance(choice.default, int):
        if not words.isascii() or not words.isdecimal() or len(words) > 12:
            raise Invalid(
                "%(name)s is a whole number from %(low)s to %(high)s.",
                name=choice.label, low=choice.low, high=choice.high,
            )  # fmt: skip
        return int(words)
    return None if choice.secret and not words else words


def in_form(value: Value) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def environment(settings: Settings) -> Iterable[EnvironmentView]:
    """Every setting of the environment, with where it comes from; secrets are not shown."""
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        variable = PREFIX + name.upper()
        yield EnvironmentView(variable, str(field.description), _said(value), _source(settings, name))


def _said(value: object) -> str:
    if isinstance(value, SecretStr):
        return _("secret, given") if value.get_secret_value() else _("secret, kept in the data folder")
    if isinstance(value, bool):
        return _("on") if value else _("off")
    return "" if value is None else str(value)


def _source(settings: Settings, name: str) -> str:
    if name not in settings.model_fields_set:
        return _("default")
    given = any(each.upper() == PREFIX + name.upper() for each in os.environ)
    return _("environment") if given else CONFIG_FILE.name
