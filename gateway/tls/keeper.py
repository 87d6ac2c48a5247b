"""One TLS context for the web and MQTT. When its files change, those who connect from then on see the new
certificate; a file that cannot be used leaves the old one in its place."""

import asyncio
import contextlib
import logging
import signal
import ssl
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.core import clock
from gateway.core.certificates import WARN_DAYS, Certificate, CertificateChanged, CertificateExpires
from gateway.core.errors import Invalid
from gateway.core.events import Hub
from gateway.settings import Settings
from gateway.tls.authority import Authority, Pair, names_of
from gateway.tls.names import own_names

log = logging.getLogger(__name__)
LOOK_EVERY_S = 30.0
DAY_MS = 86_400_000


class Tls:
    """`open()` loads what the settings name; `run()` follows it for ever. Implements `Certificates`."""

    def __init__(self, settings: Settings, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._settings = settings
        self._look_every_s = look_every_s
        self._authority = Authority(settings.data / "tls")
        self._shown: Pair | None = None
        self._tried: Pair | None = None
        self._look = asyncio.Event()
        self.context: ssl.SSLContext | None = None
        self.current: Certificate | None = None
        self.problem = ""

    def open(self) -> ssl.SSLContext | None:
        """The context, or None without TLS. Raises `Invalid` when certificate and key cannot be used."""
        if self._settings.tls_mode != "off" and self.context is None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            pair = self._pair()
            self._show(pair, self._tried_out(pair), context)
            self.context = context
        return self.context

    def ca_pem(self) -> bytes | None:
        return self._authority.ca_pem() if self._settings.tls_mode == "own" else None

    def renew(self) -> None:
        """A new server certificate from our own authority, at once. Raises `Invalid` with files."""
        if self._settings.tls_mode != "own":
            raise Invalid("Only a certificate of the gateway's own authority can be renewed here.")
        self._authority.pair(own_names(self._settings), anew=True)
        self._look.set()

    async def run(self, hub: Hub) -> None:
        """For ever: look for new files, renew our own, warn of the end."""
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._look.set)
        warned_ms = 0
        while True:
            if await self.follow_beside():
                hub.publish(CertificateChanged(self.days_left()))
                warned_ms = 0
            if self.days_left() <= WARN_DAYS and clock.now_ms() - warned_ms >= DAY_MS:
                warned_ms = clock.now_ms()
                log.warning("The certificate ends in %d days.", self.days_left())
                hub.publish(CertificateExpires(self.days_left()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self._look_every_s)
            self._look.clear()

    def follow(self) -> bool:
        """Look once; True when another certificate is shown from here on."""
        return self._change(self._found())

    async def follow_beside(self) -> bool:
        """The same beside the loop; but the change is made on it, so that no handshake meets half of it."""
        return self._change(await asyncio.to_thread(self._found))

    def _found(self) -> tuple[Pair, Certificate] | None:
        """Another pair than the one that is shown, tried out; None when there is none that can be used."""
        if self.context is None:
            return None
        try:
            pair = self._pair()
            if pair in (self._shown, self._tried):
                return None
            self._tried = pair
            return pair, self._tried_out(pair)
        except Invalid as error:
            if self.problem != error.message:
                log.error("%s The certificate from before stays.", error.message)
            self.problem = error.message
            return None

    def _change(self, found: tuple[Pair, Certificate] | None) -> bool:
        if found is None or self.context is None:
            return False
        self._show(*found, self.context)
        log.info("The certificate was changed; it ends in %d days.", self.days_left())
        return True

    def days_left(self) -> int:
        """Whole days until the shown certificate ends, 0 when it has."""
        if self.current is None:
            return WARN_DAYS + 1
        return max(0, (self.current.ends_at_ms - clock.now_ms()) // DAY_MS)

    def _pair(self) -> Pair:
        settings = self._settings
        try:
            if settings.tls_mode == "own":
                return self._authority.pair(own_names(settings))
            chain = Path(str(settings.tls_cert)).read_bytes()
            return Pair(chain, Path(str(settings.tls_key)).read_bytes() if settings.tls_key else b"")
        except (OSError, ValueError) as error:
            raise _unusable(error) from None

    def _tried_out(self, pair: Pair) -> Certificate:
        """Try the pair on a context that nobody uses: half of a bad one must not reach the other."""
        certificate = self._read(pair)
        _load(pair, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return certificate

    def _show(self, pair: Pair, certificate: Certificate, context: ssl.SSLContext) -> None:
        _load(pair, context)
        self._shown = self._tried = pair
        self.current, self.problem = certificate, ""

    def _read(self, pair: Pair) -> Certificate:
        own = self._settings.tls_mode == "own"
        try:
            chain = x509.load_pem_x509_certificates(pair.chain)
        except ValueError as error:
            raise _unusable(error) from None
        # A file may bring roots along that nobody needs any more; of ours, both count.
        ends_at = min(each.not_valid_after_utc for each in (chain if own else chain[:1]))
        if ends_at <= datetime.now(UTC) and self.current is not None:
            raise Invalid("The new certificate ended on %(day)s.", day=ends_at.date())
        return Certificate(
            names=names_of(chain[0]),
            issuer=chain[0].issuer.rfc4514_string(),
            fingerprint=fingerprint(chain[0]),
            ends_at_ms=int(ends_at.timestamp() * 1000),
            own=own,
            ca_fingerprint=fingerprint(chain[-1]) if own else "",
        )


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the certificate, as browsers show it."""
    text = sha256(certificate.public_bytes(Encoding.DER)).hexdigest().upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


def _load(pair: Pair, context: ssl.SSLContext) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        # One file of one moment: what is tried is what is shown.
        file.write(pair.chain + b"\n" + pair.key)
        file.flush()
        try:
            context.load_cert_chain(file.name, password=_no_password)
        except (OSError, ValueError) as error:
            raise _unusable(error) from None


def _no_password() -> str:
    # Without it a key with a password would ask the terminal, and the gateway would wait for ever.
    raise ValueError("the key has a password; the gateway needs one without")


def _unusable(error: Exception) -> Invalid:
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0] if str(error) else "no PEM"
    return Invalid("Certificate and key cannot be used: %(reason)s.", reason=str(reason).rstrip("."))
