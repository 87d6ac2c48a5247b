"""The ledger of updates: every job, every step of it with what it rests on."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

import msgspec

from firmware import job_records as records
from firmware.pace import Pace
from firmware.relapses import Relapses
from firmware.values import ENDED, SENT_BEFORE, UNDER_WAY, Image, Job, JobState, Step
from gateway.core import audit, clock
from gateway.core.errors import NotFound
from gateway.core.events import Alert, FirmwareJobChanged, Hub, ModuleRemoved
from gateway.core.registry import GATEWAY, Registry
from gateway.core.rights import Person, name_of
from gateway.core.values import Module
from gateway.storage.store import Store

# Ended jobs that are not their module's newest any more, for those who still ask.
ENDED_KEPT = 2000
MAX_EVIDENCE = 500
TELL_EVERY_S = 0.5
SAVE_EVERY_S = 5.0
_TROUBLE = {"failed": "warning", "rolled_back": "warning"}


class Ledger:
    """Memory first; each step is written behind in order, so what follows a step is durable after it."""

    def __init__(
        self, store: Store, hub: Hub, registry: Registry, monotonic_s: Callable[[], float] = monotonic
    ) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._now_s = monotonic_s
        self._latest: dict[int, Job] = {}
        self._ids: dict[str, int] = {}
        self._older: OrderedDict[str, Job] = OrderedDict()
        self._paces: dict[str, Pace] = {}
        self._steps: dict[str, int] = {}
        self._untold: dict[str, None] = {}
        self._unsaved: set[str] = set()
        # Modules that are there and at work on theirs; asked for with every offer, so it is not counted anew.
        self._at_work: set[int] = set()
        self._saved_s = 0.0
        self.relapses = Relapses()
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        for job in await self._store.run(records.load_verdicts):
            self.relapses.note(job)
        for job in await self._store.run(records.load_latest):
            if job.state in UNDER_WAY and not job.received:
                # What was sent right before the end may not be stored; nobody is called a liar for that.
                job = msgspec.structs.replace(job, received=min(SENT_BEFORE, job.size))
            self._keep(job)
        self._at_work.clear()  # nobody is there yet

    # Looking

    def job(self, id: str) -> Job:
        """Every open job, and those that ended lately; raises `NotFound`."""
        number = self._ids.get(id)
        job = self._older.get(id) if number is None else self._latest[number]
        if job is None:
            raise NotFound("There is no update %(id)r.", id=id[:64])
        return job

    async def find(self, id: str) -> Job:
        """Any job, those that ended long ago too; raises `NotFound`."""
        try:
            return self.job(id)
        except NotFound:
            job = await self._store.read(lambda: records.load_job(id))
            if job is None:
                raise
            return job

    def latest(self, module_number: int) -> Job | None:
        return self._latest.get(module_number)

    def open_of(self, module_number: int) -> Job | None:
        job = self._latest.get(module_number)
        return None if job is None or job.ended else job

    def open_jobs(self) -> list[Job]:
        return [job for job in self._latest.values() if not job.ended]

    def under_way(self) -> int:
        return len(self._at_work)

    def at_work(self) -> list[Job]:
        return [self._latest[number] for number in self._at_work]

    def resting(self) -> list[Job]:
        """Every open job on which nobody is at work now."""
        return [job for job in self.open_jobs() if job.module_number not in self._at_work]

    def rests(self, job: Job) -> None:
        """Its module went away, and so takes no place among those at work until it gets on."""
        self._at_work.discard(job.module_number)

    async def history(self, id: str) -> list[Step]:
        return await self._store.read(lambda: records.load_steps(id))

    async def page(
        self, *, module_number: int | None = None, states: Iterable[str] = (), before: int | None = None,
        limit: int = 50, owner_id: int | None = None,
    ) -> list[tuple[int, Job]]:  # fmt: skip
        """Jobs with their places, newest first; a place is where the next page goes on (`before`)."""
        asked = tuple(states)
        return await self._store.read(
            lambda: records.load_page(
                module_number=module_number, states=asked, before=before, limit=limit, owner_id=owner_id
            )
        )

    async def of_rollout(self, rollout_id: int) -> list[Job]:
        return await self._store.read(lambda: records.load_rollout(rollout_id))

    def describe(self, job: Job) -> dict[str, Any]:
        """A job as programs and pages see it; times are UTC ms, `rate` bytes per second, `eta` seconds."""
        module = self._registry.numbered(job.module_number)
        pace = self._paces.get(job.id) if job.state == "downloading" else None
        rate = pace.rate() if pace else None
        return {
            "id": job.id,
            "module": module.id if module else None,
            "firmware_id": job.image_id,
            "state": job.state,
            "received": job.received,
            "size": job.size,
            "since": job.since_ms,
            "created_at": job.created_at_ms,
            "attempt": job.attempt,
            "due": job.due_ms,
            "error": job.error,
            "by": job.by,
            "rollout_id": job.rollout_id,
            "rate": None if rate is None else round(rate),
            "eta": round((job.size - job.received) / rate) if rate else None,
        }

    # Steps

    def draft(
        self, module: Module, image: Image, by: Person | str, *, due_ms: int | None = None,
        rollout_id: int | None = None, override: bool = False, attempt: int = 0,
    ) -> Job:  # fmt: skip
        """A new job that nobody knows of yet."""
        now_ms = clock.now_ms()
        return Job(
            id=secrets.token_hex(8), module_number=module.number, image_id=image.id,
            previous=module.firmware, state="assigned", attempt=attempt, size=image.size,
            due_ms=now_ms if due_ms is None else due_ms, since_ms=now_ms, created_at_ms=now_ms,
            by=name_of(by), rollout_id=rollout_id, override=override,
        )  # fmt: skip

    def put(self, job: Job) -> None:
        """Keep it in memory alone, for a caller who writes it himself; its module's newest from now on."""
        self._keep(job)

    def take_back(self, job: Job, before: Job | None) -> None:
        """What `put` kept could not be written."""
        if self._latest.get(job.module_number) is job:
            self._forget(job)
            if before is not None:
                self._keep(before)

    def open(self, job: Job, evidence: str) -> Job:
        """Keep and write a draft of the gateway's own."""
        self._keep(job)
        first = first_step(job, evidence)
        self._store.submit(lambda: records.insert_job(job, first))
        self.tell(job)
        return job

    def step(
        self, job: Job, state: JobState, evidence: str, *, by: Person | str = GATEWAY, **changes: Any
    ) -> Job:
        """The job's next step (or, in the same state, one more fact about it), written behind."""
        now_ms = clock.now_ms()
        if state != job.state:
            changes["since_ms"] = now_ms
            if state == "assigned":
                self._paces.pop(job.id, None)
        after = msgspec.structs.replace(job, state=state, **changes)
        self._keep(after)
        self._steps[job.id] = self._steps.get(job.id, 0) + 1
        entry = Step(state=state, at_ms=now_ms, evidence=evidence[:MAX_EVIDENCE], by=name_of(by))
        self._store.submit(lambda: self._write(after, entry))
        self.tell(after)
        if state in _TROUBLE and state != job.state:
            self._alert(after)
        return after

    def _write(self, job: Job, entry: Step) -> None:
        records.update_job(job)
        records.insert_step(job, entry)
        if job.state in ENDED:
            module = self._registry.numbered(job.module_number)
            audit.write(
                f"firmware.{job.state}", module.id if module else "", entry.by,
                level=_TROUBLE.get(job.state, "info"), job=job.id, evidence=entry.evidence,
            )  # fmt: skip

    def steps(self, job: Job) -> int:
        """How many steps were written of it since the start."""
        return self._steps.get(job.id, 0)

    def progress(self, job: Job, received: int) -> Job:
        """So many bytes are with the module; what it had before is never less."""
        if received <= job.received:
            return job
        after = msgspec.structs.replace(job, received=min(received, job.size))
        self._keep(after)
        self._unsaved.add(job.id)
        if not job.received:
            # That it was sent anything at all is evidence.
            self.save()
        pace = self._paces.setdefault(job.id, Pace(self._now_s))
        pace.note(after.received)
        if pace.tell_after(TELL_EVERY_S):
            self.tell(after)
        else:
            self._untold[job.id] = None
        return after

    def progressed_s(self, job: Job) -> float | None:
        """When it last got on, on the monotonic clock; None when it did not since the start."""
        return self._paces[job.id].last_s if job.id in self._paces else None

    def tell(self, job: Job) -> None:
        self._untold.pop(job.id, None)
        module = self._registry.numbered(job.module_number)
        if module is not None:
            self._hub.publish(FirmwareJobChanged(module.id, self.describe(job)))

    def tick(self) -> None:
        """Once a second: tell what progress was not told yet, save it now and then."""
        for id in tuple(self._untold):
            self.tell(self.job(id))
        if self._now_s() - self._saved_s >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write behind the progress that is not stored yet."""
        self._saved_s = self._now_s()
        jobs = [self._latest[self._ids[id]] for id in self._unsaved if id in self._ids]
        self._unsaved.clear()
        if jobs:
            self._store.submit(lambda: records.update_jobs(jobs))

    # Within

    def _keep(self, job: Job) -> None:
        self.relapses.note(job)
        before = self._latest.get(job.module_number)
        if before is not None and before.id != job.id:
            if self._ids.get(job.id) is None and job.id in self._older:
                self._older[job.id] = job
                return
            self._forget(before)
            self._older[before.id] = before
            while len(self._older) > ENDED_KEPT:
                self._older.popitem(last=False)
        self._latest[job.module_number] = job
        self._ids[job.id] = job.module_number
        (self._at_work.add if job.state in UNDER_WAY else self._at_work.discard)(job.module_number)
        if job.ended:
            self._paces.pop(job.id, None)
            self._untold.pop(job.id, None)

    def _forget(self, job: Job) -> None:
        del self._latest[job.module_number], self._ids[job.id]
        self._at_work.discard(job.module_number)
        for about in (self._paces, self._steps, self._untold):
            about.pop(job.id, None)
        self._unsaved.discard(job.id)

    def _alert(self, job: Job) -> None:
        module = self._registry.numbered(job.module_number)
        if module is not None:
            word = "was rolled back" if job.state == "rolled_back" else "failed"
            details = {"moduleId": module.id, "job": job.id}
            self._hub.publish(Alert("warning", f"The update of {module.id} {word}: {job.error}", details))

    def _module_removed(self, event: ModuleRemoved) -> None:
        self.relapses.forget(event.module.number)
        if (job := self._latest.get(event.module.number)) is not None:
            self._forget(job)


def first_step(job: Job, evidence: str) -> Step:
    return Step(state="assigned", at_ms=job.created_at_ms, evidence=evidence[:MAX_EVIDENCE], by=job.by)
