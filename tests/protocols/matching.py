"""What an example shows against what really came: constants are constants, placeholders are learnt."""

import re
from typing import Any

PLACEHOLDER = re.compile(r"<[a-z0-9-]+>\Z")
# These may be others each time; the rest keeps what it stands for.
PASSING = frozenset({"<sentence>", "<time>"})
# Under these keys examples show only the kind of value: times, counters and what the house has numbered.
MOVING = frozenset({
    "timestamp", "ts", "lastSeen", "last_seen", "last_login", "since", "created_at", "registered_at",
    "expires_at", "created_at_ms", "expires_at_ms", "until_ms", "history", "seq", "queue_id", "number",
    "retry_after",
})  # fmt: skip
ABSENT = object()
Known = dict[str, Any]


def own(shown: Any, known: Known, values: Known) -> Any:
    """The example with what is `known`; `values` are put under their keys, at any depth (ABSENT: no key)."""
    if isinstance(shown, dict):
        mine = {key: values.get(key, own(one, known, values)) for key, one in shown.items()}
        return {key: one for key, one in mine.items() if one is not ABSENT}
    if isinstance(shown, list):
        return [own(one, known, values) for one in shown]
    return known.get(shown, shown) if isinstance(shown, str) else shown


def fault(wanted: Any, heard: Any, free: frozenset[str], where: str = "it") -> str:
    """What is not as wanted; empty when nothing. Under keys in `free` anything goes."""
    if isinstance(wanted, dict) and isinstance(heard, dict):
        if wanted.keys() != heard.keys():
            return f"{where} has other keys ({', '.join(sorted(wanted.keys() ^ heard.keys()))})"
        pairs = [(f"{where}.{key}", one, heard[key]) for key, one in wanted.items() if key not in free]
    elif isinstance(wanted, list) and isinstance(heard, list) and len(wanted) == len(heard):
        pairs = [(f"{where}[{n}]", *pair) for n, pair in enumerate(zip(wanted, heard, strict=True))]
    elif isinstance(wanted, str) and PLACEHOLDER.match(wanted):
        return "" if isinstance(heard, str) and heard else f"{where} is no text"
    else:
        return "" if (type(wanted), wanted) == (type(heard), heard) else f"{where} is not {wanted!r}"
    return next((found for at, one, its in pairs if (found := fault(one, its, free, at))), "")


def learn(wanted: Any, heard: Any, known: Known) -> None:
    """Keep what placeholders turned out to stand for."""
    if isinstance(wanted, dict) and isinstance(heard, dict):
        for key, one in wanted.items():
            learn(one, heard.get(key), known)
    elif isinstance(wanted, list) and isinstance(heard, list):
        for one, its in zip(wanted, heard, strict=False):
            learn(one, its, known)
    elif isinstance(wanted, str) and PLACEHOLDER.match(wanted) and wanted not in PASSING:
        known[wanted] = heard
