"""Between the ledger's values and their rows; the functions run inside a transaction."""

from typing import Any

from peewee import JOIN, fn

from firmware.values import UNDER_WAY, Job, Step
from gateway.storage.models import ModuleRow, proxy
from gateway.storage.models_firmware import JobRow, StepRow

_FIELDS = Job.__struct_fields__
OPEN = frozenset({"assigned"}) | UNDER_WAY
# Steps of a whole fleet may share a commit, for which acknowledgements wait; so nothing is composed anew.
_UPDATE = (
    "UPDATE firmware_job SET state = ?, attempt = ?, received = ?, due_ms = ?, since_ms = ?, error = ?, "
    '"override" = ? WHERE id = ?'
)
_STEP = (
    'INSERT INTO firmware_step (job_id, module_number, state, at_ms, evidence, "by") '
    "VALUES (?, ?, ?, ?, ?, ?)"
)


def _columns(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in _FIELDS}


def _job(row: JobRow) -> Job:
    return Job(**{name: getattr(row, name) for name in _FIELDS})


def insert_job(job: Job, first: Step) -> None:
    JobRow.insert(**_columns(job)).execute()
    insert_step(job, first)


def update_job(job: Job) -> None:
    """All that changes in the course of a job."""
    changed = [job.state, job.attempt, job.received, job.due_ms, job.since_ms, job.error, job.override]
    _execute(_UPDATE, [*changed, job.id])


def update_jobs(jobs: list[Job]) -> None:
    for job in jobs:
        update_job(job)


def insert_step(job: Job, step: Step) -> None:
    _execute(_STEP, [job.id, job.module_number, step.state, step.at_ms, step.evidence, step.by])


def _execute(sql: str, values: list[Any]) -> None:
    proxy.connection().cursor().execute(sql.replace("?", proxy.param), values)


def load_latest() -> list[Job]:
    """The newest job of every module; an older one is not open, and if a write failed once, no longer."""
    newest = JobRow.select(fn.MAX(JobRow.number)).group_by(JobRow.module_number)
    left_open = JobRow.state.in_(OPEN) & JobRow.number.not_in(newest)
    JobRow.update(state="cancelled", error="Another took its place.").where(left_open).execute()
    return [_job(row) for row in JobRow.select().where(JobRow.number.in_(newest))]


def load_verdicts() -> list[Job]:
    """For each module and image the newest job that was confirmed or rolled back."""
    newest = JobRow.select(fn.MAX(JobRow.number)).where(JobRow.state.in_(("confirmed", "rolled_back")))
    newest = newest.group_by(JobRow.module_number, JobRow.image_id)
    return [_job(row) for row in JobRow.select().where(JobRow.number.in_(newest))]


def load_job(id: str) -> Job | None:
    row = JobRow.get_or_none(JobRow.id == id)
    return None if row is None else _job(row)


def load_steps(job_id: str) -> list[Step]:
    rows = StepRow.select().where(StepRow.job_id == job_id).order_by(StepRow.number)
    return [_step(row) for row in rows]


def _step(row: Any) -> Step:
    return Step(state=row.state, at_ms=row.at_ms, evidence=row.evidence, by=row.by)


def load_page(
    *, module_number: int | None, states: tuple[str, ...], before: int | None, limit: int,
    owner_id: int | None = None,
) -> list[tuple[int, Job]]:  # fmt: skip
    """Jobs and their places in the order, newest first; `before` is the place of the last of a page before.

    With `owner_id` only those of modules that this person owns.
    """
    query = JobRow.select().order_by(JobRow.number.desc()).limit(limit)
    if module_number is not None:
        query = query.where(JobRow.module_number == module_number)
    if states:
        query = query.where(JobRow.state.in_(states))
    if before is not None:
        query = query.where(JobRow.number < before)
    if owner_id is not None:
        owned = ModuleRow.select(ModuleRow.number).where(ModuleRow.owner_id == owner_id)
        query = query.where(JobRow.module_number.in_(owned))
    return [(row.number, _job(row)) for row in query]


def load_rollout(rollout_id: int) -> list[Job]:
    """The jobs of a rollout, oldest first."""
    rows = JobRow.select().where(JobRow.rollout_id == rollout_id).order_by(JobRow.number)
    return [_job(row) for row in rows]


def modules_to_update(now_ms: int) -> list[tuple[int, str | None]]:
    """Modules whose firmware is not the assigned one and due: (number, id of the newest job or None).

    A module that never said what it runs is one of them. One whose update failed or was taken back is not,
    until a person says so; one that had it, and came back with another, is. An update that waits is one in
    any case: that its module says the serial already, without a digest, proves nothing.
    """
    every = JobRow.alias()
    latest = every.select(fn.MAX(every.number).alias("newest"), every.module_number)
    latest = latest.group_by(every.module_number).alias("latest")
    query = (
        ModuleRow.select(ModuleRow.number, JobRow.id)
        .join(latest, JOIN.LEFT_OUTER, on=(latest.c.module_number == ModuleRow.number))
        .join(JobRow, JOIN.LEFT_OUTER, on=(JobRow.number == latest.c.newest))
        .where(
            ModuleRow.life == "approved",
            ModuleRow.assigned_firmware != "",
            ((JobRow.state == "assigned") & (JobRow.due_ms <= now_ms))
            | (
                (JobRow.id.is_null() | (JobRow.state == "confirmed"))
                & (ModuleRow.assigned_firmware != ModuleRow.firmware)
            ),
        )
    )
    rows: Any = query.tuples()
    return [(number, job_id) for number, job_id in rows]
