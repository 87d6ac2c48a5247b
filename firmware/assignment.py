"""What people decide: which image a module should run, and that they think better of it."""

from typing import Any

import msgspec

from firmware import job_records as records
from firmware.catalogue import Catalogue
from firmware.fitness import Fitness
from firmware.ledger import Ledger, first_step
from firmware.offers import Offers
from firmware.values import Image, Job, Step
from gateway.core import clock
from gateway.core.errors import Conflict, Forbidden, Invalid, joined
from gateway.core.registry import Registry
from gateway.core.rights import Person, may_administer, may_manage, name_of
from gateway.core.values import Module

MAX_AHEAD_MS = 366 * 86400 * 1000
By = Person | str


class Assignments:
    def __init__(
        self, registry: Registry, images: Catalogue, fitness: Fitness, ledger: Ledger, offers: Offers
    ) -> None:
        self._registry = registry
        self._images = images
        self._fitness = fitness
        self._ledger = ledger
        self._offers = offers

    async def assign(
        self, key: str, image_id: int, by: By, *, not_before_ms: int | None = None, override: bool = False,
        rollout_id: int | None = None,
    ) -> Job | None:  # fmt: skip
        """From now on the module should run this image; durable when this returns, offered once it is due.

        None when it runs it already. The same image again is the same job; another one takes its place.
        Raises Conflict with every reason against it, Forbidden, Invalid, NotFound.
        """
        _must_manage(by)
        module, image = self._reached(key, by), self._images.get(image_id)
        _check_time(not_before_ms)
        self._check_fits(module, image, by, override)
        open_job = self._ledger.open_of(module.number)
        if open_job is not None and open_job.image_id == image.id:
            return await self._again(module, open_job, by, not_before_ms, override)
        if module.firmware == image.serial:
            await self._already(module, image, open_job, by)
            return None
        job = self._ledger.draft(
            module, image, by, due_ms=not_before_ms, rollout_id=rollout_id, override=override
        )
        await self._replace(module, image, open_job, job, by)
        return self._ledger.job(job.id)

    def _reached(self, key: str, by: By) -> Module:
        """The module, if this person looks after it; programs and the gateway reach them all."""
        return self._registry.visible(key, by) if isinstance(by, Person) else self._registry.find(key)

    def obstacles(self, module: Module, image: Image) -> list[str]:
        """Each reason, as a sentence, why this module should not get this image; none: it may."""
        reasons = self._fitness.obstacles(module, image)
        if (why := self._ledger.relapses.why(module.number, image.id)) is not None:
            reasons.append(f"{module.id} had {image.serial} and went back: {why}")
        return reasons

    def _check_fits(self, module: Module, image: Image, by: By, override: bool) -> None:
        if module.life != "approved":
            raise Conflict("%(id)s is not approved.", id=module.id)
        if override and not (isinstance(by, Person) and may_administer(by)):
            raise Forbidden("Only an admin overrides what speaks against an image.")
        reasons = self.obstacles(module, image)
        if reasons and not (override and not self._images.damaged(image)):
            raise Conflict(joined(reasons))

    async def _again(
        self, module: Module, job: Job, by: By, not_before_ms: int | None, override: bool
    ) -> Job:
        """Assigned already; only the time may be another, and that an admin insists."""
        due_ms = min(job.due_ms, clock.now_ms()) if not_before_ms is None else not_before_ms
        after = msgspec.structs.replace(job, due_ms=due_ms, override=override or job.override)
        if job.state != "assigned" or after == job:
            return job
        text = "Its time was changed." if after.override == job.override else "An admin insists."
        await self._write(module, job, after, text, by, "firmware.assign")
        self._offers.arrived(module)
        return self._ledger.job(job.id)

    async def _already(self, module: Module, image: Image, open_job: Job | None, by: By) -> None:
        if open_job is not None:
            await self.cancel(open_job.id, by, f"{name_of(by)} assigned {image.serial}, which it runs.")
        module = self._registry.get(module.id)
        if module.assigned_firmware != image.serial:
            await self._registry.change(module, by, "firmware.assign", assigned_firmware=image.serial)

    async def _replace(self, module: Module, image: Image, old: Job | None, job: Job, by: By) -> None:
        """The new job in the place of the old one, in memory first: of two who assign, the second sees it."""
        ended = None if old is None else _cancelled(old, f"{name_of(by)} assigned {image.serial} instead.")
        if ended is not None:
            self._ledger.put(ended)
        self._offers.hold(job.id)
        self._ledger.put(job)
        evidence = f"Assigned by {name_of(by)}."

        def write() -> None:
            if ended is not None:
                _write(ended, ended.error or "", name_of(by))
            records.insert_job(job, first_step(job, evidence))

        note = {"firmware": image.serial, "job": job.id, "override": job.override}
        try:
            await self._registry.change(
                module, by, "firmware.assign", note=note, beside=write, assigned_firmware=image.serial
            )
        except BaseException:
            self._ledger.take_back(job, old)
            raise
        finally:
            self._offers.release(job.id)
        if ended is not None:
            self._offers.abort(module, ended.id)
            self._ledger.tell(ended)
        if self._ledger.latest(module.number) is job:
            self._ledger.tell(job)
            self._offers.arrived(self._registry.get(module.id))

    async def cancel(self, job_id: str, by: By, why: str = "") -> Job:
        """Take an update back; the module is told, and keeps what it runs. Raises Conflict when it ended."""
        _must_manage(by)
        job = await self._ledger.find(job_id)
        if job.ended:
            raise Conflict("This update is %(value)s already.", value=job.state.replace("_", " "))
        module = self._registry.numbered(job.module_number)
        if module is None:
            raise Conflict("Its module is gone.")
        self._reached(module.id, by)
        text = why or f"Cancelled by {name_of(by)}."
        ended = _cancelled(job, text)
        await self._write(module, job, ended, text, by, "firmware.cancel", assigned_firmware="")
        self._offers.abort(module, job.id)
        return self._ledger.job(job.id)

    async def unassign(self, key: str, by: By) -> Module:
        """Nothing is assigned to it any more; an open update is cancelled."""
        _must_manage(by)
        module = self._reached(key, by)
        if (job := self._ledger.open_of(module.number)) is not None:
            await self.cancel(job.id, by)
        elif module.assigned_firmware:
            await self._registry.change(module, by, "firmware.unassign", assigned_firmware="")
        return self._registry.get(module.id)

    async def retry(self, job_id: str, by: By, *, override: bool = False) -> Job | None:
        """Once more what failed, as a new job. Raises Conflict while it is open or when a newer one is."""
        _must_manage(by)
        job = await self._ledger.find(job_id)
        latest = self._ledger.latest(job.module_number)
        module = self._registry.numbered(job.module_number)
        if module is None or latest is None or latest.id != job.id:
            raise Conflict("There is a newer update of this module.")
        self._reached(module.id, by)
        if not job.ended or job.state == "confirmed":
            raise Conflict(
                "This update is %(state)s; only one that did not succeed is tried again.", state=job.state
            )
        override = override or (job.override and _is_admin(by))
        return await self.assign(module.id, job.image_id, by, override=override, rollout_id=job.rollout_id)

    async def _write(
        self, module: Module, before: Job, after: Job, text: str, by: By, action: str, **changes: Any
    ) -> None:
        """A person's step: durable before the answer, with its audit row."""
        self._ledger.put(after)
        try:
            await self._registry.change(
                module, by, action, note={"job": after.id, "why": text},
                beside=lambda: _write(after, text, name_of(by)), **changes,
            )  # fmt: skip
        except BaseException:
            if self._ledger.latest(module.number) is after:
                self._ledger.put(before)
            raise
        self._ledger.tell(after)


def _write(job: Job, text: str, by: str) -> None:
    records.update_job(job)
    records.insert_step(job, Step(state=job.state, at_ms=clock.now_ms(), evidence=text[:500], by=by))


def _cancelled(job: Job, why: str) -> Job:
    return msgspec.structs.replace(job, state="cancelled", since_ms=clock.now_ms(), error=why)


def _is_admin(by: By) -> bool:
    return isinstance(by, Person) and may_administer(by)


def _must_manage(by: By) -> None:
    """Programs and the gateway itself were checked where they came in."""
    if isinstance(by, Person) and not may_manage(by):
        raise Forbidden("Only a technician or an admin assigns firmware.")


def _check_time(not_before_ms: int | None) -> None:
    if not_before_ms is not None and not 0 <= not_before_ms <= clock.now_ms() + MAX_AHEAD_MS:
        raise Invalid("The time before which nothing happens must lie within a year from now (UTC ms).")
