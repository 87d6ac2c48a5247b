"""How long an update may stay in each state, and what its ledger says when it stayed too long."""

from collections.abc import Callable
from time import monotonic

import msgspec

from firmware.values import Job

DAY_S = 86400.0


class Limit(msgspec.Struct, frozen=True):
    """`there_s` while the module is there, `away_s` while it is not; `following`: what should have come."""

    there_s: float
    away_s: float
    following: str


LIMITS: dict[str, Limit] = {
    "assigned": Limit(30 * DAY_S, 30 * DAY_S, "the module connects where it can be offered an image"),
    "offered": Limit(120, 30 * DAY_S, "the module says that it downloads"),
    "downloading": Limit(600, 7 * DAY_S, "more of the image arrives, or the module says downloaded"),
    "downloaded": Limit(600, 7 * DAY_S, "the module says verified"),
    "verified": Limit(600, 7 * DAY_S, "the module says installing"),
    "installing": Limit(600, 7 * DAY_S, "the module says hello with the new image after its reboot"),
}


class Patience:
    """On the monotonic clock, so a stepped clock ends nothing; a restart of the gateway gives new time."""

    def __init__(self, monotonic_s: Callable[[], float] = monotonic) -> None:
        self._now_s = monotonic_s
        self._since: dict[str, tuple[str, float]] = {}

    def moved(self, job: Job) -> None:
        """It got on within its state."""
        self._since[job.id] = (job.state, self._now_s())

    def forget(self, job_id: str) -> None:
        self._since.pop(job_id, None)

    def keep_only(self, job_ids: set[str]) -> None:
        self._since = {id: since for id, since in self._since.items() if id in job_ids}

    def overrun(self, job: Job, *, there: bool, progressed_s: float | None) -> str | None:
        """A sentence about a job that is over its time; None while it is within."""
        state, since_s = self._since.get(job.id, ("", 0.0))
        if state != job.state:
            self.moved(job)
            return None
        limit = LIMITS[job.state]
        waited_s = self._now_s() - max(since_s, progressed_s or 0.0)
        if waited_s <= (limit.there_s if there else limit.away_s):
            return None
        return (
            f"It was {job.state} for {waited_s:.0f} s with {job.received} of {job.size} bytes; "
            f"next was that {limit.following}."
        )
