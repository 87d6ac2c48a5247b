"""Which of two versions is the later one, as people write them: 1.10 after 1.9, 2.0-rc1 before 2.0."""

import re

_FORM = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)*)(.*)", re.DOTALL)
_PARTS = re.compile(r"[0-9]+|[A-Za-z]+")
# What stands before a release; every other suffix (`-p1`, `-3-g12ab34c`, `b`) comes after it.
_BEFORE = frozenset({"alpha", "beta", "rc", "pre", "preview", "dev", "snapshot"})

Part = tuple[int, int, str]
Key = tuple[tuple[int, ...], int, tuple[Part, ...]]


def newer_or_equal(version: str, minimum: str) -> bool:
    return _key(version) >= _key(minimum)


def _key(version: str) -> Key:
    """Numbers without zeros at their end, then the suffix; what comes behind a + tells builds apart only."""
    form = _FORM.fullmatch(version.split("+")[0])
    numbers, suffix = form.groups() if form else ("", version)
    found = [int(number) for number in numbers.split(".") if number]
    while found and not found[-1]:
        found.pop()
    parts = _PARTS.findall(suffix)
    return tuple(found), _side(parts), tuple(map(_part, parts))


def _side(parts: list[str]) -> int:
    if not parts:
        return 0
    return -1 if parts[0].lower() in _BEFORE else 1


def _part(text: str) -> Part:
    """Numbers by value and before words."""
    return (0, int(text), "") if text.isdecimal() else (1, 0, text.lower())
