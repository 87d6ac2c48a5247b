"""Parts of images from few open files; what is not whole is not read."""

import os

import pytest

from firmware.reader import MAX_OPEN, Reader
from firmware.values import Header, Image
from gateway.core.errors import Unavailable


class Shelf:
    def __init__(self, folder):
        self.folder = folder
        self.broken = set()

    def path(self, image):
        return self.folder / image.digest

    def damaged(self, image):
        return image.digest in self.broken

    def image(self, number, data):
        digest = f"{number:064x}"
        (self.folder / digest).write_bytes(data)
        return Image(
            id=number, serial=f"app-{number}", version="1", type=7, digest=digest, md5="", size=len(data),
            header=Header(), created_at_ms=0, by="tom",
        )  # fmt: skip


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


@pytest.fixture
def reader(shelf):
    reader = Reader(shelf)
    yield reader
    reader.close()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def test_every_part(shelf, reader):
    data = bytes(range(256)) * 40
    image = shelf.image(1, data)
    got = b"".join(reader.read(image, at, 1000) for at in range(0, len(data), 1000))
    assert got == data
    assert reader.read(image, len(data) - 1, 4096) == data[-1:]
    assert reader.read(image, len(data), 4096) == b""
    assert reader.read(image, 2**40, 4096) == b""


def test_few_files_are_open(shelf, reader):
    images = [shelf.image(number, bytes([number]) * 500) for number in range(3 * MAX_OPEN)]
    before = descriptors()
    for _ in range(3):
        for image in images:
            assert reader.read(image, 10, 300) == bytes([image.id]) * 300
    assert descriptors() - before == MAX_OPEN
    reader.close()
    assert descriptors() == before


def test_a_file_that_is_gone_damaged_or_short(shelf, reader):
    missing, short, broken = (shelf.image(number, b"x" * 5000) for number in (1, 2, 3))
    shelf.path(missing).unlink()
    assert reader.read(short, 4000, 1000) == b"x" * 1000
    os.truncate(shelf.path(short), 4500)
    shelf.broken.add(broken.digest)
    for image, word in ((missing, "cannot be read"), (short, "shorter"), (broken, "damaged")):
        with pytest.raises(Unavailable, match=word):
            reader.read(image, 4000, 1000)
    # Once it is whole again it is read again.
    shelf.path(short).unlink()
    shelf.path(short).write_bytes(b"y" * 5000)
    assert reader.read(short, 4000, 1000) == b"y" * 1000
