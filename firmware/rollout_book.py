"""All rollouts in memory: who is in which, writing down what changed, and telling it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from firmware import rollout_records as records
from firmware.catalogue import Catalogue
from firmware.rollout_progress import Progress
from firmware.rollout_values import OVER, Member, Rollout
from gateway.core import audit
from gateway.core.errors import Conflict, GatewayError, NotFound
from gateway.core.events import Hub, RolloutChanged
from gateway.core.registry import GATEWAY, Registry
from gateway.core.rights import Person, name_of
from gateway.core.values import Module
from gateway.storage.store import Store

# Rollouts that are over: so many are shown, with so many modules in all.
KEPT = 200
KEPT_MEMBERS = 50_000
TELL_EVERY_S = 0.5
Note = Callable[[], None]


class Book:
    def __init__(self, store: Store, hub: Hub, registry: Registry, images: Catalogue) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._images = images
        self._rollouts: dict[int, Progress] = {}
        self._untold: set[int] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        # Why nothing starts just now, as far as time decides it.
        self.waits: Callable[[Progress], str] = lambda progress: ""

    async def load(self) -> None:
        for rollout, members in await self._store.run(lambda: records.load(KEPT, KEPT_MEMBERS)):
            self._rollouts[rollout.id] = self.progress(rollout, members)

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # Looking

    def all(self) -> Iterable[Progress]:
        return self._rollouts.values()

    def known(self, id: int | None) -> Progress | None:
        return None if id is None else self._rollouts.get(id)

    def get(self, id: int) -> Progress:
        if progress := self._rollouts.get(id):
            return progress
        raise NotFound("There is no rollout %(id)s.", id=id)

    def check_free(self, numbers: Iterable[int], but: int = 0) -> None:
        """Raises `Conflict` when one of these modules is in a rollout that is not over."""
        wanted = set(numbers)
        for progress in self._rollouts.values():
            rollout = progress.rollout
            if rollout.state in OVER or rollout.id == but:
                continue
            taken = next((number for number in wanted if number in progress.members), None)
            if taken is not None:
                module = self._registry.numbered(taken)
                raise Conflict(
                    "%(value)s is in the rollout %(name)r (number %(id)s) already, which is not over.",
                    value=module.id if module else taken,
                    name=rollout.name,
                    id=rollout.id,
                )

    def describe(self, progress: Progress) -> dict[str, Any]:
        """A rollout as programs and pages see it; times are UTC ms, sizes bytes."""
        rollout = progress.rollout
        counts = [progress.counts(wave) for wave in range(len(rollout.plan.waves))]
        totals: dict[str, int] = {}
        for of_wave in counts:
            for state, count in of_wave.items():
                totals[state] = totals.get(state, 0) + count
        return {
            "id": rollout.id,
            "name": rollout.name,
            "firmware_id": rollout.image_id,
            "state": rollout.state,
            "reason": rollout.reason or self.waits(progress),
            "wave": rollout.wave,
            "wave_since": rollout.wave_since_ms,
            "waves": [{"size": sum(of_wave.values())} | of_wave for of_wave in counts],
            "counts": {"size": len(progress.members)} | totals,
            "progress": self._bytes(progress),
            "created_at": rollout.created_at_ms,
            "ended_at": rollout.ended_at_ms,
            "by": rollout.by,
            "plan": msgspec.to_builtins(rollout.plan),
        }

    def _bytes(self, progress: Progress) -> dict[str, Any]:
        """How much of the image is where it should be, how fast it goes and how many seconds are left."""
        try:
            size = self._images.get(progress.rollout.image_id).size
        except GatewayError:
            size = 0
        under_way = [progress.attempts[number] for number in progress.under_way]
        received = progress.count("confirmed") * size + sum(
            attempt.received for attempt in under_way if attempt.image_id == progress.rollout.image_id
        )
        total = (len(progress.members) - progress.count("skipped")) * size
        rate = sum(attempt.rate or 0 for attempt in under_way)
        return {
            "received": received,
            "size": total,
            "percent": round(100 * received / total, 1) if total else 0,
            "rate": rate or None,
            "eta": round((total - received) / rate) if rate else None,
        }

    def named(self, progress: Progress) -> frozenset[int]:
        """The numbers of all modules that it names: those in it, and those never updated beside them."""
        pairs = (self._registry.known(id) for pair in progress.rollout.plan.never_both for id in pair)
        return frozenset(progress.members) | {module.number for module in pairs if module is not None}

    def members(self, progress: Progress) -> list[dict[str, Any]]:
        found = [(member, self._registry.numbered(number)) for number, member in progress.members.items()]
        rows = [_row(member, module) for member, module in found if module is not None]
        return sorted(rows, key=lambda row: (row["wave"], row["module"]))

    # Changing

    def progress(self, rollout: Rollout, members: Iterable[Member]) -> Progress:
        named = rollout.plan.never_both
        known = [(self._registry.known(one), self._registry.known(other)) for one, other in named]
        pairs = [(one.number, other.number) for one, other in known if one and other]
        return Progress(rollout, members, pairs)

    async def add(self, rollout: Rollout, members: list[Member], by: Person) -> Progress:
        def work() -> int:
            id = records.insert(rollout, members)
            audit.write("rollout.create", _subject(id), by.name, **_facts(rollout, members))
            return id

        id = await self._store.run(work)
        progress = self.progress(msgspec.structs.replace(rollout, id=id), members)
        self._rollouts[id] = progress
        self._forget_oldest()
        self._hub.acted("rollout.create", _subject(id), by, **_facts(rollout, members))
        self.tell(progress)
        return progress

    async def done_by(self, progress: Progress, by: Person | str, action: str, **details: Any) -> None:
        """What a person just changed is durable when this returns; taken back when it cannot be written."""
        changes, subject = progress.take_changes(), _subject(progress.rollout.id)

        def work() -> None:
            records.write(progress.rollout.id, changes)
            audit.write(action, subject, name_of(by), **details)

        try:
            await self._store.run(work)
        except BaseException:
            progress.undo(changes)
            raise
        self._hub.acted(action, subject, by, **details)
        self.tell(progress)

    def write(self, progress: Progress, action: str = "", level: str = "info", **details: Any) -> None:
        """What the gateway decided by itself, written behind in one transaction."""
        changes, id = progress.take_changes(), progress.rollout.id
        if not changes and not action:
            return

        def work() -> None:
            records.write(id, changes)
            if action:
                audit.write(action, _subject(id), GATEWAY, level=level, **details)

        self._store.submit(work)
        self.tell(progress)

    def _forget_oldest(self) -> None:
        over = [id for id, progress in self._rollouts.items() if progress.rollout.state in OVER]
        for id in over[: max(0, len(over) - KEPT)]:
            del self._rollouts[id]

    # Telling

    def tell(self, progress: Progress) -> None:
        """At once, but at most twice a second; what comes between is told together."""
        id = progress.rollout.id
        if id in self._timers:
            self._untold.add(id)
            return
        self._timers[id] = asyncio.get_running_loop().call_later(TELL_EVERY_S, self._pause_over, progress)
        self._hub.publish(RolloutChanged(self.describe(progress), self.named(progress)))

    def _pause_over(self, progress: Progress) -> None:
        del self._timers[progress.rollout.id]
        if progress.rollout.id in self._untold:
            self._untold.discard(progress.rollout.id)
            self.tell(progress)


def _subject(id: int) -> str:
    return f"rollout {id}"


def _facts(rollout: Rollout, members: list[Member]) -> dict[str, Any]:
    return {"name": rollout.name, "firmware_id": rollout.image_id, "modules": len(members)}


def _row(member: Member, module: Module) -> dict[str, Any]:
    return {
        "module": module.id,
        "wave": member.wave,
        "state": member.state,
        "job_id": member.job_id or None,
        "note": member.note,
        "previous": member.previous,
        "forgiven": member.forgiven,
    }
