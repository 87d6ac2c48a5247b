"""A type's declaration as a form: rows that come and go, what was typed into them, and back to plain data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from gateway.core.errors import Invalid
from gateway.core.own_types import version_of
from gateway.core.types import CommandSpec, EventSpec, Field, ModuleType

_INDEX = re.compile(r"(key|command|event)\.(\d{1,4})\.(?:param\.(\d{1,4})\.)?name\Z")
_DO = re.compile(r"(add|drop):(key|command|event)(?:\.(\d{1,4}))?(\.param)?(?:\.(\d{1,4}))?\Z")
_TEXTS = ("label", "unit", "pattern", "device_class")
_NUMBERS = ("number", "integer")
_DAYS = ("raw_days", "five_minutes_days", "hours_days")


@dataclass(slots=True)
class FieldDraft:
    """A key or a parameter as it is typed; `choices` with commas between, `default` as JSON."""

    name: str = ""
    label: str = ""
    kind: str = "number"
    unit: str = ""
    min: str = ""
    max: str = ""
    choices: str = ""
    pattern: str = ""
    device_class: str = ""
    default: str = ""
    required: str = "yes"
    is_new: bool = False

    @property
    def more(self) -> bool:
        """Whether something of what is seldom said is said."""
        return bool(self.choices or self.pattern or self.device_class or self.default)


@dataclass(slots=True)
class SpecDraft:
    """A command (`flag`: a setting) or an event (`flag`: reports values)."""

    name: str = ""
    label: str = ""
    flag: str = ""
    params: list[FieldDraft] = field(default_factory=list)
    is_new: bool = False


@dataclass(slots=True)
class Draft:
    code: str = ""
    name: str = ""
    suffix: str = ""
    open: str = ""
    power: str = "mains"
    timeout_s: str = ""
    restore: str = ""
    raw_days: str = ""
    five_minutes_days: str = ""
    hours_days: str = ""
    version: str = ""
    keys: list[FieldDraft] = field(default_factory=list)
    commands: list[SpecDraft] = field(default_factory=list)
    events: list[SpecDraft] = field(default_factory=list)

    def rows(self, part: str) -> list[Any]:
        rows: dict[str, list[Any]] = {"key": self.keys, "command": self.commands, "event": self.events}
        return rows[part]


_PLAIN = [each.name for each in fields(Draft) if each.name not in ("keys", "commands", "events")]
_OF_FIELD = [each.name for each in fields(FieldDraft) if each.name != "is_new"]


def draft_of(kind: ModuleType) -> Draft:
    """A declaration, ready to be changed."""
    draft = Draft(
        code=str(kind.code), name=kind.name, suffix=kind.suffix, open="yes" if kind.open else "",
        power=kind.power, timeout_s=_number(kind.timeout_s), version=version_of(kind),
        restore="; ".join(", ".join(group) for group in kind.restore),
        keys=[_field_draft(name, declared) for name, declared in kind.keys.items()],
        commands=[_spec_draft(name, spec, spec.keep) for name, spec in kind.commands.items()],
        events=[_spec_draft(name, spec, spec.reports) for name, spec in kind.events.items()],
    )  # fmt: skip
    for name in _DAYS:
        setattr(draft, name, _number(getattr(kind.keep, name)))
    return draft


def _spec_draft(name: str, spec: CommandSpec | EventSpec, flag: bool) -> SpecDraft:
    params = [_field_draft(param, declared) for param, declared in spec.params.items()]
    return SpecDraft(name, spec.label, "yes" if flag else "", params)


def _field_draft(name: str, declared: Field) -> FieldDraft:
    return FieldDraft(
        name=name, kind=declared.kind, min=_number(declared.min), max=_number(declared.max),
        choices=", ".join(declared.choices), required="yes" if declared.required else "",
        default="" if declared.default is None else msgspec.json.encode(declared.default).decode(),
        **{text: getattr(declared, text) for text in _TEXTS},
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


# What was typed


def typed_draft(form: Mapping[str, Any]) -> Draft:
    """What stands in the form, right or wrong."""
    draft = Draft()
    for name in _PLAIN:
        setattr(draft, name, _text(form, name))
    # A row comes before its parameters, so that these find it.
    places = sorted(_places(form), key=lambda place: (place[0], int(place[1]), int(place[2] or -1)))
    owners: dict[tuple[str, str], SpecDraft] = {}
    for part, row, param in places:
        if param is not None:
            owner = owners.get((part, row))
            if owner is not None:
                owner.params.append(_typed_field(form, f"{part}.{row}.param.{param}"))
        elif part == "key":
            draft.keys.append(_typed_field(form, f"key.{row}"))
        else:
            spec = SpecDraft()
            for name in ("name", "label", "flag"):
                setattr(spec, name, _text(form, f"{part}.{row}.{name}"))
            owners[part, row] = spec
            draft.rows(part).append(spec)
    return draft


def _places(form: Mapping[str, Any]) -> set[tuple[str, str, str | None]]:
    found = (_INDEX.match(name) for name in form)
    return {(match[1], match[2], match[3]) for match in found if match}


def _typed_field(form: Mapping[str, Any], place: str) -> FieldDraft:
    draft = FieldDraft()
    for name in _OF_FIELD:
        setattr(draft, name, _text(form, f"{place}.{name}"))
    return draft


def _text(form: Mapping[str, Any], name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def change_rows(draft: Draft, do: str) -> None:
    """`add:key`, `drop:command.2`, `add:event.0.param`, `drop:command.1.param.0`; else nothing happens."""
    match = _DO.match(do)
    if match is None:
        return
    verb, part, row, param, at = match.groups()
    rows: list[Any] = draft.rows(part)
    if param:
        if row is None or int(row) >= len(rows) or part == "key":
            return
        rows, row = rows[int(row)].params, at
    if verb == "add":
        fresh = SpecDraft(is_new=True) if part != "key" and not param else FieldDraft(is_new=True)
        rows.append(fresh)
    elif row is not None and int(row) < len(rows):
        del rows[int(row)]


# Back to plain data


def plain_data(draft: Draft) -> dict[str, Any]:
    """The declaration that the draft says; raises `Invalid` for what cannot be one."""
    data: dict[str, Any] = {
        "code": _whole(draft.code, "The code"), "name": draft.name, "suffix": draft.suffix,
        "open": bool(draft.open), "power": draft.power,
        "keys": _named(draft.keys), "commands": _specs(draft.commands, "keep"),
        "events": _specs(draft.events, "reports"),
        "restore": [_words(group) for group in draft.restore.split(";") if group.strip()],
        "keep": {name: _whole(text, "The days") for name in _DAYS if (text := getattr(draft, name))},
    }  # fmt: skip
    if draft.timeout_s:
        data["timeout_s"] = _bound(draft.timeout_s, "The silence")
    return data


def _specs(drafts: list[SpecDraft], flag: str) -> dict[str, Any]:
    _check_names(drafts)
    return {
        draft.name: {"label": draft.label, flag: bool(draft.flag), "params": _named(draft.params)}
        for draft in drafts
        if draft.name
    }


def _named(drafts: list[FieldDraft]) -> dict[str, Any]:
    _check_names(drafts)
    return {draft.name: _field(draft) for draft in drafts if draft.name}


def _check_names(drafts: list[FieldDraft] | list[SpecDraft]) -> None:
    names = [draft.name for draft in drafts if draft.name]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Invalid("%(name)r is there twice.", name=twice[:64])
    if any(draft.label and not draft.name for draft in drafts):
        raise Invalid("Something has a label and no name.")


def _field(draft: FieldDraft) -> dict[str, Any]:
    data: dict[str, Any] = {name: text for name in _TEXTS if (text := getattr(draft, name))}
    data |= {"kind": draft.kind, "required": bool(draft.required), "choices": _words(draft.choices)}
    for name in ("min", "max"):
        if text := getattr(draft, name):
            data[name] = _bound(text, draft.name)
    if draft.default:
        data["default"] = _default(draft)
    return data


def _default(draft: FieldDraft) -> Any:
    try:
        return msgspec.json.decode(draft.default)
    except (msgspec.DecodeError, RecursionError, ValueError):
        if draft.kind in ("string", "any"):
            return draft.default
        raise Invalid("The default of %(name)r cannot be read.", name=draft.name[:64]) from None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _bound(text: str, what: str) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise Invalid("%(what)s: %(text)r is no number.", what=what[:64], text=text[:40]) from None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise Invalid("%(what)s: %(text)r is no whole number.", what=what, text=text[:40])
    return int(text)
