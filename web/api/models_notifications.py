"""What programs send and get of alerts and channels. Times are UTC milliseconds."""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.core.notify.alert_rules import MOST_GROUPS, MOST_MINUTES
from gateway.core.notify.channel_values import MAX_NAME, MAX_SECRET, MAX_TEXT, MAX_URL
from web.api.paging import PageQuery
from web.api.table import Model

MAX_RECEIVERS = 5000
Language = Literal["en", "fr"]


class AlertQuery(PageQuery):
    open: bool = Field(False, description="Only those that are open")


class AlertOut(BaseModel):
    id: int
    kind: str
    severity: Literal["info", "warning", "urgent"]
    subject: str = Field(description="What it is about: a module's id, a rollout's number, or nothing")
    text: str
    closing: str | None = Field(description="How it ended")
    opened_at: int
    closed_at: int | None = Field(description="None while it is open")
    seen: bool = Field(description="Whether the person who asks has marked it as seen")


class AlertPage(BaseModel):
    items: list[AlertOut]
    next: str | None


class SeenIn(Model):
    up_to: int | None = Field(None, ge=0, le=2**53, description="All up to this id; else all")


class SeenOut(BaseModel):
    unseen: int


class TargetIn(Model):
    """webhook: `url`; ntfy: `url` of the server and `topic`; email: the others."""

    url: str = Field("", max_length=MAX_URL)
    topic: str = Field("", max_length=MAX_TEXT)
    host: str = Field("", max_length=MAX_TEXT)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field("", max_length=MAX_TEXT)
    receivers: str = Field("", max_length=MAX_RECEIVERS, description="Addresses with commas between")
    user: str = Field("", max_length=MAX_TEXT)


class ChannelIn(Model):
    name: str = Field(max_length=MAX_NAME)
    kind: Literal["webhook", "email", "ntfy"]
    target: TargetIn
    kinds: list[str] = Field([], max_length=50, description="Kinds of alerts; none: all of them")
    closings: bool = Field(True, description="Also tell when it is over")
    quiet_begin: str = Field("", max_length=5, description="Such as 22:00, on the clock of the house")
    quiet_end: str = Field("", max_length=5)
    language: Language = "en"
    active: bool = True
    secret: str = Field("", max_length=MAX_SECRET, description="Signing key, password or token; never shown")


class ChannelPatch(Model):
    name: str | None = Field(None, max_length=MAX_NAME)
    target: TargetIn | None = Field(None, description="Only the fields that change")
    kinds: list[str] | None = Field(None, max_length=50)
    closings: bool | None = None
    quiet_begin: str | None = Field(None, max_length=5)
    quiet_end: str | None = Field(None, max_length=5)
    language: Language | None = None
    active: bool | None = None
    secret: str | None = Field(None, max_length=MAX_SECRET)


class TargetOut(BaseModel):
    url: str = ""
    topic: str = ""
    host: str = ""
    port: int = 587
    security: str = "starttls"
    sender: str = ""
    receivers: str = ""
    user: str = ""


class ChannelOut(BaseModel):
    id: int
    name: str
    kind: Literal["webhook", "email", "ntfy"]
    target: TargetOut
    kinds: list[str]
    closings: bool
    quiet_begin: str
    quiet_end: str
    language: str
    active: bool
    has_secret: bool
    created_at: int
    succeeded_at: int | None
    failed_at: int | None
    fault: str = Field(description="Why the newest attempt failed; empty when it did not")
    dropped: int = Field(description="What it never got, because too much waited or waited too long")


class ChannelMade(ChannelOut):
    secret: str | None = Field(description="The signing key that was made for a webhook; shown this once")


class ChannelPage(BaseModel):
    items: list[ChannelOut]
    next: str | None


class TestOut(BaseModel):
    taken: bool
    fault: str


class RulesIn(Model):
    default: int | None = Field(None, ge=0, le=MOST_MINUTES, description="Minutes; 0: never")
    groups: dict[str, int] = Field({}, max_length=MOST_GROUPS, description="Minutes by group")


class RulesOut(BaseModel):
    default: int
    groups: dict[str, int]
