"""Module types: what a kind of device reports, takes and raises. Types are data."""

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from gateway.core.errors import Conflict, Invalid, NotFound

BUILTIN = Path(__file__).with_name("builtin_types.toml")
FIRST_OWN_CODE, LAST_OWN_CODE = 100, 2**31 - 1
MAX_WORDS, MAX_PATTERN = 100, 500
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
MAX_DEPTH = 4
MAX_KEYS = 64
# Silence after which a module counts as offline, by where its power comes from.
SILENCE_S = {"mains": 90.0, "battery": 25 * 3600.0}

Kind = Literal["number", "integer", "boolean", "string", "object", "array", "any"]


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A telemetry key or a parameter: its kind, unit (Homie's list), bounds and how to call it."""

    kind: Kind = "any"
    unit: str = ""
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    required: bool = True
    default: Any = None
    label: str = ""
    device_class: str = ""

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, as the end of a sentence; None when it fits."""
        if not _KINDS[self.kind](value):
            return f"must be {_ARTICLES[self.kind]}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.min is not None and value < self.min:
                return f"must be at least {self.min:g}"
            if self.max is not None and value > self.max:
                return f"must be at most {self.max:g}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            return "does not have the form it must have"
        return None


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, float) and math.isfinite(value)


_KINDS: dict[Kind, Callable[[Any], bool]] = {
    "number": _is_number,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "any": lambda value: True,
}
_ARTICLES = {
    "number": "a finite number",
    "integer": "a whole number",
    "boolean": "true or false",
    "string": "a text",
    "object": "an object",
    "array": "a list",
}


class CommandSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A command (downlink). `keep`: a setting, which does not expire and of which the newest wins."""

    label: str = ""
    keep: bool = False
    params: dict[str, Field] = {}


class EventSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An event (uplink). `reports`: what its object holds of the type's keys is a reading too."""

    label: str = ""
    reports: bool = False
    params: dict[str, Field] = {}


class Keep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """For how many days each level of the history stays; what is not said is as the house has it."""

    raw_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None
    five_minutes_days: Annotated[int, msgspec.Meta(ge=2, le=3660)] | None = None
    hours_days: Annotated[int, msgspec.Meta(ge=1, le=36500)] | None = None


class ModuleType(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`open`: takes any telemetry key and any event. `timeout_s`: silence after which it is offline,
    if that is not what its power (`mains` or `battery`) says. `restore`: groups of settings; of each group
    the first that stands is sent when a module comes back over a dialect that restores.
    """

    code: int
    name: str
    suffix: str = ""
    open: bool = False
    power: Literal["mains", "battery"] = "mains"
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] | None = None
    keys: dict[str, Field] = {}
    commands: dict[str, CommandSpec] = {}
    events: dict[str, EventSpec] = {}
    restore: tuple[tuple[str, ...], ...] = ()
    keep: Keep = Keep()

    @property
    def silence_s(self) -> float:
        return self.timeout_s or SILENCE_S[self.power]

    def check_command(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters to send, defaults filled in; raises `Invalid` with a sentence."""
        spec = self.commands.get(name)
        if spec is None:
            known = ", ".join(sorted(self.commands)) or "none"
            raise Invalid(
                "%(name)s has no command %(name_2)r; it has: %(known)s.",
                name=self.name,
                name_2=name[:64],
                known=known,
            )
        return _checked(spec.params, params, f"command {name!r}")

    def check_event(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """An event's object; raises `Invalid` when the type does not declare it or it does not fit."""
        spec = self.events.get(name)
        if spec is not None:
            return _checked(spec.params, data, f"event {name!r}")
        if self.open and NAME.match(name):
            return dict(data)
        raise Invalid("%(name)s declares no event %(name_2)r.", name=self.name, name_2=name[:64])


def _checked(fields: Mapping[str, Field], given: Mapping[str, Any], what: str) -> dict[str, Any]:
    unknown = [key for key in given if key not in fields]
    if unknown:
        raise Invalid("The %(what)s takes no parameter %(unknown)r.", what=what, unknown=str(unknown[0])[:64])
    checked: dict[str, Any] = {}
    for key, declared in fields.items():
        value = given.get(key, declared.default)
        if value is None:
            if declared.required:
                raise Invalid("The %(what)s needs %(key)r.", what=what, key=key)
        elif fault := declared.fault(value):
            raise Invalid("The %(what)s: %(key)r %(fault)s.", what=what, key=key, fault=fault)
        else:
            checked[key] = value
    return checked


class Types:
    """The known types: the built-in ones and those that admins added."""

    def __init__(self, types: Iterable[ModuleType]) -> None:
        self._types = {known.code: known for known in types}

    def get(self, code: int) -> ModuleType:
        try:
            return self._types[code]
        except KeyError:
            raise NotFound("There is no module type %(code)s.", code=code) from None

    def all(self) -> list[ModuleType]:
        return sorted(self._types.values(), key=lambda known: known.code)

    def of_suffix(self, module_id: str) -> ModuleType | None:
        """The type that an id like `MC-1234-STN` tells by its end."""
        suffix = module_id.rsplit("-", 1)[-1]
        return next((known for known in self.all() if known.suffix and known.suffix == suffix), None)

    def check_free(self, new: ModuleType) -> None:
        """Raises `Invalid` for a declaration that cannot be an admin's, `Conflict` for a taken code."""
        check_own(new)
        if new.code in self._types:
            raise Conflict(
                "Type %(code)s is %(name)r already.", code=new.code, name=self._types[new.code].name
            )

    def add(self, new: ModuleType) -> None:
        """Take an admin's type; raises `Invalid` or `Conflict` as `check_free` does."""
        self.check_free(new)
        self._types[new.code] = new

    def replace(self, new: ModuleType) -> None:
        self._types[new.code] = new

    def remove(self, code: int) -> None:
        del self._types[code]


def check_own(new: ModuleType) -> None:
    """Raises `Invalid` with what a declaration may not say."""
    if not FIRST_OWN_CODE <= new.code <= LAST_OWN_CODE:
        raise Invalid(
            "Codes below %(first_own_code)s are the built-in types'.", first_own_code=FIRST_OWN_CODE
        )
    if not new.name.strip() or len(new.name) > MAX_WORDS or not new.name.isprintable():
        raise Invalid("A type has a name of one line, %(most)s letters at most.", most=MAX_WORDS)
    if len(new.keys) > MAX_KEYS:
        raise Invalid("A type declares %(most)s keys at most.", most=MAX_KEYS)
    fields = [new.keys, *(spec.params for spec in new.commands.values())]
    fields += [spec.params for spec in new.events.values()]
    names = [*new.keys, *new.commands, *new.events, *(name for params in fields[1:] for name in params)]
    if bad := [name for name in names if not NAME.match(name)]:
        raise Invalid("%(bad)r is no name; use letters, digits and _ . : - (64 at most).", bad=bad[0][:64])
    settings = {name for name, command in new.commands.items() if command.keep}
    if lost := {name for group in new.restore for name in group} - settings:
        raise Invalid("%(lost)r is no command with `keep`, so it cannot be restored.", lost=min(lost)[:64])
    for name, field in ((name, field) for params in fields for name, field in params.items()):
        check_field(name, field)


def check_field(name: str, field: Field) -> None:
    """Bounds that leave something between them, a pattern that can be read, a default that fits."""
    if field.min is not None and field.max is not None and field.min > field.max:
        raise Invalid("%(name)r: the lowest value is above the highest.", name=name)
    if field.pattern and not _is_pattern(field.pattern):
        raise Invalid("%(name)r: the pattern cannot be read.", name=name)
    if field.default is not None and (fault := field.fault(field.default)):
        raise Invalid("%(name)r: the default %(fault)s.", name=name, fault=fault)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return len(text) <= MAX_PATTERN


def builtin() -> list[ModuleType]:
    """The types of `builtin_types.toml`."""
    with BUILTIN.open("rb") as file:
        return msgspec.convert(tomllib.load(file)["type"], list[ModuleType])


def declaration(data: Any) -> ModuleType:
    """A type from plain data; raises `Invalid` saying what does not fit."""
    try:
        return msgspec.convert(data, ModuleType)
    except msgspec.ValidationError as error:
        raise Invalid("This is no type declaration: %(error)s.", error=error) from None
