"""Uploads from hostile hands: cut, too big, of the wrong kind, with names that climb, on a full disk."""

import base64
import hashlib
import io
import os
import re
import shlex
import socket
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import gateway_process

from .device import canonical
from .world import BELL_TYPE, GENERIC, Updates, content, eventually, open_updates

MB = 1_000_000
LARGEST = 64 * 1024 * 1024
REFUSED = (400, 409, 413, 415, 422)
DIGEST = re.compile(r"[0-9a-f]{64}")
FACTS = {"serial": "bad-1", "version": "1", "type": str(BELL_TYPE), "notes": ""}


def files_of(world: Updates) -> set[Path]:
    return {path for path in world.house.folder.rglob("*") if path.is_file()}


@pytest.fixture
def untouched(world: Updates) -> Iterator[None]:
    """Whatever is sent: no image more, no file more."""
    images = [image["id"] for image in world.call("GET", "/firmware")["items"]]
    before = files_of(world)
    yield
    assert [image["id"] for image in world.call("GET", "/firmware")["items"]] == images
    eventually(
        lambda: {p for p in files_of(world) - before if "passerelle.db" not in p.name} == set(), "no more"
    )


def post(world: Updates, data: bytes = b"", name: str = "a.bin", **facts: str | None) -> httpx.Response:
    fields = {key: value for key, value in (FACTS | facts).items() if value is not None}
    return world.api.post("/firmware", data=fields, files={"file": (name, data or content(5000))})


def frame(world: Updates, length: int | None = None, *, chunked: bool = False) -> bytes:
    """A request up to the first byte of the file."""
    head = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in FACTS.items()
    )
    head += '--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {length}"
    lines = [
        "POST /api/v1/firmware HTTP/1.1", "Host: x", size, "Connection: close",
        "Content-Type: multipart/form-data; boundary=x",
        f"Authorization: {world.api.headers['Authorization']}",
    ]  # fmt: skip
    body = f"{len(head):x}\r\n{head}\r\n" if chunked else head
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def raw(world: Updates) -> socket.socket:
    return socket.create_connection(("127.0.0.1", world.house.http_port), 20)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def read_all(peer: socket.socket) -> bytes:
    answer = b""
    try:
        while part := peer.recv(65536):
            answer += part
    except OSError:
        pass
    return answer


@pytest.mark.usefixtures("untouched")
class TestNothingComesOf:
    def test_a_body_that_is_cut(self, world: Updates) -> None:
        for size in (0, 1, 100_000):
            with raw(world) as peer:
                peer.sendall(frame(world, 300_000) + content(22 + size))
                peer.shutdown(socket.SHUT_WR)
                assert status_of(read_all(peer)) in (0, *REFUSED)
            with raw(world) as peer:  # and with a reset
                peer.sendall(frame(world, 300_000) + content(22 + size))
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def test_a_body_without_its_last_boundary(self, world: Updates) -> None:
        head = frame(world, 10**6)
        start = head.index(b"\r\n\r\n") + 4
        body = head[start:] + content(9000)
        with raw(world) as peer:
            peer.sendall(head[:start].replace(b"1000000", str(len(body)).encode()) + body)
            assert status_of(read_all(peer)) in REFUSED

    def test_a_length_over_the_limit(self, world: Updates) -> None:
        """Refused before the body."""
        with raw(world) as peer:
            peer.sendall(frame(world, LARGEST + 10 * MB))
            assert status_of(read_all(peer)) == 413

    def test_more_than_the_limit_without_a_length(self, world: Updates) -> None:
        with raw(world) as peer:
            peer.sendall(frame(world, chunked=True))
            piece = b"\0" * MB
            sent = 0
            try:
                while sent < LARGEST + 5 * MB:
                    peer.sendall(f"{MB:x}\r\n".encode() + piece + b"\r\n")
                    sent += MB
                peer.sendall(b"0\r\n\r\n")
            except OSError:
                assert sent >= LARGEST - MB
            answer = read_all(peer)
        assert status_of(answer) in (0, 413)

    def test_an_empty_file(self, world: Updates) -> None:
        answer = world.api.post("/firmware", data=FACTS, files={"file": ("a.bin", b"")})
        assert answer.status_code in REFUSED, answer.text

    def test_no_file(self, world: Updates) -> None:
        for options in ({"data": FACTS}, {"json": FACTS}, {"content": b"x"}, {}):
            answer = world.api.post("/firmware", **options)
            assert answer.status_code in REFUSED, answer.text
            assert answer.json()["detail"]

    def test_two_files(self, world: Updates) -> None:
        parts = [("file", ("a.bin", content(3000))), ("file", ("b.bin", content(3000)))]
        assert world.api.post("/firmware", data=FACTS, files=parts).status_code in REFUSED
        parts = [("file", ("a.bin", content(3000))), ("other", ("b.bin", content(3000)))]
        assert world.api.post("/firmware", data=FACTS, files=parts).status_code in REFUSED

    @pytest.mark.parametrize(
        "facts",
        [
            {"serial": ""}, {"serial": None}, {"version": ""}, {"version": None}, {"type": None},
            {"type": "x"},
            {"type": "4711"}, {"type": "-1"}, {"type": "1e3"}, {"type": ""}, {"serial": "x" * 500},
            {"version": "x" * 500}, {"notes": "x" * 200_000}, {"serial": "a\0b"}, {"version": "1\n2"},
            {"serial": "a\r\nSet-Cookie: x=1"}, {"signature": "not base64!"}, {"signature": "AAAA"},
            {"hardware": "x" * 20_000}, {"min_version": "x" * 500}, {"version": "1\0"},
        ],
    )  # fmt: skip
    def test_facts_that_make_no_sense(self, world: Updates, facts: dict[str, str | None]) -> None:
        answer = post(world, **facts)
        assert answer.status_code in REFUSED, answer.text
        assert len(answer.json()["detail"]) > 10

    @pytest.mark.parametrize(
        "data",
        [
            b"\xe9\x03\x02\x20" + os.urandom(2000),
            b"\xe9",
            b"\xe9\x00" + b"\0" * 300,
            b"PK\x03\x04" + os.urandom(500),
        ],
        ids=["esp noise", "esp one byte", "esp zeros", "zip noise"],
    )
    def test_a_kind_it_only_claims_to_be(self, world: Updates, data: bytes) -> None:
        answer = post(world, data)
        assert answer.status_code in REFUSED, answer.text
        assert len(answer.json()["detail"]) > 20

    @pytest.mark.parametrize(
        "name", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "a\\..\\..\\evil.py", "a\0b.py"]
    )
    def test_a_bundle_that_climbs(self, world: Updates, name: str) -> None:
        answer = post(world, zipped({name: b"print(1)", "main.py": b""}))
        assert answer.status_code in REFUSED, answer.text
        assert not Path("/etc/evil.py").exists()

    def test_a_bundle_with_a_link(self, world: Updates) -> None:
        answer = post(world, zipped({"main.py": b""}, links={"evil": "/etc/passwd"}))
        assert answer.status_code in REFUSED, answer.text

    def test_a_bundle_that_swells(self, world: Updates) -> None:
        """100 MB of zeros in 100 kB, in a bundle that is otherwise right."""
        answer = post(world, zipped({"main.py": b"", "big": bytes(100 * MB)}))
        assert answer.status_code in REFUSED, answer.text

    def test_who_may_not(self, world: Updates) -> None:
        user = world.person("ulla", "user")
        form = {"data": FACTS, "files": {"file": ("a.bin", content(2000))}}
        address = world.url + "/api/v1/firmware"
        assert httpx.post(address, **form).status_code == 401
        headers = {"Authorization": "Bearer " + user.jwt}
        assert httpx.post(address, headers=headers, **form).status_code == 403
        admin = world.admin
        assert httpx.post(address, headers=admin.cookie, **form).status_code in (400, 403), "without its csrf"

    def test_a_foreign_signature(self, world: Updates) -> None:
        data = content(3000)
        for key, words in (
            (Ed25519PrivateKey.generate(), {}),
            (vendor(world), {"version": "2"}),
            (vendor(world), {"type": GENERIC}),
            (vendor(world), {"hardware": ["esp32"]}),
        ):
            answer = post(world, data, signature=signed(key, data, **words))
            assert answer.status_code in REFUSED, answer.text
            assert "sign" in answer.json()["detail"].lower()


def zipped(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    box = io.BytesIO()
    with zipfile.ZipFile(box, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(plain(name), data)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            bundle.writestr(info, target)
    data = box.getvalue()
    for name in files:
        data = data.replace(plain(name).filename.encode(), name.encode())
    return data


def plain(name: str) -> zipfile.ZipInfo:
    """The library cuts names at NUL, so that such a one is written afterwards."""
    return zipfile.ZipInfo(name.replace("\0", "_"))


_vendors: dict[int, Ed25519PrivateKey] = {}


def vendor(world: Updates) -> Ed25519PrivateKey:
    """A key that the admin has entered."""
    if id(world) not in _vendors:
        key = _vendors[id(world)] = Ed25519PrivateKey.generate()
        words = {"name": "Acme", "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode()}
        answer = world.api.post("/firmware/keys", json=words)
        assert answer.is_success, answer.text
    return _vendors[id(world)]


def signed(key: Ed25519PrivateKey, data: bytes, **words: Any) -> str:
    facts = {"type": BELL_TYPE, "version": FACTS["version"], "hardware": []} | words
    text = canonical(hashlib.sha256(data).hexdigest(), facts["type"], facts["version"], facts["hardware"])
    return base64.b64encode(key.sign(text)).decode()


# What does go in


def test_what_is_told_of_an_image(world: Updates) -> None:
    data = content(12_345)
    image = world.upload(data, notes="It <b>rings</b>.", hardware="esp32-s3")
    assert image["digest"] == "sha256:" + hashlib.sha256(data).hexdigest()
    assert image["md5"] == hashlib.md5(data).hexdigest()
    assert (image["size"], image["type"], image["notes"]) == (12_345, BELL_TYPE, "It <b>rings</b>.")
    assert image["hardware"] == ["esp32-s3"] and image["by"] == "admin"
    assert world.call("GET", f"/firmware/{image['id']}") == image
    assert world.call("GET", "/firmware")["items"][0] == image
    stored = world.house.data / "firmware" / hashlib.sha256(data).hexdigest()
    assert stored.read_bytes() == data


@pytest.mark.parametrize(
    "name",
    ["../../evil.bin", "/etc/evil.bin", "..\\evil.bin", 'a"b.bin', "%2e%2e/evil", "ü.bin", "-rf", ".", ""],
)
def test_the_name_of_the_file_names_nothing(world: Updates, name: str) -> None:
    """Taken or refused; what is kept lies in the store under its digest."""
    before = files_of(world)
    data = content(4000)
    answer = post(world, data, name, serial=f"named-{hashlib.md5(name.encode()).hexdigest()}")
    assert answer.status_code in (201, *REFUSED), answer.text
    for path in files_of(world) - before:
        assert "passerelle.db" in path.name or DIGEST.fullmatch(path.name), path
        assert path.is_relative_to(world.house.data)
    assert not Path("/etc/evil.bin").exists()
    assert "evil" not in answer.text or answer.status_code != 201


def test_the_same_again(world: Updates) -> None:
    data = content(5000)
    image = world.upload(data)
    again = world.upload(data, 409)
    assert image["serial"] in again["detail"]
    other = world.upload(content(5000), 409, serial=image["serial"].upper())
    assert image["serial"].lower() in other["detail"].lower()
    world.upload(data, type=GENERIC)  # the same bytes for another type


def test_a_vendor_s_signature(world: Updates) -> None:
    data = content(6000)
    image = world.upload(data, serial="acme-1", version="1", signature=signed(vendor(world), data))
    assert image["signed_by"] == "Acme"
    assert world.image()["signed_by"] == "gateway", "what people upload is signed by the gateway"


def test_the_policy_wants_a_vendor(world: Updates) -> None:
    data = content(6000)
    image, ours = world.upload(data, version="1", signature=signed(vendor(world), data)), world.image()
    board = world.board()
    world.call("PUT", "/firmware/policy", json={"require_vendor": True})
    try:
        answer = world.api.put(f"/modules/{board.id}/firmware", json={"firmware_id": ours["id"]})
        assert answer.status_code in (400, 403, 409, 422), answer.text
        assert "sign" in answer.json()["detail"].lower()
        world.until(world.assign(board.id, image), "confirmed")
    finally:
        world.call("PUT", "/firmware/policy", json={"require_vendor": False})


def test_an_offer_s_signature_is_right(world: Updates) -> None:
    policy = world.call("GET", "/firmware/policy")
    key = next(value for name, value in flat(policy) if "public" in name and isinstance(value, str))
    board = world.board(public_key=key, hardware="esp32-s3")
    world.until(world.assign(board.id, world.image(hardware="esp32-s3")), "confirmed")
    assert not board.refused


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, key)
    else:
        yield name, value


def test_an_image_in_use_is_not_removed(world: Updates) -> None:
    image, idle = world.image(), world.image()
    board = world.board(hold="offered")
    job = world.assign(board.id, image)
    world.call("DELETE", f"/firmware/{image['id']}", 409)
    board.release()
    world.until(job, "confirmed")
    world.call("DELETE", f"/firmware/{image['id']}", 409)
    gone = world.house.data / "firmware" / idle["digest"].removeprefix("sha256:")
    assert gone.exists()
    assert world.api.delete(f"/firmware/{idle['id']}").status_code in (200, 204)
    assert world.api.get(f"/firmware/{idle['id']}").status_code == 404 and not gone.exists()


def test_a_tar_is_only_bytes(world: Updates) -> None:
    """It is no kind the gateway opens."""
    box = io.BytesIO()
    with tarfile.open(fileobj=box, mode="w") as tar:
        info = tarfile.TarInfo("../../evil.py")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"x=1"))
    before = files_of(world)
    answer = post(world, box.getvalue(), serial="tar-1")
    assert answer.status_code in (201, *REFUSED)
    assert {path.name for path in files_of(world) - before if "evil" in path.name} == set()


# A full disk


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload is refused with a sentence, the gateway lives, and an image that fits goes in afterwards."""
    data, pid = tmp_path / "data", tmp_path / "pid"
    data.mkdir()
    program = tmp_path / "passerelle"
    real = shlex.quote(gateway_process.PASSERELLE)
    mount = f"mount -t tmpfs -o size=12m tmpfs {shlex.quote(str(data))}"
    inner = shlex.quote(f'{mount} && echo $$ > {shlex.quote(str(pid))} && exec {real} "$@"')
    program.write_text(
        f'#!/bin/sh\nif [ -f {pid} ]; then exec nsenter -m -t "$(cat {pid})" {real} "$@"; fi\n'
        f'exec unshare -m sh -c {inner} passerelle "$@"\n'
    )
    program.chmod(0o755)
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.fail("a private mount namespace needs root")
    monkeypatch.setattr(gateway_process, "PASSERELLE", str(program))
    with open_updates(tmp_path) as world:
        world.expected = "No space left on device"
        first = world.image(MB)
        board = world.board()
        for _ in range(3):
            answer = post(world, content(20 * MB), serial="too-big")
            assert answer.status_code in (503, 507), answer.text
            assert "full" in answer.json()["detail"].lower()
        assert [image["id"] for image in world.call("GET", "/firmware")["items"]] == [first["id"]]
        world.until(world.assign(board.id, first), "confirmed")
        small = world.image(2 * MB)
        world.until(world.assign(board.id, small), "confirmed")
    assert sys.platform == "linux"
