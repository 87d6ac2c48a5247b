"""Updates as pages show them: how far, since when, why, what next, and what it rests on."""

from collections.abc import Iterable
from dataclasses import dataclass

from firmware.house import Firmware
from firmware.values import Job, Step
from gateway.core import clock
from gateway.core.errors import NotFound
from gateway.core.rights import may_see
from gateway.core.values import Module
from web import updatewords
from web.language import gettext as _
from web.recorded import recorded
from web.visit import Visit

PAST = 10
_TRY_AGAIN = ("failed", "rolled_back", "cancelled")


@dataclass(frozen=True, slots=True)
class JobView:
    """`moving`: bytes are on their way; `due_ms`: the time it waits for, if it does."""

    id: str
    module_id: str
    module_title: str
    image_id: int
    serial: str
    version: str
    previous: str
    state: str
    word: str
    icon: str
    since_ms: int
    created_at_ms: int
    received: int
    size: int
    percent: int
    bytes: str
    rate: str
    eta: str
    attempt: int
    due_ms: int | None
    error: str
    next: str
    by: str
    rollout_id: int | None
    open: bool
    again: bool

    @property
    def moving(self) -> bool:
        return self.open and self.state not in ("assigned", "offered")

    @property
    def spent(self) -> bool:
        """Whether the same image needs an admin's word to be offered once more."""
        return self.state == "rolled_back"


def job_view(firmware: Firmware, job: Job) -> JobView:
    core, said = firmware.core, firmware.ledger.describe(job)
    module = core.registry.numbered(job.module_number)
    serial, version = image_names(firmware, job.image_id)
    due = job.due_ms <= clock.now_ms()
    online = module is not None and core.status(module) == "online"
    latest = firmware.ledger.latest(job.module_number)
    return JobView(
        id=job.id,
        module_id=module.id if module else "",
        module_title=(module.name or module.id) if module else _("a module that is gone"),
        image_id=job.image_id,
        serial=serial,
        version=version,
        previous=job.previous,
        state=job.state,
        word=updatewords.state_word(job.state),
        icon=updatewords.state_icon(job.state),
        since_ms=job.since_ms,
        created_at_ms=job.created_at_ms,
        received=job.received,
        size=job.size,
        percent=updatewords.percent(job.received, job.size),
        bytes=updatewords.part(job.received, job.size),
        rate=updatewords.rate(said["rate"]),
        eta=updatewords.eta(said["eta"]),
        attempt=job.attempt,
        due_ms=None if due or job.state != "assigned" else job.due_ms,
        error=recorded(job.error or ""),
        next=updatewords.next_step(
            job.state, due=due, online=online, probation_s=core.settings.probation
        ),
        by=job.by,
        rollout_id=job.rollout_id,
        open=not job.ended,
        again=job.state in _TRY_AGAIN and latest is not None and latest.id == job.id,
    )  # fmt: skip


def image_names(firmware: Firmware, image_id: int) -> tuple[str, str]:
    """Serial and version; an image may have been deleted since."""
    try:
        image = firmware.images.get(image_id)
    except NotFound:
        return _("deleted image %(number)s", number=image_id), ""
    return image.serial, image.version


@dataclass(frozen=True, slots=True)
class StepView:
    state: str
    word: str
    icon: str
    at_ms: int
    evidence: str
    by: str


def step_view(step: Step) -> StepView:
    word, icon = updatewords.state_word(step.state), updatewords.state_icon(step.state)
    return StepView(step.state, word, icon, step.at_ms, recorded(step.evidence), step.by)


def open_jobs(visit: Visit) -> list[Job]:
    """Updates that have not ended, of modules that the visitor looks after."""
    numbered, who = visit.site.core.registry.numbered, visit.person
    known = ((job, numbered(job.module_number)) for job in visit.site.firmware.ledger.open_jobs())
    return [job for job, module in known if module and may_see(who, module.owner_id, module.group)]


def job_views(firmware: Firmware, jobs: Iterable[Job], most: int) -> list[JobView]:
    """Those at work first, then those that wait, the newest of each first."""
    ordered = sorted(jobs, key=lambda job: (job.state == "assigned", -job.since_ms))
    return [job_view(firmware, job) for job in ordered[:most]]


def troubled(firmware: Firmware, modules: Iterable[Module], most: int) -> list[JobView]:
    """Updates that ended badly and are still what the module should have: a person is needed."""
    found = []
    for module in modules:
        job = firmware.ledger.latest(module.number)
        if job is not None and job.state in ("failed", "rolled_back") and module.assigned_firmware:
            found.append(job)
    return [job_view(firmware, job) for job in sorted(found, key=lambda job: -job.since_ms)[:most]]
