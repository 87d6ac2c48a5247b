"""Bundles: an application for MicroPython as one file. What boards take, made and checked.

A bundle is a plain tar, and its first file is `manifest.json`:
`{"format":1,"name","version","files":{path:{"size","sha256"}}}`.
"""

import io
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec

from firmware import tar
from gateway.core.errors import Invalid

# As firmware/device/passerelle/bundle.py has them.
MAX_FILES = 100
MAX_MANIFEST = 16384
MAX_PATH = 100
MAX_DEPTH = 4
MAX_UNPACKED = 8 * 1024 * 1024
MAINS = ("main.py", "main.mpy")
PIECE = 64 * 1024
_PART = re.compile(r"[A-Za-z0-9._-]+")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+ -]{0,63}")


class Entry(msgspec.Struct, frozen=True):
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_UNPACKED)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Manifest(msgspec.Struct, frozen=True):
    format: Literal[1]
    name: str
    version: str
    files: dict[str, Entry]


def make_bundle(source: Path | Mapping[str, bytes], name: str, version: str) -> bytes:
    """A folder (or paths and what they hold) as a bundle; the same source always gives the same bytes."""
    files = dict(sorted((_read_folder(source) if isinstance(source, Path) else source).items()))
    entries = {path: Entry(len(data), sha256(data).hexdigest()) for path, data in files.items()}
    manifest = Manifest(format=1, name=name, version=version, files=entries)
    _check(manifest)
    text = msgspec.json.encode(manifest)
    _check_length(len(text))
    members = {tar.MANIFEST: text, **files}
    return b"".join(_packed(path, data) for path, data in members.items()) + bytes(2 * tar.BLOCK)


def _packed(path: str, data: bytes) -> bytes:
    return tar.header(path, len(data)) + data + bytes(-len(data) % tar.BLOCK)


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Every file but hidden ones and what CPython leaves behind; raises `Invalid` for links and too much."""
    files: dict[str, bytes] = {}
    left = MAX_UNPACKED
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") or part == "__pycache__" for part in inside.parts) or path.is_dir():
            continue
        if path.is_symlink() or not path.is_file():
            raise Invalid(
                "%(inside)s is a link or no plain file; a bundle holds plain files only.", inside=inside
            )
        left -= path.stat().st_size
        if left < 0:
            raise Invalid("A bundle holds at most %(max_unpacked)s MB.", max_unpacked=MAX_UNPACKED // 1024**2)
        files[inside.as_posix()] = path.read_bytes()
    return files


def check_bundle(file: IO[bytes]) -> Manifest:
    """Read the whole of it; raises `Invalid` saying what no board would take."""
    members = tar.members(file)
    path, size = next(members, ("", 0))
    if path != tar.MANIFEST:
        raise Invalid("A bundle begins with %(manifest)s.", manifest=tar.MANIFEST)
    manifest = _manifest(file, size)
    missing = dict(manifest.files)
    for path, size in members:
        entry = missing.pop(path, None)
        if entry is None or entry.size != size:
            raise Invalid(
                "The bundle holds %(path)r in another way than its manifest says.", path=path[:MAX_PATH]
            )
        if _digest(file, size) != entry.sha256:
            raise Invalid("%(path)r in the bundle is damaged: its SHA-256 does not fit.", path=path)
    if missing:
        raise Invalid("The bundle lacks %(missing)r, which its manifest lists.", missing=min(missing))
    return manifest


def _manifest(file: IO[bytes], size: int) -> Manifest:
    _check_length(size)
    try:
        manifest = msgspec.json.decode(tar.exactly(file, size), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(
            'The manifest of this bundle makes no sense; it is {"format":1,"name","version","files":'
            '{path:{"size","sha256"}}}.'
        ) from None
    _check(manifest)
    return manifest


def _digest(file: IO[bytes], size: int) -> str:
    found = sha256()
    while size:
        piece = tar.exactly(file, min(size, PIECE))
        found.update(piece)
        size -= len(piece)
    return found.hexdigest()


def _check(manifest: Manifest) -> None:
    for what, text in (("name", manifest.name), ("version", manifest.version)):
        if not _LABEL.fullmatch(text):
            raise Invalid(
                "The %(what)s of a bundle has 1 to 64 letters, digits and . _ + - or spaces.", what=what
            )
    files = manifest.files
    if len(files) > MAX_FILES or sum(entry.size for entry in files.values()) > MAX_UNPACKED:
        raise Invalid(
            "A bundle holds at most %(max_files)s files and %(max_unpacked)s MB unpacked.",
            max_files=MAX_FILES,
            max_unpacked=MAX_UNPACKED // 1024**2,
        )
    if not any(main in files for main in MAINS):
        raise Invalid("A bundle needs a main.py (or main.mpy): that is what a board starts.")
    if len({path.lower() for path in files}) < len(files):
        raise Invalid("Two paths of the bundle differ in capitals alone; on many boards they are one.")
    for path in files:
        _check_path(path, files)


def _check_path(path: str, files: Mapping[str, Entry]) -> None:
    """Only names that stay in the folder, on every kind of file system."""
    parts = path.split("/")
    plain = all(part.strip(".") and _PART.fullmatch(part) for part in parts)
    if not plain or len(path) > MAX_PATH or len(parts) > MAX_DEPTH or path == tar.MANIFEST:
        raise Invalid(
            "%(path)r is no path for a bundle: letters, digits and . _ - between single slashes, "
            "%(max_path)s in all, %(max_depth)s deep, and not %(manifest)s.",
            path=path[:MAX_PATH],
            max_path=MAX_PATH,
            max_depth=MAX_DEPTH,
            manifest=tar.MANIFEST,
        )
    for depth in range(1, len(parts)):
        if "/".join(parts[:depth]) in files:
            raise Invalid(
                "%(path)r cannot be in the bundle, because a part of its path is a file.", path=path
            )


def _check_length(size: int) -> None:
    if size > MAX_MANIFEST:
        raise Invalid(
            "The manifest of a bundle has at most %(max_manifest)s bytes; use fewer or shorter paths.",
            max_manifest=MAX_MANIFEST,
        )


def in_memory(data: bytes) -> Manifest:
    """`check_bundle` for bytes at hand."""
    return check_bundle(io.BytesIO(data))
