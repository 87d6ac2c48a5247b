"""Certificates: our own authority's, and files that change while the gateway runs."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.core import clock
from gateway.core.certificates import CertificateChanged, CertificateExpires
from gateway.core.errors import Invalid
from gateway.core.events import Hub
from gateway.settings import Settings
from gateway.tls import authority
from gateway.tls.authority import Authority
from gateway.tls.keeper import DAY_MS, Tls, fingerprint
from tests.bridge.mqtt.client import until

pytestmark = pytest.mark.anyio
NAMES = ["localhost", "127.0.0.1"]


def own(folder: Path, **more: object) -> Settings:
    return Settings(data=folder, tls="own", public_url="https://gate.example:8443", **more)


def files(folder: Path, maker: str = "maker") -> Settings:
    """Certificate and key in files, made by an authority of their own."""
    put(folder, maker)
    return Settings(data=folder, tls_cert=folder / "server.pem", tls_key=folder / "server.key")


def put(folder: Path, maker: str) -> None:
    pair = Authority(folder / maker).pair(NAMES)
    (folder / "server.pem").write_bytes(pair.chain)
    (folder / "server.key").write_bytes(pair.key)


def leaf(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(pem)[0]


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[int]:
    """A door that shows the context's certificate to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            while True:
                try:
                    plain, _ = door.accept()
                except OSError:
                    return
                options = {"server_side": True, "do_handshake_on_connect": False}
                with plain, closing(context.wrap_socket(plain, **options)) as it:
                    try:
                        it.do_handshake()
                        it.recv(1)
                    except OSError:
                        continue

        threading.Thread(target=answer, daemon=True).start()
        yield door.getsockname()[1]
        door.shutdown(socket.SHUT_RDWR)


def seen(port: int, ca: bytes | None = None, name: str = "localhost") -> str:
    """The fingerprint of the certificate that is shown to a newcomer, checked where there is a CA."""
    context = ssl.create_default_context(cadata=ca.decode()) if ca else ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            shown = secure.getpeercert(binary_form=True)
            assert shown is not None
            secure.send(b"x")
    return fingerprint(x509.load_der_x509_certificate(shown))


def test_our_own_authority_is_one_that_clients_can_check(tmp_path: Path) -> None:
    tls = Tls(own(tmp_path))
    context, ca = tls.open(), tls.ca_pem()
    assert context is not None and ca is not None and tls.current is not None
    with serving(context) as port:
        for name in ("localhost", "127.0.0.1", "gate.example"):
            assert seen(port, ca, name) == tls.current.fingerprint
        with pytest.raises(ssl.SSLCertVerificationError):
            seen(port, ca, "elsewhere.example")
    assert tls.current.ca_fingerprint == fingerprint(leaf(ca))
    assert tls.days_left() in (396, 397)
    for file in (tmp_path / "tls").iterdir():
        assert file.stat().st_mode & 0o077 == 0


def test_it_is_kept_and_renewed_thirty_days_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Authority(tmp_path).pair(NAMES)
    assert Authority(tmp_path).pair(NAMES) == first
    assert Authority(tmp_path).pair(NAMES[:1]) == first
    wider = Authority(tmp_path).pair([*NAMES, "gate.example"])
    assert wider != first
    monkeypatch.setattr(authority, "SERVER_DAYS", 29)
    soon = Authority(tmp_path).pair([*NAMES, "more.example"])
    monkeypatch.setattr(authority, "SERVER_DAYS", 397)
    renewed = Authority(tmp_path).pair([*NAMES, "more.example"])
    ends_at = leaf(renewed.chain).not_valid_after_utc
    assert ends_at - leaf(soon.chain).not_valid_after_utc > timedelta(days=300)
    assert ends_at - datetime.now(UTC) <= timedelta(days=397)


def test_another_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    settings = files(tmp_path)
    tls = Tls(settings)
    context = tls.open()
    assert context is not None
    with serving(context) as port:
        before = seen(port)
        assert not tls.follow()
        put(tmp_path, "another")
        assert tls.follow()
        assert seen(port) != before
        assert tls.current is not None and seen(port) == tls.current.fingerprint


@pytest.mark.parametrize("bad", ["no pem", "another's key", "gone", "a password", "half"])
def test_a_bad_file_leaves_the_old_certificate_and_says_so(tmp_path: Path, bad: str) -> None:
    tls = Tls(files(tmp_path))
    context = tls.open()
    other = Authority(tmp_path / "another").pair(NAMES)
    key = serialization.load_pem_private_key(other.key, None)
    if bad == "no pem":
        (tmp_path / "server.pem").write_bytes(b"no certificate")
    elif bad == "another's key":
        (tmp_path / "server.key").write_bytes(other.key)
    elif bad == "gone":
        (tmp_path / "server.key").unlink()
    elif bad == "a password":
        (tmp_path / "server.pem").write_bytes(other.chain)
        kind = serialization.PrivateFormat.PKCS8
        locked = serialization.BestAvailableEncryption(b"secret")
        (tmp_path / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, locked))
    else:
        (tmp_path / "server.pem").write_bytes(other.chain[:100])
    assert context is not None
    with serving(context) as port:
        before = seen(port)
        assert not tls.follow()
        assert "cannot be used" in tls.problem
        assert seen(port) == before
        put(tmp_path, "third")
        assert tls.follow()
        assert tls.problem == ""
        assert seen(port) != before


def test_what_cannot_be_used_at_the_start_is_a_sentence(tmp_path: Path) -> None:
    settings = files(tmp_path)
    (tmp_path / "server.pem").write_bytes(b"no certificate")
    with pytest.raises(Invalid, match="Certificate and key cannot be used"):
        Tls(settings).open()
    with pytest.raises(Invalid, match="own authority"):
        Tls(settings).renew()
    with pytest.raises(ValueError, match="TLS_CERT"):
        Settings(data=tmp_path, tls="files")
    assert Tls(Settings(data=tmp_path)).open() is None


async def test_people_are_warned_thirty_days_ahead_and_not_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "SERVER_DAYS", 12)
    tls, hub, told = Tls(files(tmp_path), look_every_s=0.02), Hub(), []
    hub.subscribe(CertificateExpires, told.append)
    hub.subscribe(CertificateChanged, told.append)
    tls.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tls.run, hub)
        with anyio.fail_after(60):
            await until(lambda: told)
            await anyio.sleep(0.2)
            assert told == [CertificateExpires(11)]
            now_ms = clock.now_ms()
            monkeypatch.setattr(clock, "now_ms", lambda: now_ms + DAY_MS)
            await until(lambda: len(told) >= 2)
            assert told[1] == CertificateExpires(10)
            monkeypatch.setattr(authority, "SERVER_DAYS", 397)
            put(tmp_path, "another")
            await until(lambda: len(told) >= 3)
            assert told[2] == CertificateChanged(395)
        tasks.cancel_scope.cancel()
