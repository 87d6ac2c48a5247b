"""Between commands and their rows; the functions run inside a transaction."""

from typing import Any

import msgspec

from gateway.core.values import FINAL_STATUSES, Command
from gateway.storage.models import CommandRow, ModuleRow


def insert_command(module_number: int, command: Command) -> None:
    CommandRow.insert(
        **_changing(command),
        id=command.id,
        module_number=module_number,
        name=command.name,
        params=_text(command.params),
        created_at_ms=command.created_at_ms,
        expires_at_ms=command.expires_at_ms,
        by=command.by,
    ).execute()


def update_command(command: Command) -> None:
    CommandRow.update(**_changing(command)).where(CommandRow.id == command.id).execute()


def load_waiting() -> list[Command]:
    """All that have not ended, oldest first."""
    query = _with_module().where(CommandRow.status.not_in(list(FINAL_STATUSES)))
    return [_command(row, row.module.id) for row in query.order_by(CommandRow.number)]


def load_ended(limit: int) -> list[Command]:
    """The newest that have ended, oldest first."""
    query = _with_module().where(CommandRow.status.in_(list(FINAL_STATUSES)))
    rows = list(query.order_by(CommandRow.number.desc()).limit(limit))
    return [_command(row, row.module.id) for row in reversed(rows)]


def load_page(module_number: int, module_id: str, limit: int, before: str = "") -> list[Command]:
    query = CommandRow.select().where(CommandRow.module_number == module_number)
    if before:
        place = CommandRow.select(CommandRow.number).where(CommandRow.id == before)
        query = query.where(CommandRow.number < place)
    return [_command(row, module_id) for row in query.order_by(CommandRow.number.desc()).limit(limit)]


def load_one(module_number: int, module_id: str, id: str) -> Command | None:
    row = CommandRow.get_or_none((CommandRow.module_number == module_number) & (CommandRow.id == id))
    return None if row is None else _command(row, module_id)


def _with_module() -> Any:
    join = ModuleRow.number == CommandRow.module_number
    return CommandRow.select(CommandRow, ModuleRow.id).join(ModuleRow, on=join, attr="module")


def _changing(command: Command) -> dict[str, Any]:
    return {
        "status": command.status,
        "result": None if command.result is None else _text(command.result),
        "error": command.error,
        "history": _text(command.history),
    }


def _command(row: Any, module_id: str) -> Command:
    return Command(
        id=row.id,
        module_id=module_id,
        name=row.name,
        params=msgspec.json.decode(row.params),
        status=row.status,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        by=row.by,
        result=None if row.result is None else msgspec.json.decode(row.result),
        error=row.error,
        history=tuple((status, at_ms) for status, at_ms in msgspec.json.decode(row.history)),
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
