"""One rollout in memory: its members by wave and state, their updates, and what is not written yet."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from firmware.rollout_values import FAILURES, MEMBER_ENDED, Attempt, Member, Rollout
from firmware.values import UNDER_WAY

Change = tuple[Rollout, Rollout] | tuple[Member, Member]


class Progress:
    """Counts are the sizes of sets, so they add up by themselves."""

    def __init__(self, rollout: Rollout, members: Iterable[Member], pairs: Iterable[tuple[int, int]]) -> None:
        self.rollout = rollout
        self.members: dict[int, Member] = {}
        self.attempts: dict[int, Attempt] = {}
        self.open: set[int] = set()
        self.under_way: set[int] = set()
        # Whose offer was held back, so that they are asked again; whom a task works on right now.
        self.refused: dict[int, None] = {}
        self.acting: set[int] = set()
        self.pairs: dict[int, set[int]] = defaultdict(set)
        self._places: list[dict[str, dict[int, None]]] = [
            defaultdict(dict) for _ in range(len(rollout.plan.waves))
        ]
        self._changes: list[Change] = []
        for member in members:
            self._place(member)
        for one, other in pairs:
            self.pairs[one].add(other)
            self.pairs[other].add(one)

    # Looking

    def of(self, *states: str, wave: int | None = None) -> Iterator[int]:
        """The numbers of the members in these states; the caller changes none of them meanwhile."""
        for places in self._places if wave is None else self._places[wave : wave + 1]:
            for state in states:
                yield from places.get(state, ())

    def counts(self, wave: int) -> dict[str, int]:
        return {state: len(numbers) for state, numbers in self._places[wave].items() if numbers}

    def count(self, *states: str) -> int:
        return sum(len(places.get(state, ())) for places in self._places for state in states)

    def failures(self) -> list[Member]:
        """Those that count: nobody has forgiven them."""
        found = (self.members[number] for number in self.of(*FAILURES))
        return [member for member in found if not member.forgiven]

    def is_over(self, upto: int) -> bool:
        """Whether everybody in the waves up to this one has ended, and nobody is to begin once more."""
        return not self.acting and all(
            state in MEMBER_ENDED or not numbers
            for places in self._places[: upto + 1]
            for state, numbers in places.items()
        )

    def some(self, state: str, waves: int, most: int) -> list[int]:
        """Up to `most` of this state in the first `waves`; if more, the next call begins behind them."""
        taken: list[int] = []
        for places in self._places[:waves]:
            numbers, room = places.get(state, {}), most - len(taken)
            first = list(islice(numbers, room))
            taken += first
            for number in first if len(numbers) > room else ():
                numbers.pop(number)
                numbers[number] = None
        return taken

    # Changing

    def change(self, **changes: Any) -> None:
        before, self.rollout = self.rollout, msgspec.structs.replace(self.rollout, **changes)
        self._changes.append((before, self.rollout))

    def put(self, after: Member) -> None:
        before = self.members[after.number]
        if after != before:
            self._place(after)
            self._changes.append((before, after))

    def set(self, number: int, **changes: Any) -> None:
        self.put(msgspec.structs.replace(self.members[number], **changes))

    def attempt(self, number: int, attempt: Attempt) -> None:
        self.attempts[number] = attempt
        for numbers, belongs in (
            (self.open, attempt.open),
            (self.under_way, attempt.state in UNDER_WAY),
        ):
            (numbers.add if belongs else numbers.discard)(number)
        if attempt.state != "assigned":
            self.refused.pop(number, None)

    def drop(self, number: int) -> None:
        """Its module is gone, and its row with it."""
        member = self.members.pop(number)
        del self._places[member.wave][member.state][number]
        self.attempts.pop(number, None)
        self.refused.pop(number, None)
        self.open.discard(number)
        self.under_way.discard(number)

    def take_changes(self) -> list[Change]:
        """What was not written yet, for whoever writes it now."""
        changes, self._changes = self._changes, []
        return changes

    def undo(self, changes: list[Change]) -> None:
        """These could not be written; what has moved on since stays."""
        for before, after in reversed(changes):
            if isinstance(before, Rollout):
                self.rollout = before if self.rollout is after else self.rollout
            elif self.members.get(before.number) is after:
                self._place(before)

    def _place(self, member: Member) -> None:
        before = self.members.get(member.number)
        if before is not None:
            del self._places[before.wave][before.state][member.number]
        self.members[member.number] = member
        self._places[member.wave][member.state][member.number] = None
