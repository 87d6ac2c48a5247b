"""What follows from what: pure decisions about a rollout and its members."""

from collections.abc import Callable
from typing import Any

import msgspec

from firmware.rollout_progress import Progress
from firmware.rollout_values import FAILURES, STOPPED_FIRST, Attempt, Member, Rollout
from gateway.core.errors import Conflict

# Which states a step that a person takes is for.
STEPS: dict[str, tuple[str, ...]] = {
    "pause": ("running",),
    "resume": ("paused", "stopped"),
    "cancel": ("running", "paused", "stopped", "reverting"),
    "retry": ("running", "paused", "stopped", "done"),
    "revert": ("running", "paused", "stopped", "done", "cancelled"),
}


def check_step(rollout: Rollout, step: str) -> None:
    if rollout.state not in STEPS[step]:
        states = " or ".join(STEPS[step])
        raise Conflict(
            "The rollout is %(state)s; %(step)s is for one that is %(states)s.",
            state=rollout.state,
            step=step,
            states=states,
        )


# A member, after its update took a step


def follow(rollout: Rollout, member: Member, job: Attempt, runs: bool) -> Member:
    """What a member is now that its update is so far. `runs`: it says to run that image."""
    back = job.image_id != rollout.image_id
    return _back(rollout, member, job, runs) if back else _forth(rollout, member, job, runs)


def _forth(rollout: Rollout, member: Member, job: Attempt, runs: bool) -> Member:
    known = job.id == member.job_id
    if member.state in ("reverting", "reverted"):
        return member
    if known and member.state not in ("running", "confirmed", "cancelled"):
        return member
    if job.open:
        if member.state == "running" and known:
            return member
        if known or rollout.state in ("cancelled", "reverting"):
            return member
        return _with(member, job, "running", "", forgiven=False)
    if job.state == "cancelled":
        return _taken_back(rollout, member, job, runs)
    return _with(member, job, job.state, job.error)


def _taken_back(rollout: Rollout, member: Member, job: Attempt, runs: bool) -> Member:
    if runs:
        return _with(member, job, "confirmed", job.error)
    if job.error == STOPPED_FIRST and rollout.state in ("running", "paused", "stopped"):
        return _with(member, job, "waiting", "")
    if member.state == "cancelled":
        return member
    return _with(member, job, "cancelled", job.error)


def _back(rollout: Rollout, member: Member, job: Attempt, runs: bool) -> Member:
    if member.state != "reverting":
        return member
    if job.open:
        return msgspec.structs.replace(member, job_id=job.id)
    if job.state == "confirmed" or (job.state == "cancelled" and runs):
        return _with(member, job, "reverted", member.note)
    return _with(member, job, "failed", f"It could not be reverted: {job.error}")


def _with(member: Member, job: Attempt, state: str, note: str, **more: Any) -> Member:
    return msgspec.structs.replace(member, state=state, job_id=job.id, note=note, **more)


# The rollout as a whole


def stop_reason(progress: Progress, without: frozenset[int] = frozenset()) -> str:
    """Why it must stop now, as a sentence; empty: it need not.

    A percentage is of the updates that have ended, however few: at one in one it is 100.
    """
    failures = [member for member in progress.failures() if member.number not in without]
    stop = progress.rollout.plan.stop
    if not failures:
        return ""
    count = len(failures)
    if stop.count:
        words = f"Failed updates: {count}; {stop.count} are enough to stop. {_cause(failures)}"
        return words if count >= stop.count else ""
    ended = progress.count("confirmed") + count
    if 100 * count >= stop.percent * ended:
        return f"{count} of {ended} updates failed, which is {stop.percent:g} % or more. {_cause(failures)}"
    return ""


def _cause(failures: list[Member]) -> str:
    return f"The last cause: {failures[-1].note or 'none was given'}"


def wave_fault(progress: Progress) -> str:
    """Why nothing may follow a wave that is over; empty: it was good enough.

    Whom nothing could be sent to (skipped) says nothing about the image, unless it was nobody else.
    """
    rollout = progress.rollout
    counts = progress.counts(rollout.wave)
    ended = [progress.members[number] for number in progress.of(*FAILURES, "cancelled", wave=rollout.wave)]
    against = sum(not member.forgiven for member in ended)
    good = counts.get("confirmed", 0)
    skipped = [progress.members[number] for number in progress.of("skipped", wave=rollout.wave)]
    if not ended and not good and any(not member.forgiven for member in skipped):
        return f"No module of wave {rollout.wave + 1} could get the image. {skipped[0].note}"
    if 100 * good < rollout.plan.success_percent * (good + against):
        least = f"{rollout.plan.success_percent:g} %"
        return f"{good} of {good + against} modules of wave {rollout.wave + 1} were confirmed, not {least}."
    return ""


def next_wave(progress: Progress) -> int | None:
    """The next one that has members."""
    following = range(progress.rollout.wave + 1, len(progress.rollout.plan.waves))
    return next((wave for wave in following if progress.counts(wave)), None)


def forgive(progress: Progress) -> int:
    """What failed so far does not count any more; how many these were."""
    numbers = [*progress.of(*FAILURES, "cancelled", "skipped")]
    for number in numbers:
        progress.set(number, forgiven=True)
    return len(numbers)


def turn_back(progress: Progress, has_it: Callable[[int], bool], reason: str) -> int:
    """Everybody who got or is getting the image is to get back what he had; how many these are."""
    having = [number for number in progress.members if has_it(number)]
    for number in [*progress.of("waiting")]:
        progress.set(number, state="cancelled", note="The rollout was taken back before its turn.")
    for number in having:
        member = progress.members[number]
        note = f"Before: {member.note}" if member.state in FAILURES and member.note else ""
        progress.set(number, state="reverting", note=note)
    progress.change(state="reverting", reason=reason, ended_at_ms=None)
    return len(having)


def call_off(progress: Progress, reason: str, now_ms: int) -> None:
    """It ends here: nobody begins, and what is under way is taken back."""
    for number in [*progress.of("waiting", "running", "reverting")]:
        progress.set(number, state="cancelled", note=reason)
    progress.change(state="cancelled", reason=reason, ended_at_ms=now_ms)
