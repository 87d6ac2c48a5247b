"""Rollouts: an image on its way to many modules, and the steps that people take with it."""

import asyncio
from collections.abc import Iterable
from typing import Any

from firmware.assignment import Assignments
from firmware.catalogue import Catalogue
from firmware.ledger import Ledger
from firmware.offers import Offers
from firmware.plan import MAX_MODULES, Plan, read_plan
from firmware.rollout_book import Book
from firmware.rollout_driver import Driver
from firmware.rollout_gate import Gate
from firmware.rollout_progress import Progress
from firmware.rollout_rules import call_off, check_step, forgive, stop_reason, turn_back
from firmware.rollout_values import Member, Rollout
from firmware.rollout_worker import AT_ONCE, Worker
from firmware.values import Image
from firmware.waves import divide
from firmware.windows import Site
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.errors import Conflict, Forbidden, GatewayError, Invalid, NotFound
from gateway.core.registry import Registry
from gateway.core.rights import Person, Principal, may_administer, may_manage, may_see
from gateway.core.values import Module

__all__ = ["Rollout", "Rollouts"]


class Rollouts:
    """A step is durable when it returns; of two people who take one at once, the second sees the first's."""

    def __init__(
        self, core: Core, images: Catalogue, ledger: Ledger, assignments: Assignments, offers: Offers
    ) -> None:
        registry, hub = core.registry, core.hub
        self._registry: Registry = registry
        self._images = images
        self._assignments = assignments
        self._book = Book(core.store, hub, registry, images)
        site = Site(core.settings.time_zone)
        self._gate = Gate(registry, core.presence, core.telemetry, core.desired, ledger, self._book, site)
        self._driver = Driver(hub, registry, images, ledger, offers, self._book, self._gate)
        self._worker = Worker(registry, images, assignments, self._book, self._gate, self._driver)
        self._step = asyncio.Lock()
        self._book.waits = self._gate.waits
        offers.begin_if(self._gate.may_begin)

    async def load(self) -> None:
        await self._book.load()
        await self._driver.load()

    async def close(self) -> None:
        await self._worker.close()
        self._book.close()

    def tick(self) -> None:
        """Once a second."""
        self._driver.tick()
        self._worker.wake()

    async def settled(self) -> None:
        """When all that was to be done so far is done."""
        await self._worker.settled()

    # Looking

    def all(self) -> list[Rollout]:
        """Those that are not over and the newest of the others, oldest first."""
        return [progress.rollout for progress in self._book.all()]

    def get(self, id: int) -> Rollout:
        return self._book.get(id).rollout

    def all_to(self, who: Principal) -> list[Rollout]:
        """Those that name no module beyond what somebody looks after; oldest first."""
        return [progress.rollout for progress in self._book.all() if self._sees(who, progress)]

    def get_to(self, id: int, who: Principal) -> Rollout:
        """Raises `NotFound`, also where it names modules beyond what somebody looks after."""
        progress = self._book.get(id)
        if not self._sees(who, progress):
            raise NotFound("There is no rollout %(id)s.", id=id)
        return progress.rollout

    def _sees(self, who: Principal, progress: Progress) -> bool:
        # Who sees what belongs to nobody and is in no group sees everything.
        return may_see(who, None) or all(
            may_see(who, module.owner_id, module.group)
            for number in self._book.named(progress)
            if (module := self._registry.numbered(number)) is not None
        )

    def members(self, id: int) -> list[dict[str, Any]]:
        return self._book.members(self._book.get(id))

    def describe(self, rollout: Rollout) -> dict[str, Any]:
        return self._book.describe(self._book.get(rollout.id))

    # What people do

    async def create(self, raw: object, by: Person) -> Rollout:
        """Plan one and start it. Raises Invalid with a sentence, Conflict, Forbidden, NotFound."""
        _must_manage(by)
        plan = read_plan(raw)
        image = self._images.get(plan.firmware_id)
        if self._images.damaged(image):
            raise Conflict("The file of %(serial)s is damaged. Upload it again.", serial=image.serial)
        for id in {id for pair in plan.never_both for id in pair}:
            _known(self._registry, id)
        modules = self._chosen(plan, image, by)
        self._check_reach((module.number for module in modules), by)
        waves = divide(plan.waves, [module.id for module in modules])
        known = {module.id: module for module in modules}
        members = [
            Member(number=known[id].number, wave=wave, previous=known[id].firmware)
            for wave, ids in enumerate(waves)
            for id in ids
        ]
        now_ms = clock.now_ms()
        draft = Rollout(
            id=0, name=plan.name, image_id=image.id, plan=plan, state="running", wave_since_ms=now_ms,
            created_at_ms=now_ms, by=by.name,
        )  # fmt: skip
        async with self._step:
            self._book.check_free(member.number for member in members)
            progress = await self._book.add(draft, members, by)
        self.tick()
        return progress.rollout

    def _check_reach(self, numbers: Iterable[int], by: Person) -> None:
        """Raises `Forbidden` for a technician who does not look after all of these modules."""
        modules = [module for number in numbers if (module := self._registry.numbered(number)) is not None]
        if beyond := [m.id for m in modules if not may_see(by, m.owner_id, m.group)]:
            raise Forbidden("%(count)s of its modules are in groups that are not yours.", count=len(beyond))

    def _chosen(self, plan: Plan, image: Image, by: Person) -> list[Module]:
        if plan.modules:
            return [_known(self._registry, id) for id in plan.modules]
        if plan.type is not None and plan.type != image.type:
            raise Invalid(
                "%(serial)s is for type %(type)s, not for type %(type_2)s.",
                serial=image.serial,
                type=image.type,
                type_2=plan.type,
            )
        found = [module for module in self._registry.all() if _is_chosen(module, plan, image, by)]
        if not found:
            whose = f"of the group {plan.group!r} " if plan.group is not None else ""
            raise Invalid(
                "There is no approved module %(whose)sof type %(type)s.", whose=whose, type=image.type
            )
        if len(found) > MAX_MODULES:
            raise Invalid(
                "A rollout has at most %(max_modules)s modules; these would be %(count)s.",
                max_modules=MAX_MODULES,
                count=len(found),
            )
        return found

    async def pause(self, id: int, by: Person) -> Rollout:
        """Nothing new starts; what is under way goes on."""
        async with self._step:
            progress = self._begin(id, "pause", by)
            progress.change(state="paused", reason=f"{by.name} paused it.")
            return await self._done(progress, by, "rollout.pause")

    async def resume(self, id: int, by: Person) -> Rollout:
        """Go on; after a stop, what failed so far does not count any more."""
        async with self._step:
            progress = self._begin(id, "resume", by)
            forgiven = forgive(progress) if progress.rollout.state == "stopped" else 0
            progress.change(state="running", reason="")
            return await self._done(progress, by, "rollout.resume", forgiven=forgiven)

    async def cancel(self, id: int, by: Person) -> Rollout:
        """End it; every update of it that has not ended is taken back."""
        async with self._step:
            progress = self._begin(id, "cancel", by)
            call_off(progress, f"{by.name} cancelled the rollout.", clock.now_ms())
            return await self._done(progress, by, "rollout.cancel")

    async def revert(self, id: int, by: Person) -> Rollout:
        """Every module that got or is getting the image gets back the one it had."""
        async with self._step:
            progress = self._begin(id, "revert", by)
            having = [number for number in progress.members if self._driver.has_it(progress, number)]
            if not having:
                raise Conflict("No module of it has got the image or is getting it.")
            self._book.check_free(having, but=id)
            turn_back(progress, set(having).__contains__, f"{by.name} took it back.")
            return await self._done(progress, by, "rollout.revert", modules=len(having))

    async def retry(self, id: int, by: Person, *, override: bool = False) -> Rollout:
        """Try again where it failed; where the module went back to its old image, only an admin may."""
        if override and not may_administer(by):
            raise Forbidden("Only an admin tries again what a module has rolled back.")
        async with self._step:
            progress = self._begin(id, "retry", by)
            numbers = self._retryable(progress, override)
            self._book.check_free(numbers, but=id)
            for number in numbers:
                progress.set(number, forgiven=True)
            if progress.rollout.state != "paused":
                progress.change(state="running", reason="", ended_at_ms=None)
            progress.acting.update(numbers)
            try:
                await self._done(progress, by, "rollout.retry", modules=len(numbers), override=override)
                await self._again(progress, numbers, by, override)
            finally:
                progress.acting.difference_update(numbers)
            self._driver.judge(progress)
        return progress.rollout

    def _retryable(self, progress: Progress, override: bool) -> list[int]:
        numbers = [*progress.of("failed", *(("rolled_back",) if override else ()))]
        if not numbers:
            gone_back = progress.count("rolled_back")
            more = f" {gone_back} rolled back; only an admin tries these again." if gone_back else ""
            raise Conflict("No update of it failed in a way that can be tried again.%(more)s", more=more)
        if progress.rollout.state == "stopped" and (why := stop_reason(progress, frozenset(numbers))):
            raise Conflict("It would stop again at once: %(why)s Resume it first.", why=why)
        return numbers

    async def _again(self, progress: Progress, numbers: list[int], by: Person, override: bool) -> None:
        for first in range(0, len(numbers), AT_ONCE):
            some = numbers[first : first + AT_ONCE]
            await asyncio.gather(*(self._once_more(progress, number, by, override) for number in some))

    async def _once_more(self, progress: Progress, number: int, by: Person, override: bool) -> None:
        member = progress.members.get(number)
        if member is None or not member.job_id:
            return
        try:
            job = await self._assignments.retry(member.job_id, by, override=override)
        except GatewayError as refused:
            note = f"It was not tried again: {refused.message}"
            if number in progress.members:
                progress.set(number, note=note, forgiven=False)
            return
        if job is None and number in progress.members:
            progress.set(number, state="confirmed", note="It runs the image already.")

    def _begin(self, id: int, step: str, by: Person) -> Progress:
        _must_manage(by)
        progress = self._book.get(id)
        self._check_reach(progress.members, by)
        check_step(progress.rollout, step)
        return progress

    async def _done(self, progress: Progress, by: Person, action: str, **details: Any) -> Rollout:
        await self._book.done_by(progress, by, action, **details)
        self.tick()
        return progress.rollout


def _must_manage(by: Person) -> None:
    if not may_manage(by):
        raise Forbidden("Only a technician or an admin may do this.")


def _known(registry: Registry, id: str) -> Module:
    try:
        return registry.get(id)
    except NotFound as unknown:
        raise Invalid(unknown.message) from None


def _is_chosen(module: Module, plan: Plan, image: Image, by: Person) -> bool:
    fits = module.life == "approved" and module.type == image.type
    fits = fits and may_see(by, module.owner_id, module.group)
    return fits and (plan.group is None or module.group == plan.group)
