"""What runs on MicroPython: a bundle of an application, or one compiled file."""

from typing import IO

from firmware.bundles import check_bundle
from firmware.values import Header
from gateway.core.errors import Invalid

# By the third byte's bits 2 to 5, in version 6; from MicroPython's documentation of .mpy files.
ARCHES = (
    "", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa",
    "xtensawin", "rv32imc", "rv64imc",
)  # fmt: skip
OLDEST, NEWEST = 3, 6
SMALL_INT_BITS = range(15, 65)
SHORTEST = 8
VERSIONS = [bytes([version]) for version in range(OLDEST, NEWEST + 1)]


def is_mpy(head: bytes) -> bool:
    """`M` and a version. Texts may begin with an M, but none goes on with a control character."""
    return head[:1] == b"M" and head[1:2] in VERSIONS


def read_mpy(file: IO[bytes], size: int) -> Header:
    head = file.read(4)
    if size < SHORTEST:
        raise Invalid("This .mpy file ends in the middle.")
    _, version, flags, bits = head
    if bits not in SMALL_INT_BITS:
        raise Invalid("The header of this .mpy file makes no sense; the file is damaged.")
    if version < NEWEST:
        return Header(kind="micropython", details={"mpy": str(version)})
    arch = flags >> 2 & 15
    if arch >= len(ARCHES):
        raise Invalid("This .mpy file was compiled for a processor that nobody knows; it is damaged.")
    return Header(kind="micropython", details={"mpy": f"{version}.{flags & 3}", "arch": ARCHES[arch]})


def read_bundle(file: IO[bytes], size: int) -> Header:
    manifest = check_bundle(file)
    unpacked = sum(entry.size for entry in manifest.files.values())
    return Header(
        kind="micropython",
        project=manifest.name,
        version=manifest.version,
        details={"files": len(manifest.files), "unpacked": unpacked},
    )
