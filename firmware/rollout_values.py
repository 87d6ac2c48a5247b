"""Rollouts and their members, as frozen values, and what their states mean."""

from typing import Literal

import msgspec

from firmware.plan import Plan
from firmware.values import ENDED

RolloutState = Literal["running", "paused", "stopped", "cancelled", "reverting", "done", "reverted"]
MemberState = Literal[
    "waiting", "skipped", "running", "confirmed", "failed", "rolled_back", "cancelled", "reverting",
    "reverted",
]  # fmt: skip
OVER: frozenset[str] = frozenset({"cancelled", "done", "reverted"})
MEMBER_ENDED: frozenset[str] = frozenset(
    {"skipped", "confirmed", "failed", "rolled_back", "cancelled", "reverted"}
)
FAILURES = ("failed", "rolled_back")
# Why a job is taken back that did not begin before its rollout stopped; it may begin when that goes on.
STOPPED_FIRST = "The rollout stopped before this began."


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """An image on its way to many modules. `wave` counts from 0 and may start from `wave_since_ms` on."""

    id: int
    name: str
    image_id: int
    plan: Plan
    state: RolloutState
    reason: str = ""
    wave: int = 0
    wave_since_ms: int
    created_at_ms: int
    ended_at_ms: int | None = None
    by: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A module in a rollout. `job_id`: its newest update that this state rests on; `previous`: a serial."""

    number: int
    wave: int
    state: MemberState = "waiting"
    job_id: str = ""
    previous: str = ""
    note: str = ""
    forgiven: bool = False

    @property
    def ended(self) -> bool:
        return self.state in MEMBER_ENDED


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """How far the newest update of a member is, forward or back."""

    id: str
    image_id: int
    state: str
    received: int = 0
    rate: int | None = None
    error: str = ""

    @property
    def open(self) -> bool:
        return self.state not in ENDED
