"""What was typed into forms whose session was over: kept until its writer has logged in again.

It is only ever shown, for its writer to send or to leave; nothing is done with it by itself.
"""

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic

from web import csrf

KEPT_S = 3600.0
MOST, MOST_OF_ADDRESS = 200, 10
MAX_BYTES = 64 * 1024
# Never kept, whatever the form: passwords (as every form calls them), tokens, codes of a second factor, and
# the old session's token.
_SECRET = re.compile(r"pass|secret|token|otp|shared_key|\A(current|new|again)\Z", re.IGNORECASE)
# A tick that confirms something is made anew by whoever sends it.
TICKS = frozenset({"confirm", "override"})

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """`path` is where the form goes; `ticks` are the names of its confirmations, `left_out` says that it had
    a field that is never kept."""

    path: str
    fields: Fields
    ticks: tuple[str, ...]
    left_out: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    carried: Carried
    visitor: str
    address: str
    at_s: float


def carried_of(path: str, items: Iterable[tuple[str, object]]) -> Carried | None:
    """What may be kept of a form; None when nothing was typed, or too much."""
    given = [(name, value) for name, value in items if isinstance(value, str) and name != csrf.FIELD]
    fields = tuple((name, value) for name, value in given if not _SECRET.search(name) and name not in TICKS)
    ticks = tuple(dict.fromkeys(name for name, _ in given if name in TICKS))
    size = sum(len(name) + len(value) for name, value in fields)
    if not given or 4 * size > MAX_BYTES:
        return None
    return Carried(path, fields, ticks, any(_SECRET.search(name) for name, _ in given))


class CarriedForms:
    """A small shelf in memory; of one address only a few, so that it cannot push out all others."""

    def __init__(self, monotonic_s: Callable[[], float] = monotonic) -> None:
        self._now_s = monotonic_s
        self._shelf: OrderedDict[str, _Kept] = OrderedDict()
        self.dropped = 0

    def keep(self, carried: Carried, visitor: str, address: str) -> str:
        """Returns the key under which the browser with this visitor cookie gets it back."""
        self._forget_old()
        own = [key for key, kept in self._shelf.items() if kept.address == address]
        if len(own) >= MOST_OF_ADDRESS:
            self._drop(own[0])
        elif len(self._shelf) >= MOST:
            self._drop(next(iter(self._shelf)))
        key = secrets.token_urlsafe(16)
        self._shelf[key] = _Kept(carried, visitor, address, self._now_s())
        return key

    def find(self, key: str, visitor: str) -> Carried | None:
        self._forget_old()
        kept = self._shelf.get(key)
        return kept.carried if kept is not None and visitor and kept.visitor == visitor else None

    def _drop(self, key: str) -> None:
        del self._shelf[key]
        self.dropped += 1

    def _forget_old(self) -> None:
        while self._shelf and self._now_s() - next(iter(self._shelf.values())).at_s > KEPT_S:
            self._shelf.popitem(last=False)
