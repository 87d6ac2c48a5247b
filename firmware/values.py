"""What the firmware floor knows, as frozen values. Times are UTC milliseconds, sizes bytes."""

from typing import Any, Literal

import msgspec

JobState = Literal[
    "assigned", "offered", "downloading", "downloaded", "verified", "installing",
    "confirmed", "failed", "rolled_back", "cancelled",
]  # fmt: skip
ENDED: frozenset[str] = frozenset({"confirmed", "failed", "rolled_back", "cancelled"})
# In these the module is at work on it, so it counts towards how many may be at once.
UNDER_WAY: frozenset[str] = frozenset({"offered", "downloading", "downloaded", "verified", "installing"})
# What a module may say of its job.
SAID: frozenset[str] = frozenset(
    {"downloading", "downloaded", "verified", "installing", "failed", "rolled_back"}
)
# What `received` of an update says at least once the module may have been sent something, however much.
SENT_BEFORE = 1
# Why an update is cancelled whose module says by its digest that it runs the image.
ALREADY = "It runs this image already, by its own word; this attempt sent nothing."
Kind = Literal["esp32", "esp8266", "micropython", "other"]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What an image says of itself; what it does not say is empty.

    `chip`: such as `esp32-s3`. `elf_digest`: hexadecimal SHA-256 of the ELF file. `flash_size`: bytes, 0 when
    not said.
    """

    kind: Kind = "other"
    chip: str = ""
    project: str = ""
    version: str = ""
    elf_digest: str = ""
    flash_size: int = 0
    details: dict[str, Any] = {}


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image of the catalogue. `digest` and `md5` are hexadecimal; `hardware` empty: for any."""

    id: int
    serial: str
    version: str
    type: int
    digest: str
    md5: str
    size: int
    header: Header
    hardware: tuple[str, ...] = ()
    min_version: str = ""
    notes: str = ""
    signature: str = ""
    signed_by: str = ""
    created_at_ms: int
    by: str


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One update of one module. `previous`: the serial it ran before. `due_ms`: not before this time."""

    id: str
    module_number: int
    image_id: int
    previous: str
    state: JobState
    attempt: int = 0
    received: int = 0
    size: int
    due_ms: int
    since_ms: int
    created_at_ms: int
    error: str | None = None
    by: str
    rollout_id: int | None = None
    override: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a job's ledger: what it became, when, and what that rests on."""

    state: JobState
    at_ms: int
    evidence: str
    by: str
