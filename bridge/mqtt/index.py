"""Finding who subscribes to a topic, and which retained topics a filter means, without scanning them all."""

from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar, cast

from paho.mqtt.client import topic_matches_sub
from paho.mqtt.matcher import MQTTMatcher


class HasKey(Protocol):
    @property
    def key(self) -> str: ...


S = TypeVar("S", bound=HasKey)
V = TypeVar("V")


class Subscriptions(Generic[S]):
    """Topic filters and the sessions behind them. `version` changes whenever an answer might."""

    def __init__(self) -> None:
        self._matcher: Any = cast(Any, MQTTMatcher)()
        self._filters: dict[str, dict[str, tuple[S, int]]] = {}
        self.version = 0

    def add(self, topic_filter: str, session: S, qos: int) -> None:
        self.version += 1
        holders = self._filters.get(topic_filter)
        if holders is None:
            holders = self._filters[topic_filter] = {}
            self._matcher[topic_filter] = holders
        holders[session.key] = (session, qos)

    def remove(self, topic_filter: str, session: S) -> None:
        holders = self._filters.get(topic_filter, {})
        if holders.pop(session.key, None) is not None:
            self.version += 1
            if not holders:
                del self._filters[topic_filter]
                del self._matcher[topic_filter]

    def matching(self, topic: str) -> dict[str, tuple[S, int]]:
        """By session key: the session and the highest QoS of its filters that match. A snapshot."""
        found: dict[str, tuple[S, int]] = {}
        for holders in self._matcher.iter_match(topic):
            for key, held in holders.items():
                if key not in found or found[key][1] < held[1]:
                    found[key] = held
        return found

    def __len__(self) -> int:
        return len(self._filters)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether one filter matches one topic."""
    return bool(topic_matches_sub(topic_filter, topic))


class _Node(Generic[V]):
    __slots__ = ("children", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[V]] = {}
        self.value: V | None = None


class RetainedTree(Generic[V]):
    """Values by topic, found by filter; the walk is a loop, so depth costs no stack."""

    def __init__(self) -> None:
        self._root: _Node[V] = _Node()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def get(self, topic: str) -> V | None:
        node: _Node[V] | None = self._root
        for word in topic.split("/"):
            node = node.children.get(word) if node else None
        return node.value if node else None

    def put(self, topic: str, value: V) -> None:
        node = self._root
        for word in topic.split("/"):
            node = node.children.setdefault(word, _Node())
        self._size += node.value is None
        node.value = value

    def remove(self, topic: str) -> bool:
        """Whether it was there."""
        path, node = [], self._root
        for word in topic.split("/"):
            if word not in node.children:
                return False
            path.append((node, word))
            node = node.children[word]
        if node.value is None:
            return False
        node.value = None
        self._size -= 1
        for parent, word in reversed(path):
            child = parent.children[word]
            if child.children or child.value is not None:
                break
            del parent.children[word]
        return True

    def matching(self, topic_filter: str) -> Iterator[V]:
        words = topic_filter.split("/")
        waiting: list[tuple[_Node[V], int]] = [(self._root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if depth == len(words):
                if node.value is not None:
                    yield node.value
            elif words[depth] == "#":
                yield from _below(node, hidden=depth == 0)
            elif words[depth] == "+":
                waiting.extend((child, depth + 1) for child in _children(node, hidden=depth == 0))
            elif words[depth] in node.children:
                waiting.append((node.children[words[depth]], depth + 1))


def _children(node: _Node[V], hidden: bool) -> list[_Node[V]]:
    """Wildcards in the first level do not reach topics that start with `$`."""
    return [child for name, child in node.children.items() if not (hidden and name.startswith("$"))]


def _below(node: _Node[V], hidden: bool) -> Iterator[V]:
    if node.value is not None:
        yield node.value
    waiting = _children(node, hidden)
    while waiting:
        child = waiting.pop()
        if child.value is not None:
            yield child.value
        waiting.extend(child.children.values())
