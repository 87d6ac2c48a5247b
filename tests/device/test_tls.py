"""Encrypted connections: to the right gateway, and not to another."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .harness import Board, Mosquitto, StandIn, free_port, running
from .programs import PROGRAM

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(subject: str, issuer: str, key, signer, authority: bool) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())


def make(folder: Path, name: str) -> None:
    """NAME.der (the authority), NAME.crt and NAME.key (a broker on `localhost`)."""
    authority, broker = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    own = certificate(name, name, authority, authority, True)
    issued = certificate("localhost", name, broker, authority, False)
    plain = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.der").write_bytes(own.public_bytes(DER))
    (folder / f"{name}.pem").write_bytes(own.public_bytes(PEM))
    (folder / f"{name}.crt").write_bytes(issued.public_bytes(PEM))
    (folder / f"{name}.key").write_bytes(broker.private_bytes(*plain))


@pytest.mark.parametrize(("trusted", "online"), [("house", True), ("", True), ("stranger", False)])
def test_it_talks_only_to_a_gateway_it_can_trust(
    board: Board, tmp_path: Path, trusted: str, online: bool
) -> None:
    make(tmp_path, "house")
    make(tmp_path, "stranger")
    port = free_port()
    listener = f"listener {port}\ncertfile {tmp_path}/house.crt\nkeyfile {tmp_path}/house.key\n"
    with running(Mosquitto(tmp_path, listener)) as broker:
        gateway = StandIn(broker.port)
        ca = f"{tmp_path}/{trusted}.der" if trusted else ""
        where = {"GATEWAY_HOST": "localhost", "GATEWAY_PORT": port, "TLS": True, "TLS_CA": ca}
        board.install(PROGRAM.replace("PAUSE", "1"), **where, SERIAL="MP-1")
        board.start()
        if online:
            gateway.hears("MP-1/up/register")
            gateway.approve("MP-1")
            gateway.hears("MP-1/up/telemetry", 2)
        else:
            board.says("no connection", 2)
            assert not gateway.heard
        board.cut_power()
        gateway.close()
