"""An authority of the gateway's own, and the server certificates it makes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.core.errors import Invalid

# What every device of today can check, and mbedTLS on boards is quick at.
CURVE = SECP256R1()
CA_DAYS = 3653
# Browsers refuse server certificates that live longer.
SERVER_DAYS = 397
RENEW_DAYS = 30
# Clocks of boards are wrong by a little; those of yesterday would refuse what was made a second ago.
EARLIER = timedelta(days=1)
CA_FILE, CA_KEY_FILE, SERVER_FILE, SERVER_KEY_FILE = "ca.pem", "ca.key", "server.pem", "server.key"
PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (and those above it) and its key, as PEM."""

    chain: bytes
    key: bytes


class Authority:
    """Lives in a folder of four files that only its owner may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pair(self, names: list[str], *, anew: bool = False) -> Pair:
        """The server's pair: kept as long as it lasts and has these names, else made."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca, ca_key = self._ca()
        if anew or not self._fits(names, ca):
            self._issue(names, ca, ca_key)
        return Pair(self._read(SERVER_FILE), self._read(SERVER_KEY_FILE))

    def ca_pem(self) -> bytes:
        return self._read(CA_FILE)

    def _ca(self) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
        if not (self._folder / CA_KEY_FILE).exists():
            self._make_ca()
        key = serialization.load_pem_private_key(self._read(CA_KEY_FILE), None)
        ca = x509.load_pem_x509_certificate(self._read(CA_FILE))
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != ca.public_key():
            raise Invalid("The authority in %(folder)s does not fit its key.", folder=self._folder)
        return ca, key

    def _make_ca(self) -> None:
        key = generate_private_key(CURVE)
        made_at = datetime.now(UTC)
        name = _name(f"Passerelle {made_at:%Y-%m-%d} {x509.random_serial_number() % 16**6:06x}")
        usage = _usage(key_cert_sign=True, crl_sign=True)
        ca = (
            _begun(name, name, key, made_at, made_at + timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        # The key comes last: as long as it is not there, nothing is.
        self._write(CA_FILE, ca.public_bytes(PEM))
        self._write(CA_KEY_FILE, _private(key))

    def _fits(self, names: list[str], ca: x509.Certificate) -> bool:
        try:
            server = x509.load_pem_x509_certificate(self._read(SERVER_FILE))
            key = serialization.load_pem_private_key(self._read(SERVER_KEY_FILE), None)
        except (OSError, ValueError):
            return False
        fresh = server.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEW_DAYS)
        ours = server.issuer == ca.subject and key.public_key() == server.public_key()
        return fresh and ours and set(names) <= set(names_of(server))

    def _issue(self, names: list[str], ca: x509.Certificate, ca_key: EllipticCurvePrivateKey) -> None:
        key = generate_private_key(CURVE)
        made_at = datetime.now(UTC)
        ends_at = min(made_at + timedelta(days=SERVER_DAYS), ca.not_valid_after_utc)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        server = (
            _begun(_name("Passerelle gateway"), ca.subject, key, made_at, ends_at)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(identifier, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        self._write(SERVER_KEY_FILE, _private(key))
        self._write(SERVER_FILE, server.public_bytes(PEM) + ca.public_bytes(PEM))

    def _read(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()

    def _write(self, name: str, data: bytes) -> None:
        part = self._folder / f"{name}.part"
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_bytes(data)
        part.replace(self._folder / name)


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The host names and addresses a certificate is for."""
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in held.get_values_for_type(x509.IPAddress)]
    return (*held.get_values_for_type(x509.DNSName), *addresses)


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, from_at: datetime, to_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(from_at - EARLIER)
        .not_valid_after(to_at)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    address = _address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _usage(**on: bool) -> x509.KeyUsage:
    off = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
            "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    return x509.KeyUsage(**off | on)


def _private(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
