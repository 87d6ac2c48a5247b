"""The course of an update: what the module says and does, and what time does, becomes steps of its job."""

import secrets
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import msgspec

from firmware.catalogue import Catalogue
from firmware.ledger import Ledger
from firmware.patience import Patience
from firmware.probation import Probation
from firmware.running import Running
from firmware.values import ALREADY, SAID, SENT_BEFORE, Image, Job, JobState
from gateway.core import clock
from gateway.core.errors import Invalid
from gateway.core.events import Hub, PresenceChanged, SessionOpened
from gateway.core.presence import PresenceBook
from gateway.core.registry import GATEWAY, Registry
from gateway.core.values import Module

MOST_ATTEMPTS = 5
MOST_STEPS = 500
MAX_ERROR = 500
# What comes only after the image arrived.
_NEEDS_IMAGE = frozenset({"downloaded", "verified", "installing"})
# So many of those who wait are looked at in one turn.
LOOK_AT = 500
# In these nothing of the present attempt was sent.
_BEFORE_IT_FETCHES = frozenset({"assigned", "offered"})
NEVER_SENT = "It says that it has an image that was never sent to it."
Abort = Callable[[Module, str], None]


class Course:
    def __init__(
        self, hub: Hub, registry: Registry, presence: PresenceBook, images: Catalogue, ledger: Ledger,
        running: Running, *, probation_s: float, retry_s: float, monotonic_s: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._presence = presence
        self._images = images
        self._ledger = ledger
        self._retry_s = retry_s
        self._patience = Patience(monotonic_s)
        self._probation = Probation(registry, ledger, probation_s, monotonic_s)
        self._abort: Abort = lambda module, job_id: None
        self._to_look_at: list[Job] = []
        running.tell(self._hello)
        hub.subscribe(SessionOpened, self._session_opened)
        hub.subscribe(PresenceChanged, self._presence_changed)

    def abort_with(self, abort: Abort) -> None:
        """How a module is told that its job is over."""
        self._abort = abort

    # What the module says

    def heard(self, module: Module, said: Mapping[str, Any]) -> None:
        """`up/firmware`; raises `Invalid` for what makes no sense."""
        state, id = said.get("state"), said.get("job")
        if not isinstance(state, str) or state not in SAID or not isinstance(id, str):
            raise Invalid("no such state")
        job = self._ledger.latest(module.number)
        if job is None or job.id != id:
            self._abort(module, id[:32])
            return
        received = said.get("received", 0)
        if type(received) is not int or not 0 <= received <= job.size:
            raise Invalid("received is outside the image")
        error = said.get("error")
        reason = error[:MAX_ERROR] if isinstance(error, str) and error else "It gave no reason."
        if job.ended:
            self._said_too_late(module, job, state, reason)
        elif self._said_too_much(module, job):
            pass
        elif job.state == "assigned" and job.due_ms > clock.now_ms() and state != "rolled_back":
            # Said twice, or on its way when the attempt ended: the next one has not begun.
            self._abort(module, job.id)
        elif state == "failed":
            if job.received == job.size:
                # It may have got other bytes than the digest is of.
                self._images.doubt(self._images.get(job.image_id))
            self.fail(module, job, f"The module: {reason}", by=module.id)
        elif state == "rolled_back":
            self._probation.over(job)
            self._ledger.step(job, "rolled_back", reason, by=module.id, error=reason)
        else:
            self._works(module, job, msgspec.convert(state, JobState), said)

    def _said_too_much(self, module: Module, job: Job) -> bool:
        if self._ledger.steps(job) <= MOST_STEPS:
            return False
        self.fail(module, job, "It said too much about this update, or came and went too often.", final=True)
        return True

    def _said_too_late(self, module: Module, job: Job, state: str, reason: str) -> None:
        if job.state == "confirmed" and state == "rolled_back":
            text = f"After its confirmation: {reason}"
            self._ledger.step(job, "rolled_back", text, by=module.id, error=text)
        elif job.state != "confirmed":
            self._abort(module, job.id)

    def _works(self, module: Module, job: Job, state: JobState, said: Mapping[str, Any]) -> None:
        """How far it is counts by what was sent to it, not by what it says to have."""
        if state in _NEEDS_IMAGE and not job.received:
            self.fail(module, job, NEVER_SENT, final=True)
            return
        if state == job.state:
            self._patience.moved(job)
            return
        if state == "installing":
            self._probation.begins_anew(job)
        sent = f"{job.received} of {job.size} bytes were sent."
        if job.attempt and job.received == SENT_BEFORE:
            sent = "An earlier attempt was sent the image."
        text = f"{_evidence(state, said)} {sent}"
        self._ledger.step(job, state, text, by=module.id)

    def given(self, job: Job, received: int, how: str) -> Job:
        """So many bytes were handed to the module."""
        if job.state in ("assigned", "offered"):
            job = self._ledger.step(job, "downloading", f"It fetches over {how}.")
        return self._ledger.progress(job, received)

    def _hello(self, module: Module, image: Image | None, serial: str, digest: str) -> None:
        job = self._ledger.open_of(module.number)
        if job is None:
            return
        if self._said_too_much(module, job):
            return
        wanted = self._images.get(job.image_id)
        if image is None or image.id != wanted.id:
            self._probation.said_another(job, serial or digest[:12])
        elif not digest:
            self._ledger.step(job, job.state, "It says the new serial, but no digest; that proves nothing.")
        elif not job.received or job.state in _BEFORE_IT_FETCHES:
            self._ledger.step(job, "cancelled", ALREADY, by=module.id, error=ALREADY)
            self._abort(module, job.id)
        else:
            self._probation.said_the_new(job, module.id)

    # What it does

    def _session_opened(self, event: SessionOpened) -> None:
        module = self._registry.known(event.module_id)
        job = self._ledger.open_of(module.number) if module else None
        if job is not None:
            self._probation.session_opened(job)

    def _presence_changed(self, event: PresenceChanged) -> None:
        module = self._registry.known(event.module_id)
        job = self._ledger.open_of(module.number) if module else None
        if module is None or job is None or event.after == "online":
            return
        self._probation.went(job, asleep=event.after == "sleeping")
        if job.state == "offered" and not self._said_too_much(module, job):
            self._ledger.step(job, "assigned", f"It went {event.after} before it answered.")
        self._ledger.rests(job)

    # What time does

    def tick(self) -> None:
        """Once a second: everybody at work, and of the others as many as cost nobody else anything."""
        if not self._to_look_at:
            self._begin_round()
        some, self._to_look_at = self._to_look_at[:LOOK_AT], self._to_look_at[LOOK_AT:]
        for job in self._ledger.at_work() + [job for job in some if self._is_still(job)]:
            module = self._registry.numbered(job.module_number)
            if module is not None and not self._probation.tick(job):
                self._check_time(module, job)
        self._ledger.tick()

    def _begin_round(self) -> None:
        self._to_look_at = self._ledger.resting()
        open_ids = {job.id for job in self._ledger.at_work() + self._to_look_at}
        self._patience.keep_only(open_ids)
        self._probation.keep_only(open_ids)

    def _is_still(self, job: Job) -> bool:
        """Whether nothing came of it since the round began."""
        return self._ledger.latest(job.module_number) is job

    def _check_time(self, module: Module, job: Job) -> None:
        if job.state == "assigned" and job.due_ms > clock.now_ms():
            self._patience.moved(job)
            return
        there = self._presence.of(module.id).state == "online"
        cause = self._patience.overrun(job, there=there, progressed_s=self._ledger.progressed_s(job))
        if cause is not None:
            self._abort(module, job.id)
            self.fail(module, job, cause, final=job.state == "assigned")

    def fail(self, module: Module, job: Job, cause: str, *, final: bool = False, by: str = GATEWAY) -> Job:
        """The attempt failed: it is tried again later, or given up after the last."""
        self._patience.forget(job.id)
        self._probation.over(job)
        attempt = job.attempt + 1
        if final or attempt >= MOST_ATTEMPTS:
            return self._ledger.step(job, "failed", cause, by=by, error=cause, attempt=attempt)
        wait_s = self._retry_s * 2**job.attempt * (1 + secrets.randbelow(100) / 1000)
        text = f"{cause} Attempt {attempt} of {MOST_ATTEMPTS}; the next in {wait_s:.0f} s."
        due_ms = clock.now_ms() + int(wait_s * 1000)
        return self._ledger.step(
            job, "assigned", text, by=by, error=cause, attempt=attempt, due_ms=due_ms,
            received=min(job.received, SENT_BEFORE),
        )  # fmt: skip


def _evidence(state: str, said: Mapping[str, Any]) -> str:
    """What the module added to its word, as a sentence."""
    words = [f"The module says {state}."]
    if said.get("transport") in ("http", "mqtt"):
        words.append(f"It chose {said['transport']}.")
    probe = said.get("probe")
    if isinstance(probe, dict):
        ways = [f"{way} {'works' if probe.get(way) is True else 'fails'}" for way in ("http", "mqtt")]
        words.append(f"Its probe: {', '.join(ways)}.")
    return " ".join(words)
