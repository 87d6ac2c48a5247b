"""Modules as rows of the long list: no more than a row shows, made quickly."""

from dataclasses import dataclass
from typing import Any

from gateway.core.core import Core
from gateway.core.types import ModuleType
from gateway.core.values import Module
from web import wording
from web.language import gettext as _
from web.listing import owner_names
from web.views import module_type

MAX_READINGS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """`readings`: key, label, text and unit of each; `since_ms` goes with `reason`."""

    id: str
    title: str
    subtitle: str
    status: str
    reason: str
    since_ms: int
    last_seen_ms: int | None
    unstable: bool
    type_name: str
    group: str
    owner: str
    readings: list[tuple[str, str, str, str]]

    @property
    def status_word(self) -> str:
        return wording.status_word(self.status)


class Rows:
    """Makes rows; names that many modules share are looked up once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._owners = owner_names(core)
        self._types: dict[int, ModuleType] = {}
        self._labels: dict[tuple[int, str], str] = {}

    def of(self, module: Module) -> Row:
        presence = self._core.presence.of(module.id)
        approved = module.life == "approved"
        kind = self._types.setdefault(module.type, module_type(self._core, module.type))
        named = (module.id if module.name else "", module.location)
        return Row(
            id=module.id,
            title=module.name or module.id,
            subtitle=" · ".join(part for part in named if part),
            status=presence.state if approved else module.life,
            reason=wording.reason(presence.reason) if approved else module.decision_reason,
            since_ms=presence.since_ms if approved else module.decided_at_ms or module.created_at_ms,
            last_seen_ms=presence.last_seen_ms,
            unstable=presence.unstable and approved,
            type_name=_(kind.name),
            group=module.group,
            owner="" if module.owner_id is None else self._owners.get(module.owner_id, str(module.owner_id)),
            readings=self._readings(kind, self._core.telemetry.latest(module.id)),
        )

    def _readings(self, kind: ModuleType, latest: dict[str, Any]) -> list[tuple[str, str, str, str]]:
        """The first few: declared keys in the order of the declaration, then what else it reports."""
        keys = [key for key in kind.keys if key in latest][:MAX_READINGS]
        if len(keys) < MAX_READINGS:
            others = sorted(key for key in latest if key not in kind.keys)
            keys += others[: MAX_READINGS - len(keys)]
        return [self._reading(kind, key, latest[key]) for key in keys]

    def _reading(self, kind: ModuleType, key: str, value: Any) -> tuple[str, str, str, str]:
        field = kind.keys.get(key)
        label = self._labels.get((kind.code, key))
        if label is None:
            label = self._labels[kind.code, key] = wording.label(key, field)
        return key, label, wording.shown(value), field.unit if field else ""
