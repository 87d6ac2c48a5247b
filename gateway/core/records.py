"""Between the registry's values and their rows; the functions run inside a transaction."""

import uuid as uuids
from collections.abc import Sequence
from typing import Any

import msgspec
from peewee import fn

from gateway.core.values import Claim, Module
from gateway.storage.models import (
    ClaimRow,
    CommandRow,
    DesiredRow,
    ModuleRow,
    PresenceRow,
    ReadingRow,
    SeriesRow,
    insert_all,
)
from gateway.storage.models_alerts import AlertRow, DeliveryRow
from gateway.storage.models_dialects import ClaimCodeRow, StandingRow
from gateway.storage.models_firmware import JobRow, MemberRow, ProbeRow, StepRow
from gateway.storage.models_history import FiveMinutesRow, HourRow, KeptRow, LateRow
from gateway.storage.models_timeline import DesiredMarksRow, LogRow, MomentRow

_PLAIN = (
    "id", "uuid", "name", "location", "group", "type", "life", "declared", "owner_id", "hardware", "firmware",
    "address", "created_at_ms", "registered_at_ms", "expires_at_ms", "decided_by", "decided_at_ms",
    "decision_reason", "assigned_firmware", "reported_firmware",
)  # fmt: skip
_CLAIM = ("hardware", "firmware", "address", "created_at_ms", "expires_at_ms")
_OWNED = (
    AlertRow, DeliveryRow,
    ClaimRow, ClaimCodeRow, CommandRow, DesiredMarksRow, DesiredRow, JobRow, LogRow, MemberRow, MomentRow,
    PresenceRow, ProbeRow, SeriesRow, StandingRow, StepRow,
)  # fmt: skip


# In the place of a shared key's digest, which it can never be.
LISTED = "let in while a window is open"


class Digests(msgspec.Struct, frozen=True):
    """Of a module's token, of the one that replaces it at its first use, and of its shared key."""

    token: str = ""
    next_token: str = ""
    shared_key: str = ""

    @property
    def listed(self) -> bool:
        """Entered without a secret and not heard of yet: it may come in while a window is open."""
        return self.shared_key == LISTED and not self.token and not self.next_token

    def columns(self) -> dict[str, str]:
        return {
            "token_digest": self.token,
            "next_token_digest": self.next_token,
            "shared_key_digest": self.shared_key,
        }


def new_uuid() -> str:
    return str(uuids.uuid4())


def load_modules() -> list[tuple[Module, Digests]]:
    return [(_module(row), _digests(row)) for row in ModuleRow.select()]


def load_claims() -> list[tuple[Claim, str]]:
    query = ClaimRow.select(ClaimRow, ModuleRow.id).join(
        ModuleRow, on=(ModuleRow.number == ClaimRow.module_number), attr="module"
    )
    return [(_claim(row), row.token_digest) for row in query]


def _module(row: ModuleRow) -> Module:
    values = {name: getattr(row, name) for name in _PLAIN}
    return Module(**values, number=row.number, information=msgspec.json.decode(row.information))


def _digests(row: ModuleRow) -> Digests:
    return Digests(row.token_digest, row.next_token_digest, row.shared_key_digest)


def _claim(row: Any) -> Claim:
    values = {name: getattr(row, name) for name in _CLAIM}
    information = msgspec.json.decode(row.information)
    return Claim(**values, number=row.number, module_id=row.module.id, information=information)


def _module_columns(module: Module) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(module, name) for name in _PLAIN}
    return values | {
        "folded_id": module.id.lower(),
        "information": msgspec.json.encode(module.information).decode(),
    }


def insert_module(module: Module, digests: Digests) -> int:
    """Returns the new number."""
    return int(ModuleRow.insert(**_module_columns(module), **digests.columns()).execute())


def insert_modules(drafts: Sequence[tuple[Module, Digests]]) -> list[int]:
    """Returns the new numbers, in the same order."""
    if len(drafts) == 1:
        return [insert_module(*drafts[0])]
    before = ModuleRow.select(fn.MAX(ModuleRow.number)).scalar() or 0
    insert_all(ModuleRow, [_module_columns(module) | digests.columns() for module, digests in drafts])
    numbers = {row.id: int(row.number) for row in ModuleRow.select().where(ModuleRow.number > before)}
    return [numbers[module.id] for module, _ in drafts]


def update_module(module: Module, digests: Digests) -> None:
    values = _module_columns(module) | digests.columns()
    ModuleRow.update(**values).where(ModuleRow.number == module.number).execute()


def ends_claim_round(before: Module, after: Module) -> bool:
    """Whether a module has got an owner: from then on its claim code is another one."""
    return after.owner_id is not None and after.owner_id != before.owner_id


def end_claim_round(number: int) -> None:
    row = ClaimCodeRow.insert(module_number=number, round=1)
    row.on_conflict(
        conflict_target=[ClaimCodeRow.module_number], update={ClaimCodeRow.round: ClaimCodeRow.round + 1}
    ).execute()


def load_claim_rounds() -> dict[int, int]:
    """How many claim codes of each module (by number) are dead already."""
    return {row.module_number: row.round for row in ClaimCodeRow.select()}


def delete_module(number: int) -> None:
    """The row and everything that belongs to it, its history included."""
    series = SeriesRow.select(SeriesRow.id).where(SeriesRow.module_number == number)
    for history in (ReadingRow, FiveMinutesRow, HourRow, LateRow, KeptRow):
        history.delete().where(history.series.in_(series)).execute()
    for table in _OWNED:
        table.delete().where(table.module_number == number).execute()
    ModuleRow.delete().where(ModuleRow.number == number).execute()


def insert_claim(claim: Claim, module_number: int, token_digest: str) -> int:
    values: dict[str, Any] = {name: getattr(claim, name) for name in _CLAIM}
    information = msgspec.json.encode(claim.information).decode()
    return int(
        ClaimRow.insert(
            **values, information=information, module_number=module_number, token_digest=token_digest
        ).execute()
    )


def update_claim_token(number: int, token_digest: str) -> None:
    ClaimRow.update(token_digest=token_digest).where(ClaimRow.number == number).execute()


def delete_claim(number: int) -> None:
    ClaimRow.delete().where(ClaimRow.number == number).execute()
