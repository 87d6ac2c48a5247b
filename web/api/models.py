"""What programs send and get. Times are UTC milliseconds."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from gateway.core.rights import Role, ServiceRole
from web.api.table import Model

MAX_TEXT = 200
MAX_PASSWORD = 256


class Credentials(Model):
    username: str = Field(max_length=64)
    password: str = Field(max_length=MAX_PASSWORD)


class RefreshToken(Model):
    refresh_token: str = Field(max_length=200)


class TokenPair(BaseModel):
    access_token: str
    refresh_token: str
    expires_in: int = Field(description="Seconds the access token is good for")


class ModuleOut(BaseModel):
    """A module as whoever may see it sees it."""

    id: str
    number: int
    uuid: str
    name: str
    location: str
    group: str
    type: int
    status: Literal["pending", "rejected", "offline", "online", "sleeping", "unknown"]
    reason: str
    since: int
    last_seen: int | None
    session: bool = Field(description="Whether a transport has a live session of it")
    unstable: bool = Field(description="It keeps coming and going")
    owner_id: int | None
    hardware: str
    telemetry: dict[str, Any] = Field(description="The newest values")
    desired: dict[str, Any]
    reported: dict[str, Any]
    current_firmware: str | None
    assigned_firmware: str | None = Field(description="The serial it should run")
    reported_firmware: str | None = Field(description="What it said last, known to us or not")
    registered_at: int | None
    created_at: int
    expires_at: int | None


class DesiredIn(Model):
    """`version` is the one the change was made from, so that nobody overwrites another's unseen."""

    version: int = Field(ge=0)
    values: dict[str, Any] = Field(max_length=64)


class DesiredOut(BaseModel):
    version: int
    values: dict[str, Any]
    reported_version: int
    reported: dict[str, Any]


class ModulePage(BaseModel):
    items: list[ModuleOut]
    next: str | None


class ModulePatch(Model):
    name: str | None = Field(None, max_length=MAX_TEXT)
    location: str | None = Field(None, max_length=MAX_TEXT)
    group: str | None = Field(None, max_length=MAX_TEXT)
    owner_id: int | None = Field(None, ge=1)


class Approval(Model):
    code: str = Field("", max_length=64, description="What the device shows, where the gateway asks for it")


class Rejection(Model):
    reason: str = Field("", max_length=500)


class NewToken(BaseModel):
    token: str = Field(description="Shown this once")


class CommandIn(Model):
    command: str = Field(min_length=1, max_length=64)
    params: dict[str, Any] = Field(default_factory=dict)
    expires_in: float | None = Field(None, gt=0, description="Seconds; an action's default is 60")


class CommandAccepted(BaseModel):
    id: str
    status: str


class CommandOut(BaseModel):
    id: str
    module_id: str
    command: str
    params: dict[str, Any]
    status: Literal["queued", "sent", "accepted", "done", "failed", "rejected", "expired", "canceled"]
    created_at: int
    expires_at: int | None
    by: str
    result: Any
    error: str | None
    history: list[tuple[str, int]] = Field(description="[status, at] pairs")


class CommandPage(BaseModel):
    items: list[CommandOut]
    next: str | None


class Point(BaseModel):
    ts: int
    value: Any


class Points(BaseModel):
    items: list[Point] = Field(description="In order of time")
    next: str | None = Field(description="A cursor for what lies before the first of them")


class JoinIn(Model):
    mode: Literal["open", "window", "closed"]
    seconds: int = Field(300, ge=10, le=3600, description="Of a window")
    type: int | None = Field(None, ge=0, description="Of a window: only this type")
    quota: int | None = Field(20, ge=1, le=10_000, description="Of a window: how many may come")


class JoinOut(BaseModel):
    mode: Literal["open", "window", "closed"]
    until: int | None
    type: int | None
    quota_left: int | None


class KeepIn(Model):
    """For how many days; what is not said is as the house has it."""

    raw_days: int | None = Field(None, ge=1, le=3650)
    five_minutes_days: int | None = Field(None, ge=2, le=3660)
    hours_days: int | None = Field(None, ge=1, le=36500)


class TypeChange(Model):
    """A declaration; keys, commands and events as the built-in types have them.

    `version` is the one the change was made from, so that nobody overwrites another's unseen.
    """

    name: str = Field(min_length=1, max_length=100)
    suffix: str = Field("", max_length=16)
    open: bool = False
    power: Literal["mains", "battery"] = "mains"
    timeout_s: float | None = Field(None, gt=0, description="Silence before offline; by power if not said")
    keys: dict[str, dict[str, Any]] = Field(default_factory=dict)
    commands: dict[str, dict[str, Any]] = Field(default_factory=dict)
    events: dict[str, dict[str, Any]] = Field(default_factory=dict)
    restore: list[list[str]] = Field(
        default_factory=list, description="Groups of settings; the first of each is said again on return"
    )
    keep: KeepIn = Field(default_factory=KeepIn)
    version: str = Field("", max_length=64)


class TypeIn(TypeChange):
    code: int = Field(ge=100, le=2**31 - 1)


class TypeOut(BaseModel):
    code: int
    name: str
    suffix: str
    open: bool
    power: Literal["mains", "battery"]
    timeout_s: float
    keys: dict[str, Any]
    commands: dict[str, Any]
    events: dict[str, Any]
    restore: list[list[str]]
    keep: dict[str, int] = Field(description="Days of each level of the history, where the type says so")
    own: bool = Field(description="Declared by an admin, so it can be changed")
    version: str


class TypePage(BaseModel):
    items: list[TypeOut]
    next: str | None


class UserIn(Model):
    username: str = Field(min_length=1, max_length=64)
    password: str = Field(max_length=MAX_PASSWORD)
    role: Role = Role.USER
    name: str = Field("", max_length=MAX_TEXT)
    email: str = Field("", max_length=MAX_TEXT)


class UserPatch(Model):
    role: Role | None = None
    active: bool | None = None
    name: str | None = Field(None, max_length=MAX_TEXT)
    email: str | None = Field(None, max_length=MAX_TEXT)


class UserOut(BaseModel):
    id: int
    username: str
    name: str
    email: str
    role: Role
    active: bool
    created_at: int
    last_login: int | None


class UserPage(BaseModel):
    items: list[UserOut]
    next: str | None


class ServiceIn(Model):
    name: str = Field(min_length=1, max_length=64)
    role: ServiceRole = ServiceRole.READER


class ServiceOut(BaseModel):
    id: int
    name: str
    role: ServiceRole
    created_at: int


class ServiceMade(ServiceOut):
    token: str = Field(description="Shown this once")


class ServicePage(BaseModel):
    items: list[ServiceOut]
    next: str | None


class AuditOut(BaseModel):
    number: int
    at: int
    level: str
    who: str
    role: str = Field(description="In which role; empty: not a person or an account, or of an older row")
    action: str
    subject: str
    address: str = Field(description="Where the request came from; empty: from the gateway itself")
    details: dict[str, Any]


class AuditPage(BaseModel):
    items: list[AuditOut]
    next: str | None


class Problem(BaseModel):
    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable short name of the kind of refusal")
