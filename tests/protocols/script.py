"""Conversations in the documents' own examples: what is said is what they show, and so are the answers."""

import re
from typing import Any

from tests.dialects.mqttsocket import ROOT
from tests.dialects.talker import Talker

from .document import Channel, channels, examples, validator
from .matching import MOVING, Known, fault, learn, own

Keys = tuple[str, ...]
NOTHING: Known = {}
WORDS_OF_ADDRESS = re.compile(r"\{(\w+)\}")


class Script:
    """`known`: what placeholders stand for, `token="x"` for `<token>`. One that is heard first is learnt."""

    def __init__(self, dialect: str, **known: Any) -> None:
        self.dialect = dialect
        self.known: Known = {}
        self.replayed: set[tuple[str, str]] = set()
        self.knows(**known)

    def knows(self, **known: Any) -> None:
        self.known |= {f"<{name.replace('_', '-')}>": value for name, value in known.items()}

    def forget(self, name: str) -> None:
        self.known.pop(f"<{name}>", None)

    def complete(self) -> None:
        """Every example of this dialect was replayed on every channel that carries it."""
        missing = documented(self.dialect) - self.replayed
        assert not missing, f"never replayed: {sorted(missing)}"

    def example(self, name: str, /, **values: Any) -> Any:
        return own(examples()[name], self.known, values)

    def say(
        self, talker: Talker, channel: str, name: str, at: str = "", more: Known = NOTHING, /, **values: Any
    ) -> None:
        """Send the example, with `more` keys; `at` is the address of a channel that has words of its own."""
        event = self._event(channel, name, at)
        said = self.example(name, **values)
        said = said | more if more else said
        if self.dialect == "esp32":
            talker.say(said.pop("type"), said)
        else:
            talker.say(event, said)

    def hear(
        self, talker: Talker, channel: str, name: str, at: str = "", free: Keys = (), /, **values: Any
    ) -> Any:
        """Wait until the channel brings what the example shows; its payload. Keys in `free` may differ."""
        event = self._event(channel, name, at)
        wanted = self.example(name, **values)
        if isinstance(wanted, str):
            return hear_word(talker, event, wanted)
        if self.dialect == "esp32":
            event = wanted["type"]
        free_keys = MOVING.union(free) - values.keys()
        seen: dict[str, str] = {}

        def fits(heard: Any) -> bool:
            seen[str(heard)] = fault(wanted, heard, free_keys)
            return not seen[str(heard)]

        try:
            heard = talker.hear(event, where=fits).data
        except AssertionError as error:
            faults = [f"{what}: {heard}" for heard, what in seen.items()]
            raise AssertionError(f"{event} never was {wanted}; {faults[-3:]}; {error}") from None
        check_schema(name, heard)
        learn(wanted, heard, self.known)
        return heard

    def _event(self, channel: str, name: str, at: str) -> str:
        one = channels()[channel]
        assert one.dialect == self.dialect
        assert name.split(" ")[0] in one.messages, f"{channel} does not carry {name}"
        self.replayed.add((channel, name))
        assert not at or fits_address(one, at), f"{at} is no {one.address}"
        return at or one.address.removeprefix(ROOT)


def hear_word(talker: Talker, event: str, wanted: str) -> str:
    words: list[str] = []
    while wanted not in words:
        words.append(talker.hear(event).data)
    return wanted


def documented(dialect: str) -> set[tuple[str, str]]:
    """Every channel of a dialect with every example of every message that it carries."""
    return {
        (channel.key, name)
        for channel in channels().values()
        for name in examples()
        if channel.dialect == dialect and name.split(" ")[0] in channel.messages
    }


def check_schema(name: str, payload: Any) -> None:
    faults = [error.message for error in validator(name.split(" ")[0]).iter_errors(payload)]
    assert not faults, f"{name}: {faults}: {payload}"


def fits_address(channel: Channel, at: str) -> bool:
    pattern = WORDS_OF_ADDRESS.sub(r"[^/]+", channel.address.removeprefix(ROOT))
    return re.fullmatch(pattern, at) is not None
