"""What an account may do over MQTT, in plain words made from the grants themselves."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.rights import Action, Path, Principal, Service, ServiceRole, grants
from web.language import gettext as _
from web.language import later

TopicOf = Callable[[Path], str]
# What lies under a path; every grant of a service account has its words here, and a test says so.
_WORDS: dict[Path, str] = {
    ("+", "out", "#"): later("everything modules publish: states, readings, events"),
    ("+", "ask", "+"): later("commands and settings for modules"),
    ("+", "ask", "+", "reply"): later("the answers to commands"),
    ("discovery", "#"): later("the announcements by which Home Assistant finds modules"),
}
# What people may wonder about; it is said only of those who may not.
_DOUBTS: tuple[tuple[Action, Path, str], ...] = (
    ("publish", ("+", "ask", "+"), later("send commands to modules")),
    ("publish", ("+", "up", "#"), later("speak as a module")),
    ("receive", ("+", "down", "#"), later("read what modules are told")),
    ("publish", ("register", "#"), later("register modules")),
)
_ANYTHING = later("everything under this topic")
_READ, _WRITE = later("May read"), later("May send")


@dataclass(frozen=True, slots=True)
class Right:
    """`verb` (may read, may send, may not), what in words, and the topic filter it is over, if it is one."""

    verb: str
    what: str
    topic: str = ""


def rights_of(principal: Principal, topic: TopicOf) -> list[Right]:
    """All that it may, and what it may not that people might think. `topic` names a path."""
    found = [_right(_READ, path, topic) for path in grants(principal, "subscribe")]
    found += [_right(_WRITE, path, topic) for path in grants(principal, "publish")]
    doubts = [words for action, path, words in _DOUBTS if path not in grants(principal, action)]
    return found + [Right(_("May not"), _(words)) for words in doubts]


def rights_of_role(role: ServiceRole, topic: TopicOf) -> list[Right]:
    return rights_of(Service("", role), topic)


def _right(verb: str, path: Path, topic: TopicOf) -> Right:
    return Right(_(verb), _(_WORDS.get(path, _ANYTHING)), example(path, topic))


def example(path: Path, topic: TopicOf) -> str:
    """The topics of a path as people read them: wildcards of one word have names."""
    names = iter(("<module>", "<command>"))
    return topic(tuple(next(names) if word == "+" else word for word in path))
