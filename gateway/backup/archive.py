"""What is in a backup: files in the order of a tar archive, and last the manifest that names them all."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec

from gateway.core.errors import Invalid, Unavailable
from gateway.storage.database import MIGRATIONS

FORMAT = 1
DATABASE, MANIFEST = "passerelle.db", "manifest.json"
PIECE = 256 * 1024
MOST_FILES = 10_000
_BLOCK = tarfile.BLOCKSIZE
# Plain names, in one of the folders of ours or loose in the data folder.
_NAME = re.compile(r"((firmware|tls)/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,120}")
IMAGE = re.compile(r"firmware/([0-9a-f]{64})")


class Entry(msgspec.Struct, frozen=True):
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What the backup is of: made when, by which version, with which tables, of which files."""

    format: int
    version: str
    made_at_ms: int
    migrations: list[str]
    files: dict[str, Entry]


@dataclass(frozen=True, slots=True)
class Member:
    """A file to keep: its bytes, or where they lie."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size


@dataclass(slots=True)
class Archive:
    """`pieces()` once: the bytes of the archive, and while they go by, what the manifest says of them."""

    members: list[Member]
    version: str
    made_at_ms: int
    _files: dict[str, Entry] = field(default_factory=dict)

    def pieces(self) -> Iterator[bytes]:
        for member in self.members:
            yield from self._member(member)
        manifest = Manifest(FORMAT, self.version, self.made_at_ms, migrations(), self._files)
        yield from _framed(MANIFEST, msgspec.json.encode(manifest))
        yield bytes(2 * _BLOCK)

    def _member(self, member: Member) -> Iterator[bytes]:
        digest = sha256()
        left = size = member.size
        yield _head(member.name, size)
        for piece in _read(member):
            left -= len(piece)
            digest.update(piece)
            yield piece
        if left:
            raise Unavailable("%(name)s changed while it was read. Try again.", name=member.name)
        yield bytes(-size % _BLOCK)
        self._files[member.name] = Entry(size, digest.hexdigest())


def migrations() -> list[str]:
    """The names of the steps that make the tables of this version."""
    return sorted(path.stem for path in MIGRATIONS.glob("0*.py"))


def usable_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def decoded(text: bytes) -> Manifest:
    """Raises `Invalid` for a manifest of a version that is newer than ours."""
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError:
        raise Invalid("The manifest of the backup cannot be read.") from None
    if manifest.format != FORMAT or not set(manifest.migrations) <= set(migrations()):
        raise Invalid(
            "The backup was made by a newer version (%(version)s); install that one first.",
            version=manifest.version,
        )
    return manifest


def _read(member: Member) -> Iterator[bytes]:
    if isinstance(member.content, bytes):
        yield member.content
        return
    with member.content.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _framed(name: str, content: bytes) -> Iterator[bytes]:
    yield _head(name, len(content))
    yield content
    yield bytes(-len(content) % _BLOCK)


def _head(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)
