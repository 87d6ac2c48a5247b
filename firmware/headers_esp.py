"""Images for Espressif's chips: a header, segments with a checksum, and a description of the application.

The form is that of ESP-IDF's `esp_image_format.h` and of esptool; all numbers are little-endian.
"""

import struct
from hashlib import sha256
from typing import IO, Any

from firmware.values import Header
from gateway.core.errors import Invalid

MAGIC, MAGIC_V2 = 0xE9, 0xEA
COMMON, EXTENDED, SEGMENT = struct.Struct("<BBBBI"), struct.Struct("<B3sHBHH4sB"), struct.Struct("<II")
MAX_SEGMENTS = 16
MAX_SEGMENT = 16 * 1024 * 1024
CHECKSUM_START = 0xEF
ALIGN = 16
DIGEST = 32
PIECE = 64 * 1024

CHIPS = {
    0x00: "esp32", 0x02: "esp32-s2", 0x05: "esp32-c3", 0x09: "esp32-s3", 0x0C: "esp32-c2", 0x0D: "esp32-c6",
    0x10: "esp32-h2", 0x12: "esp32-p4", 0x14: "esp32-c61", 0x17: "esp32-c5", 0x19: "esp32-h21",
    0x1C: "esp32-h4", 0x20: "esp32-s31",
}  # fmt: skip
# The upper half of the byte after the mode, in KiB.
FLASH = {nibble: 1024 << nibble for nibble in range(8)}
FLASH_8266 = {0: 512, 1: 256, 2: 1024, 3: 2048, 4: 4096, 5: 2048, 6: 4096, 8: 8192, 9: 16384}
# Where an ESP8266 has data and code. There an ESP32's header has its pins, which are small numbers.
MEMORY_8266 = range(0x3FFE8000, 0x40400000)

# What ESP-IDF puts at the beginning of the first segment.
APPLICATION = struct.Struct("<II8x32s32s16s16s32s32s")
APPLICATION_MAGIC = 0xABCD5432

# An entry of the table of partitions, then another or the table's sum.
PARTITIONS_AT, PARTITION_SIZE, PARTITION, PARTITIONS_END = 0x8000, 32, b"\xaa\x50", b"\xeb\xeb"
LATE_BOOT = 0x1000


def read_esp(file: IO[bytes], size: int) -> Header:
    """Raises `Invalid` for an image that is cut off or changed, as far as its own sums tell."""
    image = _Image(file, size)
    header = image.read_v2() if image.peek() == MAGIC_V2 else image.read()
    whole = {"whole_flash": True} if is_whole_flash(file, size) else {}
    return Header(**header, details=image.details | whole)


def is_whole_flash(file: IO[bytes], size: int) -> bool:
    """Whether it is a copy of a whole flash: boot loader and, where it must be, the table of partitions."""
    if size <= PARTITIONS_AT:
        return False
    boots = (_at(file, 0, 1), _at(file, LATE_BOOT, 1))
    first, second = (_at(file, PARTITIONS_AT + offset, 2) for offset in (0, PARTITION_SIZE))
    return bytes([MAGIC]) in boots and first == PARTITION and second in (PARTITION, PARTITIONS_END)


def _at(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    return file.read(length)


class _Image:
    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._sum = 0
        self.details: dict[str, Any] = {}

    def peek(self) -> int:
        byte = _at(self._file, 0, 1)
        self._file.seek(0)
        return byte[0]

    def read(self) -> dict[str, Any]:
        count, flash = self._common(MAGIC)
        word = self._exactly(4)
        self._file.seek(COMMON.size)
        if int.from_bytes(word, "little") in MEMORY_8266:
            self._segments(count)
            self._checksum()
            return {"kind": "esp8266", "chip": "esp8266", "flash_size": FLASH_8266.get(flash, 0) * 1024}
        return self._read_esp32(count) | {"flash_size": FLASH.get(flash, 0) * 1024}

    def _read_esp32(self, count: int) -> dict[str, Any]:
        _, _, chip, _, least, most, _, has_digest = EXTENDED.unpack(self._exactly(EXTENDED.size))
        if has_digest not in (0, 1):
            raise Invalid("The header of this ESP32 image makes no sense; the file is damaged.")
        described = self._described()
        self._segments(count)
        self._checksum()
        if has_digest:
            self._check_digest()
        self.details |= {"chip_id": chip, "min_revision": least, "max_revision": most}
        return {"kind": "esp32", "chip": CHIPS.get(chip, "")} | described

    def read_v2(self) -> dict[str, Any]:
        """The ESP8266's other form: what runs from flash comes first, uncounted, then the form above."""
        self._common(MAGIC_V2)
        self._segment(0)
        count, flash = self._common(MAGIC)
        self._sum = 0
        self._segments(count)
        self._checksum()
        return {"kind": "esp8266", "chip": "esp8266", "flash_size": FLASH_8266.get(flash, 0) * 1024}

    def _common(self, magic: int) -> tuple[int, int]:
        found, count, _, size_and_speed, _ = COMMON.unpack(self._exactly(COMMON.size))
        if found != magic or not 1 <= count <= MAX_SEGMENTS:
            raise Invalid(
                "This begins like an ESP image, but its header has %(count)s segments; it is damaged.",
                count=count,
            )
        self.details["segments"] = count
        return count, size_and_speed >> 4

    def _described(self) -> dict[str, Any]:
        """What the application says of itself, where there is such a description."""
        here = self._file.tell()
        raw = _at(self._file, here + SEGMENT.size, APPLICATION.size)
        self._file.seek(here)
        if len(raw) < APPLICATION.size:
            return {}
        magic, secure, version, project, time, date, idf, elf = APPLICATION.unpack(raw)
        if magic != APPLICATION_MAGIC:
            return {}
        built = f"{_text(date)} {_text(time)}".strip()
        self.details |= {"idf": _text(idf), "built": built, "secure_version": secure}
        return {"project": _text(project), "version": _text(version), "elf_digest": elf.hex()}

    def _segments(self, count: int) -> None:
        for number in range(1, count + 1):
            self._segment(number)

    def _segment(self, number: int) -> None:
        _, length = SEGMENT.unpack(self._exactly(SEGMENT.size))
        if length % 4 or length > MAX_SEGMENT or self._file.tell() + length > self._size:
            raise Invalid(
                "This ESP image is cut off or damaged: its segment %(number)s does not fit into it.",
                number=number,
            )
        while length:
            piece = self._exactly(min(length, PIECE))
            self._sum ^= int.from_bytes(piece, "little")
            length -= len(piece)

    def _checksum(self) -> None:
        """One byte, the last of a block of sixteen: all bytes of all segments, one over the other."""
        self._file.seek(ALIGN - 1 - self._file.tell() % ALIGN, 1)
        total = CHECKSUM_START
        for byte in self._sum.to_bytes(PIECE, "little"):
            total ^= byte
        if self._exactly(1)[0] != total:
            raise Invalid("The checksum of this ESP image does not fit; the file is damaged.")

    def _check_digest(self) -> None:
        left = self._file.tell()
        said = _at(self._file, left, DIGEST)
        self._file.seek(0)
        found = sha256()
        while left:
            piece = self._exactly(min(left, PIECE))
            found.update(piece)
            left -= len(piece)
        if said != found.digest():
            raise Invalid(
                "The SHA-256 at the end of this ESP32 image does not fit; it is cut off or damaged."
            )

    def _exactly(self, length: int) -> bytes:
        data = self._file.read(length)
        if len(data) != length:
            raise Invalid("This ESP image ends in the middle.")
        return data


def _text(raw: bytes) -> str:
    """A C string, without what should not be shown."""
    text = raw.split(b"\0")[0].decode(errors="replace")
    return "".join(letter for letter in text if letter.isprintable()).strip()
