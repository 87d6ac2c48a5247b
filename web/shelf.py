"""A small shelf in memory for what a person picks up on the next page: results of what was done to many."""

import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of each of many. `failed`: id, name and why; `back`: where the list was."""

    title: str
    done: list[tuple[str, str]]
    failed: list[tuple[str, str, str]]
    back: str


class Shelf(Generic[T]):
    """The oldest goes when it is full (`dropped` counts them), and each after `kept_s`."""

    def __init__(self, limit: int, kept_s: float) -> None:
        self._limit = limit
        self._kept_s = kept_s
        self._items: OrderedDict[str, tuple[int, float, T]] = OrderedDict()
        self.dropped = 0

    def put(self, session_id: int, item: T) -> str:
        """Keep it for this session; returns the key under which it lies."""
        key = secrets.token_urlsafe(9)
        self._items[key] = (session_id, time.monotonic() + self._kept_s, item)
        if len(self._items) > self._limit:
            self._items.popitem(last=False)
            self.dropped += 1
        return key

    def get(self, session_id: int, key: str) -> T | None:
        """For the session it was put there for, as often as it asks."""
        self._tidy()
        owner, _, item = self._items.get(key, (None, 0.0, None))
        return item if owner == session_id else None

    def take(self, session_id: int, key: str) -> T | None:
        """As `get`, once."""
        item = self.get(session_id, key)
        if item is not None:
            del self._items[key]
        return item

    def _tidy(self) -> None:
        now_s = time.monotonic()
        while self._items and next(iter(self._items.values()))[1] <= now_s:
            self._items.popitem(last=False)
