"""The one task that does what rollouts want: assign, take back, give back what was there before."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain

from firmware.assignment import Assignments
from firmware.catalogue import Catalogue
from firmware.rollout_book import Book
from firmware.rollout_driver import Driver
from firmware.rollout_gate import Gate
from firmware.rollout_progress import Progress
from firmware.rollout_values import STOPPED_FIRST
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.registry import GATEWAY, Registry
from gateway.core.values import Module

log = logging.getLogger(__name__)
# How many members are looked at in one turn, and how many are seen to at once.
LOOK_AT = 200
AT_ONCE = 20
# How a note begins that says what holds a member back.
HOLDS = ("Guard ", "Its pair", "The update of its pair")
Act = Callable[[Progress, int], Awaitable[bool]]
Task = tuple[Act, Progress, int]


class Worker:
    """What is to be done is read off the states each time, so a crash in between loses nothing."""

    def __init__(
        self, registry: Registry, images: Catalogue, assignments: Assignments, book: Book, gate: Gate,
        driver: Driver,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._images = images
        self._assignments = assignments
        self._book = book
        self._gate = gate
        self._driver = driver
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        if self._task is None or self._task.done():
            tasks = self._collect()
            if tasks:
                self._task = asyncio.get_running_loop().create_task(self._see_to(tasks), name="rollouts")

    async def settled(self) -> None:
        """When nothing is under way here."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _see_to(self, tasks: list[Task]) -> None:
        while tasks:
            done: list[bool] = []
            for first in range(0, len(tasks), AT_ONCE):
                done += await asyncio.gather(*map(self._guarded, tasks[first : first + AT_ONCE]))
            # What failed is for the next tick.
            tasks = self._collect() if all(done) else []

    async def _guarded(self, task: Task) -> bool:
        act, progress, number = task
        try:
            return number in progress.members and await act(progress, number)
        except Exception:
            log.exception("A step of the rollout %d failed; it is tried again.", progress.rollout.id)
            return False
        finally:
            progress.acting.discard(number)
            self._driver.judge(progress)

    # What is to be done

    def _collect(self) -> list[Task]:
        return list(chain.from_iterable(map(self._tasks, self._book.all())))

    def _tasks(self, progress: Progress) -> Iterator[Task]:
        state = progress.rollout.state
        if state in ("stopped", "cancelled", "reverting"):
            for number in progress.open - progress.acting:
                if self._unwanted(progress, number):
                    progress.acting.add(number)
                    yield self._cancel, progress, number
        if state == "running":
            yield from self._starts(progress, "waiting", progress.rollout.wave + 1, self._start)
        elif state == "reverting":
            yield from self._starts(progress, "reverting", len(progress.rollout.plan.waves), self._give_back)

    def _unwanted(self, progress: Progress, number: int) -> str:
        """Why this open update is to be taken back; empty: it goes on."""
        rollout, attempt = progress.rollout, progress.attempts[number]
        if rollout.state == "cancelled":
            return rollout.reason
        if rollout.state == "stopped":
            return STOPPED_FIRST if attempt.state == "assigned" else ""
        is_forth = attempt.image_id == rollout.image_id
        return "The rollout is taken back." if rollout.state == "reverting" and is_forth else ""

    def _starts(self, progress: Progress, state: str, waves: int, act: Act) -> Iterator[Task]:
        """Those who may start, as many as there is room for; who is not there needs no room yet."""
        room = progress.rollout.plan.concurrency - len(progress.under_way) - len(progress.acting)
        for number in progress.some(state, waves, LOOK_AT):
            module = self._registry.numbered(number)
            if module is None or number in progress.open or number in progress.acting:
                continue
            if self._gate.closed(progress, progress.members[number].wave):
                continue
            held, note = self._held(progress, module), progress.members[number].note
            if held != note and (state == "waiting" or held or note.startswith(HOLDS)):
                progress.set(number, note=held)
            is_there = self._gate.is_there(module)
            if not held and (room > 0 or not is_there):
                room -= is_there
                progress.acting.add(number)
                yield act, progress, number
        self._book.write(progress)

    def _held(self, progress: Progress, module: Module) -> str:
        """Somebody nothing can be sent to is seen to at once: he is skipped."""
        return self._gate.held(progress, module) if module.life == "approved" else ""

    # Doing it

    async def _start(self, progress: Progress, number: int) -> bool:
        rollout, module = progress.rollout, self._registry.numbered(number)
        if module is None or progress.members[number].state != "waiting":
            return True
        image = self._images.get(rollout.image_id)
        if module.firmware != image.serial:
            progress.set(number, previous=module.firmware)
        try:
            job = await self._assignments.assign(module.id, image.id, rollout.by, rollout_id=rollout.id)
        except Unavailable:
            return False
        except GatewayError as refused:
            self._end(progress, number, "skipped", refused.message)
            return True
        if job is None:
            self._end(progress, number, "confirmed", f"It runs {image.serial} already.")
        elif job.rollout_id != rollout.id and number in progress.members:
            self._driver.adopt(job, progress)
        return True

    def _end(self, progress: Progress, number: int, state: str, note: str) -> None:
        if number in progress.members:
            progress.set(number, state=state, note=note)

    async def _cancel(self, progress: Progress, number: int) -> bool:
        why, attempt = self._unwanted(progress, number), progress.attempts[number]
        if not why or not attempt.open:
            return True
        try:
            await self._assignments.cancel(attempt.id, GATEWAY, why)
        except Unavailable:
            return False
        except GatewayError:
            # It ended in the meantime, and that was told.
            progress.open.discard(number)
        return True

    async def _give_back(self, progress: Progress, number: int) -> bool:
        member, module = progress.members[number], self._registry.numbered(number)
        if module is None or member.state != "reverting" or number in progress.open:
            return True
        image = self._images.by_serial(member.previous) if member.previous else None
        try:
            if image is None:
                await self._assignments.unassign(module.id, GATEWAY)
                self._end(progress, number, "failed", _unknown(member.previous))
                return True
            job = await self._assignments.assign(module.id, image.id, GATEWAY, rollout_id=progress.rollout.id)
        except Unavailable:
            return False
        except GatewayError as refused:
            self._end(progress, number, "failed", f"It could not be reverted: {refused.message}")
            return True
        if job is None:
            self._end(progress, number, "reverted", member.note)
        elif job.rollout_id != progress.rollout.id and number in progress.members:
            self._driver.adopt(job, progress)
        return True


def _unknown(previous: str) -> str:
    if not previous:
        return "What it ran before is not known, so it could not be reverted. Its assignment was taken away."
    return f"{previous}, which it ran before, is not in the catalogue. Its assignment was taken away."
