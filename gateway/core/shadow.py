"""What a module should have against what it says it has, key by key."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.core.errors import Invalid
from gateway.core.types import NAME

MAX_KEYS = 64
MAX_REPORTED = 200
MAX_NAME = 64
MAX_BYTES = 32 * 1024
# Marks outlive the keys they are of, so that whoever changes a key that is gone is told who took it away.
MAX_MARKS = 2 * MAX_KEYS
KeyState = Literal["in_step", "waiting", "refused", "reported"]


class Mark(msgspec.Struct, frozen=True):
    """The last change of one desired key: the version it made, when, and by whom."""

    version: int
    at_ms: int
    by: str
    removed: bool = False


class Shadow(msgspec.Struct, frozen=True):
    """`reported_version` is the newest version that the module says it has dealt with."""

    desired_version: int = 0
    desired: dict[str, Any] = {}
    reported_version: int = 0
    reported: dict[str, Any] = {}
    marks: dict[str, Mark] = {}
    reported_at_ms: int | None = None

    def version_of(self, key: str) -> int:
        """In which version this key was set or removed last."""
        mark = self.marks.get(key)
        return mark.version if mark else 0

    def state_of(self, key: str) -> KeyState:
        """`refused`: the module has dealt with this version and says another value; `reported`: its own."""
        if key not in self.desired:
            return "reported"
        if key in self.reported and _same(self.reported[key], self.desired[key]):
            return "in_step"
        mark = self.marks.get(key)
        version = mark.version if mark else self.desired_version
        return "refused" if self.reported_version >= version else "waiting"

    def marked(self, after: Mapping[str, Any], at_ms: int, by: str) -> dict[str, Mark]:
        """The marks once `after` takes the place of the desired values."""
        version = self.desired_version + 1
        changed, removed = difference(self.desired, after)
        fresh = {key: Mark(version, at_ms, by) for key in changed}
        fresh |= {key: Mark(version, at_ms, by, removed=True) for key in removed}
        kept = {key: mark for key, mark in self.marks.items() if key not in fresh}
        newest = sorted((kept | fresh).items(), key=lambda item: (not item[1].removed, item[1].version))
        return dict(newest[-MAX_MARKS:])


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The keys that `after` sets anew, and those that it takes away."""
    changed = [key for key in after if key not in before or not _same(before[key], after[key])]
    return changed, [key for key in before if key not in after]


def check_desired(values: Mapping[str, Any]) -> None:
    """Raises `Invalid` for what a module cannot be told."""
    if len(values) > MAX_KEYS:
        raise Invalid("At most %(max_keys)s values can be desired of a module.", max_keys=MAX_KEYS)
    for key in values:
        if len(key) > MAX_NAME or NAME.match(key) is None:
            raise Invalid(
                "%(key)r is no name of a setting: letters, digits, dots, dashes, colons and underscores.",
                key=key[:MAX_NAME],
            )
    if len(msgspec.json.encode(values)) > MAX_BYTES:
        raise Invalid("The desired values are more than %(max_bytes)s bytes.", max_bytes=MAX_BYTES)


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: `true` is not 1."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
