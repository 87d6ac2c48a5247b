"""Lists of devices as CSV, the way spreadsheets write them: read line by line, with what is wrong of each."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.core.declaring import Declarations, Fault, Means
from gateway.core.errors import Invalid, Said
from gateway.core.rights import Person
from gateway.core.values import Module

COLUMNS = ("serial", "type", "name", "group", "location")
NEEDED = ("serial", "type")
MAX_LINES = 10_000
_DELIMITERS = ",;\t"
_SECRETS: dict[Means, str] = {"token": "token", "key": "shared_key", "window": ""}


class Sheet(msgspec.Struct, frozen=True):
    """The entries, the number of each one's line in the file, and what could not be read at all."""

    entries: list[dict[str, str]]
    lines: list[int]
    faults: list[Fault]


def read(text: str) -> Sheet:
    """From CSV with a line of titles; commas, semicolons and tabs are understood."""
    lines = text.lstrip("\ufeff").splitlines()
    title, delimiter = _titles(lines)
    if problem := _of_titles(title):
        return Sheet([], [], [Fault(1, problem)])
    entries: list[dict[str, str]] = []
    numbers: list[int] = []
    faults: list[Fault] = []
    # What is in quotes may run over several lines nowhere here, so a line is an entry.
    for number, cells in _rows(lines[1:], delimiter):
        if not any(cell.strip() for cell in cells):
            continue
        if len(entries) + len(faults) >= MAX_LINES:
            faults.append(Fault(number, Said("A list has at most %(most)s lines.", most=MAX_LINES)))
            break
        if len(cells) > len(title):
            faults.append(Fault(number, Said("it has %(found)s columns.", found=len(cells))))
            continue
        entries.append({name: cell.strip() for name, cell in zip(title, cells, strict=False)})
        numbers.append(number)
    return Sheet(entries, numbers, faults)


def _titles(lines: Sequence[str]) -> tuple[list[str], str]:
    first = lines[0] if lines else ""
    delimiter = max(_DELIMITERS, key=first.count)
    return [cell.strip().lower() for cell in _cells(first, delimiter)], delimiter


def _of_titles(title: list[str]) -> str:
    missing = [name for name in NEEDED if name not in title]
    if missing:
        return Said(
            "the first line must name the columns, and %(names)s is missing.", names=", ".join(missing)
        )
    unknown = [name for name in title if name not in COLUMNS]
    if unknown:
        known = ", ".join(COLUMNS)
        return Said("%(name)r is no column; they are %(known)s.", name=unknown[0][:40], known=known)
    return Said("a column stands there twice.") if len(set(title)) < len(title) else ""


def _rows(lines: Iterable[str], delimiter: str) -> Iterable[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 2):
        yield number, _cells(line, delimiter)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def faults_of(sheet: Sheet, declarations: Declarations) -> list[Fault]:
    """Everything that is wrong, by the lines of the file."""
    found = [Fault(sheet.lines[f.line - 1], f.message) for f in declarations.faults(sheet.entries)]
    return sorted([*sheet.faults, *found], key=lambda fault: fault.line)


async def enter(
    sheet: Sheet, declarations: Declarations, by: Person, means: Means
) -> list[tuple[Module, str]]:
    """All lines or none; each module with its token or key. Raises Invalid, Conflict."""
    if sheet.faults:
        raise Invalid("Line %(line)s: %(fault)s", line=sheet.faults[0].line, fault=sheet.faults[0].message)
    if not sheet.entries:
        raise Invalid("There is no device in this list.")
    return await declarations.enter(sheet.entries, by, means)


def handout(entered: Iterable[tuple[Module, str]], means: Means) -> str:
    """What each device needs to know, as CSV: to be shown once."""
    lines = [f"id,{_SECRETS[means]}"] if _SECRETS[means] else ["id"]
    lines += [f"{module.id},{secret}" if secret else module.id for module, secret in entered]
    return "\r\n".join(lines) + "\r\n"


def example(types: Sequence[Any]) -> str:
    """Two lines to begin with."""
    code = types[0].code if types else 7
    return f"serial,type,name,group\nMC-0001,{code},First lamp,Attic\nMC-0002,{code},Second lamp,Attic\n"
