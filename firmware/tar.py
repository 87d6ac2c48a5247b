"""Plain POSIX tar (ustar), the form of bundles: boards unpack it as it comes, so nothing else will do.

A reader of our own, because two that read the same archive differently are how a bad file passes a check: it
takes what the board takes, and refuses long names, links, sparse files and whatever else came later.
"""

from collections.abc import Iterator
from typing import IO

from gateway.core.errors import Invalid

BLOCK = 512
MANIFEST = "manifest.json"
_MAGIC = b"ustar\x0000"
_FILE, _FOLDER = (b"0", b"\0"), b"5"
_SUM = slice(148, 156)


def is_bundle(head: bytes) -> bool:
    """Whether it begins as a bundle does; other archives are other people's business."""
    return head[257:262] == b"ustar" and head[:100].rstrip(b"\0") == MANIFEST.encode()


def header(path: str, size: int) -> bytes:
    """A member's block; the same for the same file, whoever packs it and when."""
    fields = (
        path.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size,
        b"%011o\0" % 0, b" " * 8, b"0", bytes(100), _MAGIC, bytes(64), b"0000000\0", b"0000000\0",
    )  # fmt: skip
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def members(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """(path, size) of each file, with `file` at its first byte, of which the caller reads all."""
    while (block := exactly(file, BLOCK)) != bytes(BLOCK):
        path, size, is_file = _member(block)
        if is_file:
            yield path, size
            exactly(file, -size % BLOCK)
    while rest := file.read(BLOCK * 128):
        if rest.strip(b"\0"):
            raise Invalid("There is something behind the end of this bundle.")


def _member(block: bytes) -> tuple[str, int, bool]:
    if block[257:265] != _MAGIC or _octal(block[_SUM]) != sum(block) - sum(block[_SUM]) + 8 * ord(" "):
        raise Invalid("The bundle is damaged, or it is not a plain POSIX tar (ustar).")
    kind, size = block[156:157], _octal(block[124:136])
    if kind not in (*_FILE, _FOLDER) or (kind == _FOLDER and size):
        raise Invalid("The bundle holds a link or something else that is not a plain file.")
    path, prefix = _text(block[:100]), _text(block[345:500])
    return f"{prefix}/{path}" if prefix else path, size, kind != _FOLDER


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise Invalid("The bundle is damaged: a number in it is none.")
    return int(digits, 8)


def _text(field: bytes) -> str:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0") or not text.isascii():
        raise Invalid("The bundle holds a name that makes no sense.")
    return text.decode()


def exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise Invalid("The bundle ends in the middle.")
    return data
