"""Where the transports and the firmware floor meet: neither knows the other, both know these words."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from gateway.core.values import Module


class Offer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image that a module should fetch; the fields are those of `down/firmware`.

    `digest` is `sha256:<hexadecimal>`, `signature` base64 of Ed25519, `hmac` hexadecimal, `issued` UTC ms,
    `probe` says how to try the ways before the first image.
    """

    job: str
    serial: str
    version: str
    digest: str
    size: int
    signature: str
    url: str
    chunk_max: int
    type: int
    hardware: tuple[str, ...]
    issued: int
    hmac: str
    probe: dict[str, Any] | None = None


class OfferCarrier(Protocol):
    """A transport that may have a live session of the module."""

    def offer(self, module: Module, offer: Offer) -> bool:
        """Hand it over if the module listens here now."""

    def abort(self, module: Module, job_id: str) -> bool:
        """Tell the module to give the job up, if it listens here now."""


class Updates(Protocol):
    """What a transport hands to the firmware floor."""

    def carry(self, carrier: OfferCarrier) -> None:
        """Add a transport; the first that can deliver does."""

    def heard(self, module: Module, said: Mapping[str, Any]) -> None:
        """The module's word on its job (`up/firmware`); raises `Invalid` for what makes no sense."""

    def chunk(self, module: Module, job_id: str, offset: int, length: int) -> bytes | None:
        """A part of the image for the job under way; empty behind its end; None when it gets nothing.

        Synchronous, because a module asks for a thousand of them. `job_id` `probe` gives the probe.
        """

    def arrived(self, module: Module) -> None:
        """The module listens for offers now: what is due for it goes out."""
