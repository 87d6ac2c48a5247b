"""What drives a rollout on: what follows from each update and from time. Nobody waits here."""

from itertools import islice

from firmware.catalogue import Catalogue
from firmware.ledger import Ledger
from firmware.offers import Offers
from firmware.rollout_book import Book
from firmware.rollout_gate import Gate
from firmware.rollout_progress import Progress
from firmware.rollout_rules import follow, next_wave, stop_reason, turn_back, wave_fault
from firmware.rollout_values import FAILURES, OVER, Attempt
from firmware.values import ALREADY, Job
from gateway.core import clock
from gateway.core.errors import NotFound
from gateway.core.events import Alert, FirmwareJobChanged, Hub, ModuleRemoved
from gateway.core.registry import Registry

# How many of those whose offer was held back are asked again in one turn.
LOOK_AT = 200


class Driver:
    def __init__(
        self, hub: Hub, registry: Registry, images: Catalogue, ledger: Ledger, offers: Offers, book: Book,
        gate: Gate,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._registry = registry
        self._images = images
        self._ledger = ledger
        self._offers = offers
        self._book = book
        self._gate = gate
        # Updates that a person assigned before, and that are part of a rollout now.
        self._adopted: dict[str, int] = {}
        hub.subscribe(FirmwareJobChanged, self._job_changed)
        hub.subscribe(ModuleRemoved, self._module_removed)

    async def load(self) -> None:
        """Every member's state is derived again from the ledger, which alone knows what was begun."""
        for progress in self._book.all():
            if progress.rollout.state in ("done", "reverted"):
                continue
            jobs = {job.module_number: job for job in await self._ledger.of_rollout(progress.rollout.id)}
            for number in [*progress.of("running")]:
                if number not in jobs and (job := await self._adoptable(progress, number)) is not None:
                    jobs[number] = job
            for number, job in jobs.items():
                if number in progress.members:
                    self._follow(progress, number, attempt_of(job))
            for number in [*progress.of("running")]:
                if number not in progress.attempts:
                    progress.set(number, state="waiting", note="")
            self.judge(progress)

    async def _adoptable(self, progress: Progress, number: int) -> Job | None:
        """An update that was there before the rollout, which took it for its own."""
        id = progress.members[number].job_id
        if not id:
            return None
        try:
            job = await self._ledger.find(id)
        except NotFound:
            return None
        self._adopted[id] = progress.rollout.id
        return job

    # What follows from an update

    def _job_changed(self, event: FirmwareJobChanged) -> None:
        job = event.job
        progress = self._book.known(self._adopted.get(job["id"]) or job["rollout_id"])
        module = self._registry.known(event.module_id)
        if progress is None or module is None or module.number not in progress.members:
            return
        if progress.rollout.state in ("done", "reverted"):
            return
        attempt = Attempt(
            id=job["id"], image_id=job["firmware_id"], state=job["state"], received=job["received"],
            rate=job["rate"], error=job["error"] or "",
        )  # fmt: skip
        self._follow(progress, module.number, attempt)
        self.judge(progress)
        self._book.tell(progress)

    def _follow(self, progress: Progress, number: int, attempt: Attempt) -> None:
        before = progress.attempts.get(number)
        if before is not None and before.open and before.id != attempt.id and not attempt.open:
            return
        progress.attempt(number, attempt)
        module, member = self._registry.numbered(number), progress.members[number]
        back = attempt.image_id != progress.rollout.image_id
        wanted = member.previous if back else self._serial(progress)
        # The module's own row follows its hello a moment later.
        runs = attempt.error == ALREADY or (module is not None and module.firmware == wanted != "")
        progress.put(follow(progress.rollout, member, attempt, runs))
        if not attempt.open:
            self._adopted.pop(attempt.id, None)

    def _serial(self, progress: Progress) -> str:
        try:
            return self._images.get(progress.rollout.image_id).serial
        except NotFound:
            return ""

    def _module_removed(self, event: ModuleRemoved) -> None:
        for progress in self._book.all():
            if event.module.number in progress.members:
                progress.drop(event.module.number)
                self.judge(progress)
                self._book.tell(progress)

    # The rollout as a whole

    def judge(self, progress: Progress) -> None:
        if progress.rollout.state == "running":
            if reason := self._damage(progress):
                self._halt(progress, reason)
            elif reason := stop_reason(progress):
                self._stop(progress, reason)
            else:
                self._advance(progress)
        elif progress.rollout.state == "reverting" and not progress.count("reverting"):
            self._end_revert(progress)
        self._book.write(progress)

    def _stop(self, progress: Progress, reason: str) -> None:
        if progress.rollout.plan.on_stop == "revert":
            turn_back(progress, lambda number: self.has_it(progress, number), reason)
            self._tell_stop(progress)
            if not progress.count("reverting"):
                self._end_revert(progress)
        else:
            self._halt(progress, reason)

    def _halt(self, progress: Progress, reason: str) -> None:
        progress.change(state="stopped", reason=reason)
        self._tell_stop(progress)

    def _tell_stop(self, progress: Progress) -> None:
        rollout = progress.rollout
        self._book.write(progress, "rollout.stop", "warning", reason=rollout.reason, then=rollout.state)
        text = f"The rollout {rollout.name!r} is {rollout.state}. {rollout.reason}"
        self._hub.publish(Alert("warning", text, {"rollout": rollout.id}))

    def _damage(self, progress: Progress) -> str:
        """That the image cannot be sent to anybody is no reason to skip them."""
        try:
            image = self._images.get(progress.rollout.image_id)
        except NotFound:
            return "Its image is not in the catalogue any more."
        return f"The file of {image.serial} is damaged." if self._images.damaged(image) else ""

    def _advance(self, progress: Progress) -> None:
        """The next wave, or the end, when the wave is over; waiting for it lasts over a restart."""
        now_ms, wait_ms = clock.now_ms(), int(progress.rollout.plan.wait_s * 1000)
        while progress.is_over(progress.rollout.wave):
            if fault := wave_fault(progress):
                self._stop(progress, fault)
                return
            following = next_wave(progress)
            if following is None:
                progress.change(state="done", ended_at_ms=now_ms, reason="")
                good, bad = progress.count("confirmed"), progress.count(*FAILURES)
                self._book.write(progress, "rollout.done", confirmed=good, failed=bad)
                return
            progress.change(wave=following, wave_since_ms=now_ms + wait_ms)
            self._book.write(progress, "rollout.wave", wave=following)
        # A clock that was set back must not make it wait longer than it should.
        if progress.rollout.wave_since_ms > now_ms + wait_ms:
            progress.change(wave_since_ms=now_ms + wait_ms)

    def _end_revert(self, progress: Progress) -> None:
        progress.change(state="reverted", ended_at_ms=clock.now_ms())
        reverted, failed = progress.count("reverted"), progress.count("failed")
        self._book.write(progress, "rollout.reverted", reverted=reverted, failed=failed)

    def has_it(self, progress: Progress, number: int) -> bool:
        """Whether this member got the image from here, or is getting it, and had another before."""
        member, module, serial = (
            progress.members[number],
            self._registry.numbered(number),
            self._serial(progress),
        )
        if module is None or member.previous == serial or member.state in ("waiting", "skipped"):
            return False
        return member.state == "running" or serial in (module.firmware, module.assigned_firmware)

    # Time

    def tick(self) -> None:
        for progress in self._book.all():
            if progress.rollout.state not in OVER:
                self.judge(progress)
                self._ask_again(progress)

    def _ask_again(self, progress: Progress) -> None:
        """Whose offer was held back may have it now; who is away is offered it when he comes."""
        for number in list(islice(progress.refused, LOOK_AT)):
            if self._gate.is_full(progress):
                break
            progress.refused.pop(number, None)
            module = self._registry.numbered(number)
            if module is not None and self._gate.is_there(module):
                self._offers.arrived(module)

    def adopt(self, job: Job, progress: Progress) -> None:
        """It was assigned before by somebody, and is this rollout's now."""
        self._adopted[job.id] = progress.rollout.id
        self._follow(progress, job.module_number, attempt_of(job))


def attempt_of(job: Job) -> Attempt:
    return Attempt(
        id=job.id, image_id=job.image_id, state=job.state, received=job.received, error=job.error or ""
    )
