"""Chance that repeats: the same seed rolls the same numbers. Nothing secret may come from it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Dice:
    """SplitMix64: eight bytes of state, where `random.Random` has 2,500, and thousands of devices roll."""

    __slots__ = ("_state",)

    def __init__(self, *seed: object) -> None:
        self._state = int.from_bytes(sha256(repr(seed).encode()).digest()[:8])

    def roll(self) -> float:
        """From 0 up to, but not, 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.roll()

    def chance(self, probability: float) -> bool:
        return self.roll() < probability

    def one_of(self, things: Sequence[T]) -> T:
        return things[int(self.roll() * len(things))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, as often as its weight says."""
        left = self.roll() * sum(weights.values())
        for thing, weight in weights.items():
            left -= weight
            if left < 0:
                return thing
        return next(reversed(list(weights)))
