"""What programs send and get about firmware. Times are UTC milliseconds, sizes bytes."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from firmware.rollout_values import MemberState, RolloutState
from firmware.values import JobState, Kind
from web.api.models import MAX_TEXT
from web.api.paging import PageQuery
from web.api.table import Model

MAX_NOTES = 4000
MAX_REF = 2**63 - 1
_BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}


class ImageFields(Model):
    """What is told of an image. `hardware`: names that it is for, with commas between; none: for any."""

    serial: str = Field(min_length=1, max_length=64)
    version: str = Field(min_length=1, max_length=64)
    type: int = Field(ge=0, le=2**31 - 1)
    notes: str = Field("", max_length=MAX_NOTES)
    hardware: str = Field("", max_length=2000)
    min_version: str = Field("", max_length=64, description="What a module must run at least to get it")
    signature: str = Field("", max_length=200, description="A vendor's, base64 of Ed25519; else we sign it")


class ImageIn(ImageFields):
    """Read as a stream, so the file is described here and never held."""

    file: Any = Field(json_schema_extra={**_BYTES}, description="At most 64 MB")


class ImageOut(BaseModel):
    id: int
    serial: str
    version: str
    type: int
    size: int
    digest: str = Field(description="`sha256:` and 64 hexadecimal digits")
    md5: str
    kind: Kind
    header: dict[str, Any] = Field(description="What the image says of itself")
    hardware: list[str]
    min_version: str
    signature: str
    signed_by: str = Field(description="`gateway` or a vendor")
    notes: str
    created_at: int
    by: str
    damaged: bool = Field(description="The file is not what was uploaded any more; nobody is offered it")


class ImagePage(BaseModel):
    items: list[ImageOut]
    next: str | None


class PolicyIn(Model):
    require_vendor: bool = Field(description="Only images that a vendor has signed may be assigned")


class VendorKey(BaseModel):
    name: str
    public_key: str


class PolicyOut(BaseModel):
    require_vendor: bool
    public_key: str = Field(description="The gateway's own, base64 of Ed25519")
    keys: list[VendorKey]


class VendorKeyIn(Model):
    name: str = Field(min_length=1, max_length=64)
    public_key: str = Field(min_length=1, max_length=1000, description="Ed25519: base64 of 32 bytes, or PEM")


class AssignmentIn(Model):
    firmware_id: int | None = Field(
        ge=1, le=MAX_REF, strict=True, description="null: nothing is assigned any more"
    )
    not_before: int | None = Field(None, ge=0, le=10**14, description="UTC ms; at once unless told")
    override: bool = Field(False, description="Admins: although something speaks against it")


class JobOut(BaseModel):
    """`module` is null when it was deleted meanwhile."""

    id: str
    module: str | None
    firmware_id: int
    state: JobState
    received: int
    size: int
    since: int
    created_at: int
    attempt: int
    due: int
    error: str | None
    by: str
    rollout_id: int | None
    rate: int | None = Field(description="Bytes per second, while it downloads")
    eta: int | None = Field(description="Seconds until it has everything")


class AssignmentOut(BaseModel):
    job: JobOut | None = Field(description="null when nothing is left to do")


class StepOut(BaseModel):
    state: JobState
    at: int
    evidence: str = Field(description="What the step rests on")
    by: str


class JobWithHistory(JobOut):
    history: list[StepOut]


class JobPage(BaseModel):
    items: list[JobOut]
    next: str | None


class JobQuery(PageQuery):
    module: str = Field("", max_length=64, description="Only those of this module: id, UUID or number")
    state: JobState | Literal["", "open"] = Field("", description="`open`: every state but the last ones")


class RetryIn(Model):
    override: bool = Field(False, description="Admins: although something speaks against it")


class WaveIn(Model):
    """One of the three: named modules, so many percent of those that no wave before has, all the rest."""

    modules: list[str] | None = Field(None, max_length=10_000)
    percent: float | None = Field(None, gt=0, le=100)
    rest: Literal[True] | None = None


class StopIn(Model):
    """One of the two: so many failures, or so many percent of those that have ended."""

    count: int | None = Field(None, ge=1)
    percent: float | None = Field(None, gt=0, le=100)


class WindowIn(Model):
    """Local times such as 22:00, over midnight where `to` is not after `from`. Days: 0 is Monday."""

    from_: str = Field(alias="from", max_length=5)
    to: str = Field(max_length=5)
    days: list[int] | None = Field(None, max_length=7)


class GuardsIn(Model):
    """What must hold of a module before it starts."""

    min_battery: float | None = None
    min_rssi: float | None = None
    not_while: dict[str, Any] | None = Field(None, max_length=20)


class RolloutIn(Model):
    """Exactly one of `modules`, `group` and `type` says who gets the image."""

    name: str = Field(min_length=1, max_length=MAX_TEXT)
    firmware_id: int = Field(ge=1, le=MAX_REF, strict=True)
    modules: list[str] | None = Field(None, max_length=10_000)
    group: str | None = Field(None, max_length=MAX_TEXT)
    type: int | None = Field(None, ge=0)
    waves: list[WaveIn] | None = Field(None, max_length=20, description="One with all, unless told")
    wait_s: float | None = Field(None, ge=0, description="Between a good wave and the next")
    success_percent: float | None = Field(None, ge=0, le=100, description="What makes a wave good")
    stop: StopIn | None = Field(None, description="At the first failure, unless told")
    on_stop: Literal["pause", "revert"] | None = None
    concurrency: int | None = Field(None, ge=1, description="How many may be under way at once")
    window: WindowIn | None = None
    guards: GuardsIn | None = None
    never_both: list[list[str]] | None = Field(None, max_length=10_000, description="Pairs of modules")


class RolloutProgress(BaseModel):
    received: int
    size: int
    percent: float
    rate: int | None
    eta: int | None


class RolloutOut(BaseModel):
    id: int
    name: str
    firmware_id: int
    state: RolloutState
    reason: str = Field(description="Why it stands, or what it waits for")
    wave: int = Field(description="The one it is at, from 0")
    wave_since: int
    waves: list[dict[str, int]] = Field(description="Each wave's size, and how many members in which state")
    counts: dict[str, int] = Field(description="The same of all waves")
    progress: RolloutProgress
    created_at: int
    ended_at: int | None
    by: str
    plan: dict[str, Any]


class MemberOut(BaseModel):
    module: str
    wave: int
    state: MemberState
    job_id: str | None
    note: str
    previous: str = Field(description="The serial it ran before")
    forgiven: bool = Field(description="Its failure does not count any more")


class RolloutWithMembers(RolloutOut):
    members: list[MemberOut]


class RolloutPage(BaseModel):
    items: list[RolloutOut]
    next: str | None
