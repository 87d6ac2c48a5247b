"""Somebody on a socket: says events, and keeps what it hears until it is asked for."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

PATIENCE_S = 20.0


class Refused(AssertionError):
    """The server did not let the connection in."""


class Heard(NamedTuple):
    event: str
    args: tuple[Any, ...]
    at: float

    @property
    def data(self) -> Any:
        """The one argument; an event without any has none."""
        assert len(self.args) == 1, self
        return self.args[0]


def anything(_: Any) -> bool:
    return True


class Talker:
    """What all clients here have in common; `log` is everything it ever heard, in order."""

    def __init__(self, name: str = "") -> None:
        self.name = name or type(self).__name__
        self.log: list[Heard] = []
        self.gone_because: str | None = None
        self._inbox: list[Heard] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What each kind of client does in its own way

    def say(self, event: str, *args: Any) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        """Say goodbye."""
        raise NotImplementedError

    def break_off(self) -> None:
        """Vanish as a device does whose power is cut, where the client can; else say goodbye."""
        self.leave()

    def close(self) -> None:
        """Let go of everything; may be called again."""
        raise NotImplementedError

    # What the kinds report

    def note(self, event: str, *args: Any) -> None:
        with self._news:
            heard = Heard(event, args, time.monotonic())
            self.log.append(heard)
            self._inbox.append(heard)
            self._news.notify_all()

    def note_gone(self, reason: Any) -> None:
        with self._news:
            if self.gone_because is None:
                self.gone_because = str(reason)
            self._news.notify_all()

    # What tests ask

    def hear(
        self, *names: str, where: Callable[[Any], bool] = anything, within_s: float = PATIENCE_S
    ) -> Heard:
        """The first unread event of these names that fits; it is read then, the others stay."""
        found: list[Heard] = []

        def there() -> bool:
            found[:] = [item for item in self._inbox if item.event in names and _fits(item, where)][:1]
            return bool(found)

        with self._news:
            assert self._news.wait_for(there, within_s), f"{self}: no {' or '.join(names)}; {self.recent()}"
            self._inbox.remove(found[0])
        return found[0]

    def is_cut_off(self, within_s: float = PATIENCE_S) -> str:
        """Wait until the connection has ended; why, in the client's words."""
        with self._news:
            ended = self._news.wait_for(lambda: self.gone_because is not None, within_s)
        assert ended, f"{self}: still connected after {within_s} s; {self.recent()}"
        return str(self.gone_because)

    def count(self, *names: str, where: Callable[[Any], bool] = anything) -> int:
        """How many of these it ever heard."""
        return sum(item.event in names and _fits(item, where) for item in list(self.log))

    def names(self) -> set[str]:
        return {item.event for item in list(self.log)}

    def forget(self) -> None:
        with self._news:
            self.log.clear()
            self._inbox.clear()

    def recent(self) -> str:
        state = f"gone ({self.gone_because})" if self.gone_because is not None else "connected"
        return f"{state}, heard {[(item.event, *item.args) for item in self.log[-12:]]}"

    def __str__(self) -> str:
        return self.name


def _fits(item: Heard, where: Callable[[Any], bool]) -> bool:
    if where is anything:
        return True
    return len(item.args) == 1 and isinstance(item.args[0], dict | list) and bool(where(item.args[0]))
