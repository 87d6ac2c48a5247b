"""The things the gateway knows, as frozen values."""

from typing import Any, Literal

import msgspec

Life = Literal["pending", "approved", "rejected"]
State = Literal["offline", "online", "sleeping", "unknown"]
CommandStatus = Literal["queued", "sent", "accepted", "done", "failed", "rejected", "expired", "canceled"]
FINAL_STATUSES = frozenset({"done", "failed", "rejected", "expired", "canceled"})


class Confidential(msgspec.Struct, frozen=True):
    """Holds a secret: what is printed or logged of it shows no field."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """A device the gateway manages. `declared`: entered by a person before the device ever spoke.

    Three serials of firmware: `firmware` is what it runs, as far as the catalogue knows it,
    `assigned_firmware` what it should run, `reported_firmware` what it said last, known or not.
    """

    id: str
    number: int
    uuid: str
    name: str
    location: str
    group: str = ""
    type: int
    life: Life
    declared: bool = False
    owner_id: int | None = None
    hardware: str = ""
    firmware: str = ""
    assigned_firmware: str = ""
    reported_firmware: str = ""
    address: str = ""
    information: dict[str, Any] = {}
    created_at_ms: int
    registered_at_ms: int | None = None
    expires_at_ms: int | None = None
    decided_by: str = ""
    decided_at_ms: int | None = None
    decision_reason: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A known serial that registered again without its token, beside the untouched module."""

    number: int
    module_id: str
    hardware: str
    firmware: str
    address: str
    information: dict[str, Any]
    created_at_ms: int
    expires_at_ms: int


class Application(Confidential, frozen=True, kw_only=True):
    """What a device says of itself when it registers; all of it unproved."""

    type: int
    serial: str | None = None
    hardware: str = ""
    firmware: dict[str, Any] = {}
    information: dict[str, Any] = {}
    shared_key: str | None = None


class Granted(Confidential, frozen=True, kw_only=True):
    """A registration that was taken. The token is shown here and never again."""

    id: str
    token: str
    status: Literal["pending", "approved"]
    expires_at_ms: int | None
    retry_after_s: int


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Whether newcomers may register; a window is open until `until_ms` (UTC) or its quota is used."""

    mode: Literal["open", "window", "closed"] = "open"
    until_ms: int | None = None
    type: int | None = None
    quota_left: int | None = None

    def is_open(self, now_ms: int, type_code: int) -> bool:
        if self.mode != "window":
            return self.mode == "open"
        return (
            self.until_ms is not None
            and now_ms < self.until_ms
            and (self.quota_left is None or self.quota_left > 0)
            and (self.type is None or self.type == type_code)
        )


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether only admins may log in now, why, and who said so."""

    on: bool = False
    reason: str = ""
    by: str = ""
    by_id: int | None = None
    since_ms: int | None = None


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a module is there, why we think so and since when (UTC ms); `sessions` are its transports."""

    state: State
    reason: str
    since_ms: int
    last_seen_ms: int | None
    session: bool = False
    sessions: tuple[str, ...] = ()
    unstable: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command and its life; `history` holds [status, at_ms] pairs."""

    id: str
    module_id: str
    name: str
    params: dict[str, Any]
    status: CommandStatus
    created_at_ms: int
    expires_at_ms: int | None
    by: str
    result: Any = None
    error: str | None = None
    history: tuple[tuple[str, int], ...] = ()

    @property
    def ended(self) -> bool:
        return self.status in FINAL_STATUSES
