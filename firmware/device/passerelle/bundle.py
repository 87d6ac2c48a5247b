"""Unpacks a bundle, a POSIX tar with `manifest.json` first, into a folder, half a kilobyte at a time."""

import asyncio
import binascii
import json
import os
from hashlib import sha256

from .offers import Unfit

BLOCK = 512
BUFFER = 512
MOST_FILES = 100
MOST_MANIFEST = 16384
LONGEST_PATH = 100
DEEPEST = 4
MANIFEST = "manifest.json"
_FOLDER = 0x4000
_PLAIN, _DIRECTORY = (b"0", b"\0"), b"5"
_ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


async def unpack(name, folder):
    """Every file of the bundle `name` to a new `folder`; Unfit unless all are as the manifest says."""
    with _open(name, "rb") as tar:
        files = _manifest(tar)
        os.mkdir(folder)
        missing = set(files)
        for path, size in _members(tar):
            if path not in missing or files[path].get("size") != size:
                raise Unfit(f"the bundle holds {path} in another way than its manifest says")
            missing.remove(path)
            _make_room(folder, path)
            if await _copy(tar, size, f"{folder}/{path}") != files[path].get("sha256"):
                raise Unfit(f"{path} in the bundle is damaged")
        if missing:
            raise Unfit(f"the bundle lacks {sorted(missing)[0]}")


def _open(name, mode):
    return open(name, mode)


def _manifest(tar):
    path, size = _header(_exactly(tar, BLOCK)) or ("", 0)
    if path != MANIFEST or size > MOST_MANIFEST:
        raise Unfit("this is no bundle: it does not begin with manifest.json")
    try:
        said = json.loads(_exactly(tar, size))
    except ValueError:
        said = None
    _exactly(tar, -size % BLOCK)
    files = said.get("files") if isinstance(said, dict) and said.get("format") == 1 else None
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise Unfit("the bundle's manifest makes no sense")
    if len(files) > MOST_FILES:
        raise Unfit(f"the bundle has {len(files)} files, more than {MOST_FILES}")
    if "main.py" not in files and "main.mpy" not in files:
        raise Unfit("the bundle has no main.py")
    for path in files:
        _check_path(path)
    return files


def _members(tar):
    """(path, size) of each file, with `tar` at its first byte; the caller reads all of them."""
    while True:
        found = _header(_exactly(tar, BLOCK))
        if found is None:
            return
        path, size = found
        if path is not None:
            yield path, size
            _exactly(tar, -size % BLOCK)


def _header(block):
    """(path, size); path None for a folder; None at the end of the archive."""
    if block == bytes(BLOCK):
        return None
    if sum(block) - sum(block[148:156]) + 8 * 32 != _octal(block[148:156]):
        raise Unfit("the bundle is damaged")
    kind, size = block[156:157], _octal(block[124:136])
    if kind == _DIRECTORY:
        return None, 0
    if kind not in _PLAIN:
        raise Unfit("the bundle holds something that is not a plain file")
    path, prefix = _text(block[:100]), _text(block[345:500])
    return f"{prefix}/{path}" if prefix else path, size


def _octal(field):
    try:
        return int(field.strip(b" \0"), 8)
    except ValueError:
        raise Unfit("the bundle is damaged") from None


def _text(field):
    end = field.find(b"\0")
    try:
        return str(field if end < 0 else field[:end], "utf-8")
    except UnicodeError:
        raise Unfit("the bundle holds a name that makes no sense") from None


def _exactly(file, size):
    data = file.read(size)
    if len(data) != size:
        raise Unfit("the bundle ends in the middle")
    return data


def _check_path(path):
    """Only names that stay in the folder, on every kind of file system."""
    parts = path.split("/")
    plain = all(part.strip(".") and all(letter in _ALLOWED for letter in part) for part in parts)
    if not plain or len(path) > LONGEST_PATH or len(parts) > DEEPEST:
        raise Unfit("the bundle holds a path that is not allowed")


def _make_room(folder, path):
    for part in path.split("/")[:-1]:
        folder += "/" + part
        try:
            os.mkdir(folder)
        except OSError:  # it is there
            continue


async def _copy(tar, size, target):
    """Hexadecimal SHA-256 of what was written."""
    hashed = sha256()
    with _open(target, "wb") as file:
        while size:
            data = _exactly(tar, min(size, BUFFER))
            hashed.update(data)
            file.write(data)
            size -= len(data)
            await asyncio.sleep(0)
        settle(file)
    return binascii.hexlify(hashed.digest()).decode()


async def digest(name):
    """Hexadecimal SHA-256 of a whole file; others work in between."""
    hashed = sha256()
    with _open(name, "rb") as file:
        while True:
            data = file.read(BUFFER)
            if not data:
                return binascii.hexlify(hashed.digest()).decode()
            hashed.update(data)
            await asyncio.sleep(0)


def settle(file):
    """What was written survives a power cut from here on."""
    file.flush()
    if hasattr(os, "fsync"):
        os.fsync(file.fileno())


def remove(folder):
    """The folder and all in it, if it is there."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        path = f"{folder}/{name}"
        if os.stat(path)[0] & _FOLDER:
            remove(path)
        else:
            os.remove(path)
    os.rmdir(folder)
