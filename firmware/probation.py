"""The proof of an update: a new session, a hello with the new digest, and then to stay well for a while."""

from collections.abc import Callable

import msgspec

from firmware.ledger import Ledger
from firmware.values import Job
from gateway.core.registry import Registry

# A module that comes back with the old image may only have lost its connection before its reboot.
GRACE_S = 30.0
_MAY_REBOOT = frozenset({"downloading", "downloaded", "verified", "installing"})


class _Proof(msgspec.Struct):
    """Of one job: a session since it began to install, well since when, what else it said it runs.

    `slept`: since its last hello, so it has to say again what it runs.
    """

    new_session: bool = False
    well_since_s: float | None = None
    slept: bool = False
    other: str = ""
    other_since_s: float = 0.0


class Probation:
    """In memory alone: after a restart of the gateway every module says hello again."""

    def __init__(
        self, registry: Registry, ledger: Ledger, probation_s: float, monotonic_s: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._ledger = ledger
        self._probation_s = probation_s
        self._now_s = monotonic_s
        self._proofs: dict[str, _Proof] = {}

    def begins_anew(self, job: Job) -> None:
        """It is about to reboot: only a session from now on counts."""
        self._proofs[job.id] = _Proof()

    def over(self, job: Job) -> None:
        self._proofs.pop(job.id, None)

    def keep_only(self, job_ids: set[str]) -> None:
        self._proofs = {id: proof for id, proof in self._proofs.items() if id in job_ids}

    def session_opened(self, job: Job) -> None:
        if job.state in _MAY_REBOOT:
            self._of(job).new_session = True

    def said_the_new(self, job: Job, by: str) -> None:
        proof = self._of(job)
        proof.other, proof.slept = "", False
        if not proof.new_session:
            self._ledger.step(job, job.state, "It says the new digest, but in a session from before.", by=by)
        elif proof.well_since_s is None:
            proof.well_since_s = self._now_s()
            text = f"Hello with the assigned digest in a new session; {self._probation_s:g} s on probation."
            self._ledger.step(job, "installing", text, by=by)

    def said_another(self, job: Job, what: str) -> None:
        proof = self._of(job)
        if job.state == "installing" and proof.new_session and not proof.other:
            proof.other, proof.other_since_s, proof.well_since_s = what or "no digest", self._now_s(), None

    def went(self, job: Job, *, asleep: bool) -> None:
        """It is not there: what it had of its probation does not count, unless it said that it sleeps."""
        proof = self._proofs.get(job.id)
        if proof is not None and asleep:
            proof.slept = True
        elif proof is not None and proof.well_since_s is not None:
            proof.well_since_s = None
            self._ledger.step(job, job.state, "It went away during its probation.")

    def tick(self, job: Job) -> bool:
        """Whether this ended the job."""
        proof = self._proofs.get(job.id)
        if proof is None:
            return False
        if proof.other and self._now_s() - proof.other_since_s > GRACE_S:
            cause = f"It came back with {proof.other} after it said that it installs."
            self._ledger.step(job, "rolled_back", cause, error=cause)
        elif self._is_proved(job, proof):
            self._ledger.step(job, "confirmed", f"It stayed well for {self._probation_s:g} s.", error=None)
        else:
            return False
        self.over(job)
        return True

    def _is_proved(self, job: Job, proof: _Proof) -> bool:
        module = self._registry.numbered(job.module_number)
        return (
            proof.well_since_s is not None
            and not proof.slept
            and self._now_s() - proof.well_since_s >= self._probation_s
            and module is not None
            and module.firmware == module.assigned_firmware
        )

    def _of(self, job: Job) -> _Proof:
        return self._proofs.setdefault(job.id, _Proof())
