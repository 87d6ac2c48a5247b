"""Conversations in the documents' own examples: what is said is what they show, and so are the answers."""

import re
from typing import Any

from tests.dialects.talker import Talker

from .document import Channel, channels, examples, validator

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
Object = dict[str, Any]
NOTHING: Object = {}
Keys = tuple[str, ...]
WORDS_OF_ADDRESS = re.compile(r"\{(\w+)\}")


class Script:
    """`known`: what placeholders stand for, `token="x"` for `<token>`. One that is heard first is learnt."""

    def __init__(self, dialect: str, **known: Any) -> None:
        self.dialect = dialect
        self.known: dict[str, Any] = {}
        self.replayed: set[tuple[str, str]] = set()
        self.knows(**known)

    def knows(self, **known: Any) -> None:
        self.known |= {f"<{name.replace('_', '-')}>": value for name, value in known.items()}

    def forget(self, *names: str) -> None:
        for name in names:
            self.known.pop(f"<{name}>", None)

    def complete(self) -> None:
        """Every example of this dialect was replayed on every channel that carries it."""
        missing = documented(self.dialect) - self.replayed
        assert not missing, f"never replayed: {sorted(missing)}"

    # Saying

    def example(self, name: str, /, **values: Any) -> Any:
        """The example in this house's words; `values` are put under their keys, at any depth."""
        return self._own(examples()[name], values)

    def _own(self, shown: Any, values: dict[str, Any]) -> Any:
        if isinstance(shown, dict):
            own = {key: values.get(key, self._own(one, values)) for key, one in shown.items()}
            return {key: one for key, one in own.items() if one is not ABSENT}
        if isinstance(shown, list):
            return [self._own(one, values) for one in shown]
        return self.known.get(shown, shown) if isinstance(shown, str) else shown

    def say(
        self, talker: Talker, channel: str, name: str, at: str = "", more: Object = NOTHING, /, **values: Any
    ) -> None:
        """Send the example, with `more` keys; `at` is the address of a channel that has words of its own."""
        event = self._event(channel, name, at)
        said = self.example(name, **values)
        said = said | more if more else said
        if self.dialect == "esp32":
            talker.say(said.pop("type"), said)
        else:
            talker.say(event, said)

    # Hearing

    def hear(
        self, talker: Talker, channel: str, name: str, at: str = "", free: Keys = (), /, **values: Any
    ) -> Any:
        """Wait until the channel brings what the example shows; its payload.

        Keys in `free` may differ; keys whose value is `ABSENT` are not there.
        """
        event = self._event(channel, name, at)
        wanted = self.example(name, **values)
        if isinstance(wanted, str):
            return self._hear_word(talker, event, wanted)
        if self.dialect == "esp32":
            event = wanted["type"]
        free_keys = MOVING.union(free) - values.keys()
        seen: dict[str, str] = {}

        def fits(heard: Any) -> bool:
            seen[str(heard)] = self._fault(wanted, heard, free_keys, "it")
            return not seen[str(heard)]

        try:
            heard = talker.hear(event, where=fits).data
        except AssertionError as error:
            faults = [f"{fault}: {what}" for what, fault in seen.items()]
            raise AssertionError(f"{event} never was {wanted}; {faults[-3:]}; {error}") from None
        check_schema(name, heard)
        self._learn(wanted, heard)
        return heard

    def _hear_word(self, talker: Talker, event: str, wanted: str) -> str:
        words: list[str] = []
        while wanted not in words:
            words.append(talker.hear(event).data)
        return wanted

    def _event(self, channel: str, name: str, at: str) -> str:
        one = channels()[channel]
        assert one.dialect == self.dialect
        assert name.split(" ")[0] in one.messages, f"{channel} does not carry {name}"
        self.replayed.add((channel, name))
        if not at:
            return one.address.removeprefix("gw/1/")
        assert fits_address(one, at), f"{at} is no {one.address}"
        return at

    def _fault(self, wanted: Any, heard: Any, free: frozenset[str], where: str) -> str:
        """What is not as in the example; empty when nothing."""
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
        return next((fault for at, one, its in pairs if (fault := self._fault(one, its, free, at))), "")

    def _learn(self, wanted: Any, heard: Any) -> None:
        if isinstance(wanted, dict) and isinstance(heard, dict):
            for key, one in wanted.items():
                self._learn(one, heard.get(key))
        elif isinstance(wanted, list) and isinstance(heard, list):
            for one, its in zip(wanted, heard, strict=False):
                self._learn(one, its)
        elif isinstance(wanted, str) and PLACEHOLDER.match(wanted) and wanted not in PASSING:
            self.known[wanted] = heard


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
    pattern = WORDS_OF_ADDRESS.sub(r"[^/]+", channel.address.removeprefix("gw/1/"))
    return re.fullmatch(pattern, at) is not None
