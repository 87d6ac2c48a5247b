"""The card "Commands sent": each with its whole life."""

from dataclasses import dataclass

from gateway.core.core import Core
from gateway.core.types import ModuleType
from gateway.core.values import Command, Module
from web import wording
from web.commandforms import command_label
from web.language import gettext as _
from web.language import later
from web.recorded import recorded
from web.wording import span

SHOWN = 8
STATUS_WORDS = {
    "queued": later("waiting"),
    "sent": later("sent"),
    "accepted": later("taken up"),
    "done": later("done"),
    "failed": later("failed"),
    "rejected": later("refused"),
    "expired": later("expired"),
    "canceled": later("cancelled"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """`after`: how long after the step before it."""

    word: str
    at_ms: int
    after: str


@dataclass(frozen=True, slots=True)
class CommandView:
    """`repeatable`: its type still has it, so the same can be sent again."""

    id: str
    label: str
    params: str
    status: str
    word: str
    error: str
    result: str
    by: str
    created_at_ms: int
    expires_at_ms: int | None
    cancelable: bool
    repeatable: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Commands:
    """`older` is where the next page begins; empty: there is none."""

    rows: tuple[CommandView, ...]
    older: str
    paged: bool


async def commands_view(core: Core, module: Module, kind: ModuleType, older: str) -> Commands:
    """The newest commands, or those before the one of the id `older`."""
    page = await core.commands.page(module.id, before=older, limit=SHOWN + 1)
    # What is in memory is newer than what is on disk.
    known = {command.id: command for command in core.commands.of(module.id)}
    rows = tuple(command_view(kind, known.get(each.id, each)) for each in page[:SHOWN])
    return Commands(rows, page[SHOWN - 1].id if len(page) > SHOWN else "", bool(older))


def command_view(kind: ModuleType, command: Command) -> CommandView:
    return CommandView(
        id=command.id,
        label=command_label(kind, command.name),
        params=wording.plain(command.params),
        status=command.status,
        word=status_word(command.status),
        error=recorded(command.error or ""),
        result="" if command.result is None else wording.shown(command.result),
        by=command.by,
        created_at_ms=command.created_at_ms,
        expires_at_ms=None if command.ended else command.expires_at_ms,
        cancelable=not command.ended,
        repeatable=command.ended and command.name in kind.commands,
        steps=_steps(command),
    )


def status_word(status: str) -> str:
    return _(STATUS_WORDS[status]) if status in STATUS_WORDS else status


def _steps(command: Command) -> tuple[Step, ...]:
    steps: list[Step] = []
    before_ms = command.created_at_ms
    for status, at_ms in command.history:
        after_ms, before_ms = at_ms - before_ms, at_ms
        steps.append(Step(status_word(status), at_ms, _passed(after_ms) if steps else ""))
    return tuple(steps)


def _passed(passed_ms: int) -> str:
    if passed_ms < 1000:
        return _("%(count)s ms", count=max(0, passed_ms))
    return span(passed_ms / 1000)
