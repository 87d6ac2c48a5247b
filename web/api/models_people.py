"""What programs send and get about people, their sessions and tokens. Times are UTC milliseconds."""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.core.access.invitations import DEFAULT_DAYS, MAX_DAYS, MAX_NOTE
from gateway.core.access.personal_tokens import MAX_DAYS as MAX_TOKEN_DAYS
from gateway.core.access.personal_tokens import MAX_NAME
from gateway.core.rights import Role, ServiceRole
from web.api.models import MAX_PASSWORD, MAX_TEXT, Credentials, UserOut
from web.api.table import Model

MAX_USERNAME = 64


class LogIn(Credentials):
    code: str = Field("", max_length=40, description="Of the second factor, or a recovery code")


class SessionOut(BaseModel):
    id: int
    kind: Literal["browser", "api"]
    address: str
    agent: str = Field(description="What the browser or program said it is")
    created_at: int
    seen_at: int = Field(description="To the minute")
    expires_at: int
    current: bool = Field(description="Whether this call came with it")


class SessionPage(BaseModel):
    items: list[SessionOut]
    next: str | None


class EverywhereQuery(Model):
    tokens: bool = Field(False, description="Revoke one's tokens too")


class Ended(BaseModel):
    sessions: int = Field(description="How many have ended")


class OwnAccount(UserOut):
    second_factor: bool
    recovery_codes: int = Field(description="How many were not used yet")


class UserDetail(UserOut):
    second_factor: bool
    sessions: int = Field(description="How many are live")
    tokens: int = Field(description="How many of one's own making")
    groups: list[str]
    acts: bool


class ScopeIn(Model):
    """A user sees these groups beside his own modules; a technician looks after no others."""

    groups: list[str] = Field(default_factory=list, max_length=50)
    acts: bool = Field(True, description="False: a user who may look and nothing else")


class OwnPatch(Model):
    name: str | None = Field(None, max_length=MAX_TEXT)
    email: str | None = Field(None, max_length=MAX_TEXT)


class TokenIn(Model):
    name: str = Field(min_length=1, max_length=MAX_NAME)
    scope: Literal["read", "act"] = "read"
    role: Role | None = Field(None, description="The most it may be; one's own unless told")
    days: int | None = Field(90, ge=1, le=MAX_TOKEN_DAYS, description="null: it does not end by itself")


class TokenOut(BaseModel):
    id: int
    name: str
    scope: Literal["read", "act"]
    role: Role
    created_at: int
    expires_at: int | None
    used_at: int | None = Field(description="To the minute")


class TokenMade(TokenOut):
    token: str = Field(description="Shown this once")


class TokenPage(BaseModel):
    items: list[TokenOut]
    next: str | None


class InvitationIn(Model):
    role: Role = Role.USER
    groups: list[str] = Field(default_factory=list, max_length=50, description="Groups of modules")
    note: str = Field("", max_length=MAX_NOTE, description="For whom it is")
    days: int = Field(DEFAULT_DAYS, ge=1, le=MAX_DAYS)


class InvitationOut(BaseModel):
    id: int
    role: Role
    groups: list[str]
    note: str
    by: str
    created_at: int
    expires_at: int


class InvitationMade(InvitationOut):
    code: str = Field(description="Shown this once")
    link: str = Field(description="For a browser; the code is behind the #, which no server sees")


class InvitationPage(BaseModel):
    items: list[InvitationOut]
    next: str | None


class Newcomer(Model):
    username: str = Field(min_length=1, max_length=MAX_USERNAME)
    password: str = Field(max_length=MAX_PASSWORD)
    name: str = Field("", max_length=MAX_TEXT)
    email: str = Field("", max_length=MAX_TEXT)


class Acceptance(Newcomer):
    code: str = Field(max_length=60)


class SignUpIn(Newcomer):
    note: str = Field("", max_length=500, description="Who it is, and why")


class SignUpOut(BaseModel):
    id: int
    username: str
    name: str
    email: str
    note: str
    address: str
    created_at: int


class SignUpPage(BaseModel):
    items: list[SignUpOut]
    next: str | None


class Admission(Model):
    role: Role = Role.USER
    username: str = Field("", max_length=MAX_USERNAME, description="Another one than was asked for")


class ServiceRights(BaseModel):
    name: str
    role: ServiceRole
    rights: list[str] = Field(description="What it may over MQTT, in words")


class AccessKey(BaseModel):
    kid: str
    since: int | None = Field(description="Null: since the beginning")
