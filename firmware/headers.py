"""What an image says of itself. Whatever begins like no kind we know is of kind `other`, and as good."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

from firmware.headers_esp import is_whole_flash, read_esp
from firmware.headers_micropython import is_mpy, read_bundle, read_mpy
from firmware.tar import is_bundle
from firmware.values import Header
from gateway.core.errors import Invalid

HEAD = 1024
_ZIP = b"PK\x03\x04"

Begins = Callable[[bytes], bool]
Reads = Callable[[IO[bytes], int], Header]


def read_header(path: Path) -> Header:
    """Raises `Invalid` with a sentence for a file that claims to be something and is broken. Blocks."""
    with path.open("rb") as file:
        head, size = file.read(HEAD), path.stat().st_size
        for begins, reads in KINDS:
            if begins(head):
                file.seek(0)
                return reads(file, size)
        return Header(details={"whole_flash": True} if is_whole_flash(file, size) else {})


def _refuse_zip(file: IO[bytes], size: int) -> Header:
    raise Invalid(
        "This is a ZIP file, which boards cannot unpack. Make a bundle of the application's folder with "
        "`passerelle firmware bundle FOLDER OUT.tar --name NAME --version VERSION` and upload that."
    )


KINDS: tuple[tuple[Begins, Reads], ...] = (
    (lambda head: head[:1] in (b"\xe9", b"\xea"), read_esp),
    (is_mpy, read_mpy),
    (is_bundle, read_bundle),
    (lambda head: head.startswith(_ZIP), _refuse_zip),
)
