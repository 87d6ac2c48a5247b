"""Messages that outlive one redirect: what was done, said once, to the session that did it."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "bad", "warn", "info"]
MAX_NOTICES = 500


@dataclass(frozen=True, slots=True)
class Notice:
    """`secret` is something to copy now, because it is not shown again, which is said beside it unless `hint`
    says something better; `link` is where to go on."""

    text: str
    tone: Tone = "good"
    secret: str = ""
    secret_label: str = ""
    hint: str = ""
    link: str = ""
    link_label: str = ""


class Notices:
    """A small shelf in memory; the oldest goes when it is full (`dropped` counts them)."""

    def __init__(self, limit: int = MAX_NOTICES) -> None:
        self._limit = limit
        self._shelf: OrderedDict[str, tuple[int, Notice]] = OrderedDict()
        self.dropped = 0

    def leave(self, session_id: int, notice: Notice) -> str:
        """Keep `notice` for this session; returns the key under which it is picked up."""
        key = secrets.token_urlsafe(9)
        self._shelf[key] = (session_id, notice)
        if len(self._shelf) > self._limit:
            self._shelf.popitem(last=False)
            self.dropped += 1
        return key

    def take(self, session_id: int, key: str) -> Notice | None:
        """The notice, once, and only for the session it was left for."""
        owner, notice = self._shelf.get(key, (None, None))
        if notice is None or owner != session_id:
            return None
        del self._shelf[key]
        return notice
