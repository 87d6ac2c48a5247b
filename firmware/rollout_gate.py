"""Whether an update of a rollout may begin now: by wave, window, guards, pairs, and how many are at it."""

from firmware.guards import held_back
from firmware.ledger import Ledger
from firmware.rollout_book import Book
from firmware.rollout_progress import Progress
from firmware.rollout_values import FAILURES, OVER
from firmware.values import UNDER_WAY, Job
from firmware.windows import Site
from gateway.core import clock
from gateway.core.desired import Desired
from gateway.core.presence import PresenceBook
from gateway.core.readings.telemetry import Telemetry
from gateway.core.registry import Registry
from gateway.core.values import Module


class Gate:
    """Asked before a member starts, and again at the moment its module could be offered the image.

    A module may wake days after its update was assigned: what held then need not hold now.
    """

    def __init__(
        self, registry: Registry, presence: PresenceBook, telemetry: Telemetry, desired: Desired,
        ledger: Ledger, book: Book, site: Site,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._presence = presence
        self._telemetry = telemetry
        self._desired = desired
        self._ledger = ledger
        self._book = book
        self._site = site

    def may_begin(self, job: Job) -> bool:
        """Whether this update, which is assigned, may be offered now."""
        progress = self._book.known(job.rollout_id)
        if progress is None or progress.rollout.state in ("done", "reverted"):
            return True
        member, module = progress.members.get(job.module_number), self._registry.numbered(job.module_number)
        if member is None or module is None:
            return True
        # Asked again when there is room; once it has begun, it is no more among the refused.
        progress.refused[job.module_number] = None
        is_back = job.image_id != progress.rollout.image_id
        wanted = "reverting" if is_back else "running"
        if progress.rollout.state != wanted or member.state != wanted:
            return False
        held = self.closed(progress, member.wave) or self.held(progress, module)
        if held != member.note and not is_back:
            progress.set(job.module_number, note=held)
            self._book.write(progress)
        return not held and not self.is_full(progress)

    def is_full(self, progress: Progress) -> bool:
        return len(progress.under_way) >= progress.rollout.plan.concurrency

    def closed(self, progress: Progress, wave: int) -> str:
        """Why nobody of this wave starts now, as a sentence; what goes back goes back at any time."""
        rollout, now_ms = progress.rollout, clock.now_ms()
        if rollout.state == "reverting":
            return ""
        if wave == rollout.wave and now_ms < rollout.wave_since_ms:
            return f"Wave {wave + 1} begins in {(rollout.wave_since_ms - now_ms + 999) // 1000} s."
        window = rollout.plan.window
        if window is not None and not self._site.is_open(window, now_ms):
            return self._site.words(window, now_ms)
        return ""

    def waits(self, progress: Progress) -> str:
        return self.closed(progress, progress.rollout.wave) if progress.rollout.state not in OVER else ""

    def held(self, progress: Progress, module: Module) -> str:
        """What holds this module back now, as a sentence."""
        guards = progress.rollout.plan.guards
        latest, desired = self._telemetry.latest(module.id), self._desired.of(module.id).desired
        others = self._taken_back(progress, module) or self._pair(progress, module)
        return held_back(guards, latest, desired) or others

    def _taken_back(self, progress: Progress, module: Module) -> str:
        """Its update with the same image would be ours, and would be cancelled under our hands."""
        job = self._ledger.open_of(module.number)
        other = self._book.known(job.rollout_id) if job is not None else None
        if other is None or other is progress or other.rollout.state != "cancelled":
            return ""
        return "Its update from a cancelled rollout is being taken back."

    def _pair(self, progress: Progress, module: Module) -> str:
        """One of two only while the other is neither at it nor in trouble: one of them must work."""
        for number in progress.pairs.get(module.number, ()):
            other = self._registry.numbered(number)
            if other is None:
                continue
            job = self._ledger.latest(number)
            if number in progress.acting or (job is not None and job.state in UNDER_WAY):
                return f"Its pair, {other.id}, is being updated."
            member = progress.members.get(number)
            failed = member is not None and member.state in FAILURES and not member.forgiven
            if failed and progress.rollout.state == "running":
                return f"The update of its pair, {other.id}, failed."
            if self._presence.of(other.id).state == "offline":
                return f"Its pair, {other.id}, is offline."
        return ""

    def is_there(self, module: Module) -> bool:
        return self._presence.of(module.id).state == "online"
