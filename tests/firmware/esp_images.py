"""Real images of the forms that ESP-IDF, esptool and the Arduino core make, built byte by byte."""

import struct
from binascii import crc32
from hashlib import sha256

PARTITION = b"\xaa\x50" + bytes(30)


def described(version="1.4.1", project="probe", idf="v5.3.1", elf=bytes(range(32))):
    """ESP-IDF's `esp_app_desc_t`: 256 bytes."""
    texts = ((version, 32), (project, 32), ("12:00:00", 16), ("Nov 21 2026", 16), (idf, 32))
    fields = b"".join(text.encode().ljust(room, b"\0") for text, room in texts)
    return (struct.pack("<II8x", 0xABCD5432, 7) + fields + elf).ljust(256, b"\0")


def checksum(segments):
    total = 0xEF
    for _, data in segments:
        for byte in data:
            total ^= byte
    return total


def with_segments(head, segments, at=0):
    image = head
    for address, data in segments:
        image += struct.pack("<II", address, len(data)) + data
    image += bytes(15 - (at + len(image)) % 16)
    return image + bytes([checksum(segments)])


def esp32(chip=9, size_code=3, data=None, with_digest=True, behind=b"", segments=None):
    segments = segments or [(0x3C000020, (described() if data is None else data)), (0x40378000, b"code" * 64)]
    head = struct.pack("<BBBBI", 0xE9, len(segments), 2, size_code << 4 | 0xF, 0x40378000)
    head += struct.pack("<B3sHBHH4sB", 0xEE, bytes(3), chip, 0, 0, 99, bytes(4), with_digest)
    image = with_segments(head, segments)
    return image + (sha256(image).digest() if with_digest else b"") + behind


RAM_8266 = [(0x40100000, b"iram" * 40), (0x3FFE8000, b"data" * 20)]


def esp8266(size_code=4, behind=b""):
    head = struct.pack("<BBBBI", 0xE9, len(RAM_8266), 0, size_code << 4, 0x40100004)
    return with_segments(head, RAM_8266) + behind


def esp8266_v2():
    head = struct.pack("<BBBBI", 0xEA, 4, 0, 4 << 4, 0x40100004)
    flash = b"irom" * 64
    head += struct.pack("<II", 0, len(flash)) + flash
    head += struct.pack("<BBBBI", 0xE9, len(RAM_8266), 0, 4 << 4, 0x40100004)
    image = with_segments(head, RAM_8266)
    return image + struct.pack("<I", crc32(image))


def whole_flash(boot_at=0):
    start = bytes([0xFF]) * boot_at + esp32(data=b"boot" * 10)
    return start.ljust(0x8000, b"\xff") + PARTITION * 3 + b"\xff" * 4096
