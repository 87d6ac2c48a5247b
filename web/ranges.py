"""Which part of a file a request asks for, and whether it has it already (RFC 9110, one range at most)."""

import re

_RANGE = re.compile(
    r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{0,18})|-\s*(\d{1,18}))\s*\Z", re.IGNORECASE | re.ASCII
)
_TAG = re.compile(r'\s*(?:W/)?("[^"]*")\s*(?:,|\Z)')


class Unsatisfiable(Exception):
    """The range lies wholly behind the end."""


def asked_part(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last; None for all, as for several ranges or nonsense."""
    match = _RANGE.match(header.strip()) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise Unsatisfiable
    return start, end


def still_the_same(if_range: str | None, tag: str) -> bool:
    """Whether a range may be answered; a date is never the same, for only tags are given out."""
    return if_range is None or if_range.strip() == tag


def has_it(if_none_match: str | None, tag: str) -> bool:
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
