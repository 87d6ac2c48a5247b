"""Forms made from a type's declared commands, and what was typed turned into their parameters."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.core.errors import Invalid
from gateway.core.types import CommandSpec, Field, ModuleType
from web import wording
from web.language import gettext as _
from web.visit import Visit

_BOOLEANS = {"true": True, "false": False}
_PLACEHOLDERS = {"object": '{"key": "value"}', "array": "[1, 2, 3]"}


@dataclass(frozen=True, slots=True)
class Input:
    """One parameter; `kind` is an HTML input type, or `choice` or `json`."""

    name: str
    label: str
    kind: str
    unit: str
    required: bool
    value: str = ""
    placeholder: str = ""
    options: tuple[tuple[str, str], ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandForm:
    name: str
    label: str
    fields: tuple[Input, ...]


def command_label(kind: ModuleType, name: str) -> str:
    spec = kind.commands.get(name)
    return _(spec.label) if spec and spec.label else wording.label(name)


def command_forms(kind: ModuleType) -> list[CommandForm]:
    return [
        CommandForm(name, command_label(kind, name), _inputs(spec)) for name, spec in kind.commands.items()
    ]


def _inputs(spec: CommandSpec) -> tuple[Input, ...]:
    return tuple(_input(name, declared) for name, declared in spec.params.items())


def _input(name: str, declared: Field) -> Input:
    kind, options, attributes = _shape(declared)
    default = "" if declared.default is None else _as_typed(declared.default)
    return Input(
        name=name,
        label=wording.label(name, declared),
        kind=kind,
        unit=declared.unit,
        required=declared.required and declared.default is None,
        value=default,
        placeholder=_PLACEHOLDERS.get(declared.kind, _("a JSON value")),
        options=options,
        attributes=attributes,
    )


def _shape(declared: Field) -> tuple[str, tuple[tuple[str, str], ...], dict[str, str]]:
    """The kind of input, its options, and its attributes."""
    if declared.choices:
        return "choice", tuple((choice, choice) for choice in declared.choices), {}
    if declared.kind == "boolean":
        return "choice", (("true", _("yes")), ("false", _("no"))), {}
    if declared.kind in ("number", "integer"):
        bounds = {"min": declared.min, "max": declared.max}
        shown = {name: f"{bound:g}" for name, bound in bounds.items() if bound is not None}
        whole = declared.kind == "integer"
        return "number", (), shown | {"step": "1" if whole else "any"}
    if declared.kind == "string":
        return "text", (), {"maxlength": "2000"}
    return "json", (), {}


def _as_typed(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def typed_params(visit: Visit, kind: ModuleType, name: str) -> dict[str, Any]:
    """The parameters of a command as its form was filled in; a field left empty is left out."""
    spec = kind.commands.get(name)
    if spec is None:
        return {}
    return {
        key: _value(wording.label(key, declared), declared, text)
        for key, declared in spec.params.items()
        if (text := visit.text(key))
    }


def _value(label: str, declared: Field, text: str) -> Any:
    """Typed by the declaration; whether it fits the bounds is for the core to say."""
    try:
        match declared.kind:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return _BOOLEANS[text]
            case "string":
                return text
            case _:
                return msgspec.json.decode(text)
    except (ValueError, KeyError):
        raise Invalid(
            "%(label)s: %(text)r is not what this field takes.", label=label, text=text[:60]
        ) from None
