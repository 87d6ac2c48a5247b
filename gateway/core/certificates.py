"""What is known of the certificate we show, and the warning that it ends soon."""

from dataclasses import dataclass
from typing import Protocol

from gateway.core.events import Event

# So many days before its end people are warned.
WARN_DAYS = 30


@dataclass(frozen=True, slots=True)
class CertificateExpires(Event):
    """The certificate of the web and MQTT ends in `days` (0: it has ended); told once a day."""

    days: int


@dataclass(frozen=True, slots=True)
class CertificateChanged(Event):
    """Another certificate is shown to who connects from here on; it ends in `days`."""

    days: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """`fingerprint` is SHA-256 in hexadecimal; `own`: made by the gateway's own authority."""

    names: tuple[str, ...]
    issuer: str
    fingerprint: str
    ends_at_ms: int
    own: bool
    ca_fingerprint: str = ""


class Certificates(Protocol):
    """`problem`: why a newer file is not used; empty when all is well."""

    problem: str

    @property
    def current(self) -> Certificate | None:
        """None without TLS."""

    def ca_pem(self) -> bytes | None:
        """The certificate of the gateway's own authority, for those who shall trust it."""


class NoCertificates:
    """Without TLS."""

    problem = ""
    current: Certificate | None = None

    def ca_pem(self) -> bytes | None:
        return None
