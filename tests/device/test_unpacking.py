"""Bundles that lie, and signatures: the very files that run on boards, under both interpreters."""

import base64
import hashlib
import hmac
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .harness import INTERPRETERS, Board
from .updating import manifest, tar

MAIN = b"print('hello')\n"
UNPACK = """
import asyncio
from passerelle import bundle
from passerelle.offers import Unfit

try:
    asyncio.run(bundle.unpack("bundle.tar", "b"))
    print("unpacked")
except Unfit as error:
    print(error)
"""
VERIFY = """
import asyncio
import json
from binascii import a2b_base64
from passerelle import ed25519

with open("cases.json") as file:
    cases = json.load(file)

async def main():
    for public, message, signature in cases:
        print(await ed25519.verify(*(a2b_base64(part) for part in (public, message, signature))))

asyncio.run(main())
"""
SEAL = """
from binascii import hexlify
from passerelle.offers import hmac_sha256
print(hexlify(hmac_sha256(bytes(range(32)), b"what was offered")).decode())
"""
# RFC 8032, 7.1: TEST 1, 2, 3 and SHA(abc), as public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]  # fmt: skip


@pytest.fixture
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    return Board(tmp_path / "board", request.param)


pytestmark = pytest.mark.parametrize("board", INTERPRETERS, indirect=True)


def said(board: Board, program: str, **files: bytes) -> list[str]:
    """The lines that the program prints, with these files beside it (`__` for a dot)."""
    board.install(program)
    for name, data in files.items():
        (board.folder / name.replace("__", ".")).write_bytes(data)
    words = [*INTERPRETERS[board.interpreter](), "main.py"]
    done = subprocess.run(words, cwd=board.folder, capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def whole(files: dict[str, bytes], **listed: bytes) -> bytes:
    """A bundle whose manifest is right, for all files or for those that are listed."""
    return tar({"manifest.json": manifest(listed or files)} | files)


def with_link() -> bytes:
    stream = io.BytesIO(whole({"main.py": MAIN}))
    with tarfile.open(fileobj=stream, mode="a", format=tarfile.USTAR_FORMAT) as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return stream.getvalue()


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


GOOD = {"main.py": MAIN, "lib/deep/er.py": b"", "lib/" + "long" * 20 + "/x.py": b"x" * 1500}
LIES = {
    "no tar": (b"\x7fELF" + bytes(2000), "the bundle is damaged"),
    "nothing": (b"", "the bundle ends in the middle"),
    "no manifest": (tar({"main.py": MAIN}), "does not begin with manifest.json"),
    "manifest is no JSON": (tar({"manifest.json": b"{"}), "manifest makes no sense"),
    "another format": (tar({"manifest.json": b'{"format": 2, "files": {}}'}), "manifest makes no sense"),
    "entries are no objects": (
        tar({"manifest.json": b'{"format": 1, "files": {"main.py": 7}}'}),
        "manifest makes no sense",
    ),
    "endless manifest": (tar({"manifest.json": b" " * 16385}), "does not begin with manifest.json"),
    "no main": (whole({"app.py": MAIN}), "no main.py"),
    "up": (whole({"main.py": MAIN, "../slots.py": b""}), "a path that is not allowed"),
    "up in the middle": (whole({"main.py": MAIN, "x/../../slots.py": b""}), "a path that is not allowed"),
    "absolute": (whole({"main.py": MAIN, "/slots.py": b""}), "a path that is not allowed"),
    "backslash": (whole({"main.py": MAIN, "..\\slots.py": b""}), "a path that is not allowed"),
    "too deep": (whole({"main.py": MAIN, "a/b/c/d/e.py": b""}), "a path that is not allowed"),
    "too many": (whole({"main.py": MAIN} | {f"f{n}": b"" for n in range(100)}), "101 files"),
    "link": (with_link(), "not a plain file"),
    "not in the manifest": (
        tar({"manifest.json": manifest({"main.py": MAIN}), "main.py": MAIN, "more.py": b""}),
        "holds more.py in another way",
    ),
    "missing": (
        tar({"manifest.json": manifest({"main.py": MAIN, "x.py": b""}), "main.py": MAIN}),
        "lacks x.py",
    ),
    "another size": (
        tar({"manifest.json": manifest({"main.py": MAIN}), "main.py": MAIN + b"#"}),
        "holds main.py in another way",
    ),
    "another content": (
        tar({"manifest.json": manifest({"main.py": MAIN}), "main.py": MAIN.upper()}),
        "main.py in the bundle is damaged",
    ),
    "a header with a flipped bit": (flipped(whole({"main.py": MAIN}), 1024 + 3), "the bundle is damaged"),
    "cut": (whole({"main.py": MAIN * 200})[:2500], "ends in the middle"),
}  # fmt: skip


def test_a_good_bundle(board: Board) -> None:
    assert said(board, UNPACK, bundle__tar=whole(GOOD)) == ["unpacked"]
    for path, data in GOOD.items():
        assert (board.folder / "b" / path).read_bytes() == data


@pytest.mark.parametrize(("lie", "why"), LIES.values(), ids=LIES)
def test_a_bundle_that_lies(board: Board, lie: bytes, why: str) -> None:
    (line,) = said(board, UNPACK, bundle__tar=lie)
    assert why in line
    names = {path.name for path in board.folder.iterdir()} - {"b", "__pycache__"}
    assert names == {"passerelle", "settings.py", "main.py", "bundle.tar"}


def cases() -> list[tuple[tuple[bytes, bytes, bytes], bool]]:
    """(public key, message, signature), and whether it is right."""
    found = [(tuple(map(bytes.fromhex, vector)), True) for vector in VECTORS]
    for message in (b"", b"x" * 111, b"y" * 112, b"passerelle image 1\n" * 20):
        key = Ed25519PrivateKey.generate()
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        found.append(((public, message, signature), True))
        found.append(((public, message + b"!", signature), False))
        found += [((public, message, flipped(signature, place)), False) for place in (0, 31, 32, 63)]
        found.append(((flipped(public, 5), message, signature), False))
        order = 2**252 + 27742317777372353535851937790883648493
        again = (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
        found.append(((public, message, signature[:32] + again), False))
    found += [((b"", b"", b""), False), ((bytes(31), b"", bytes(64)), False)]
    found += [((b"\xff" * 32, b"", bytes(64)), False), ((public, message, signature + b"\0"), False)]
    return found


def test_signatures_as_in_rfc_8032_and_by_cryptography(board: Board) -> None:
    tried = cases()
    encoded = [[base64.b64encode(part).decode() for part in case] for case, _ in tried]
    lines = said(board, VERIFY, cases__json=json.dumps(encoded).encode())
    assert lines == [str(right) for _, right in tried]


def test_the_seal_is_the_hmac_everybody_knows(board: Board) -> None:
    expected = hmac.new(bytes(range(32)), b"what was offered", hashlib.sha256).hexdigest()
    assert said(board, SEAL) == [expected]
