"""Small parts of images, for modules that fetch them over MQTT; few files are open at a time."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from firmware.values import Image
from gateway.core.errors import Unavailable

MAX_OPEN = 16


class Shelf(Protocol):
    """Where the images lie: the catalogue."""

    def path(self, image: Image) -> Path: ...

    def damaged(self, image: Image) -> bool: ...


class Reader:
    """Synchronous: a part is a few kilobytes, and as a rule in the page cache already."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._open: OrderedDict[str, int] = OrderedDict()

    def read(self, image: Image, offset: int, length: int) -> bytes:
        """The bytes from `offset`, fewer at the end; raises `Unavailable` when the file is not whole."""
        length = max(0, min(length, image.size - offset))
        if self._shelf.damaged(image):
            raise Unavailable("The file of %(serial)s is damaged.", serial=image.serial)
        if not length:
            return b""
        try:
            data = os.pread(self._file(image), length, offset)
        except OSError as error:
            self._forget(image.digest)
            raise Unavailable(
                "The file of %(serial)s cannot be read: %(strerror)s.",
                serial=image.serial,
                strerror=error.strerror,
            ) from None
        if len(data) != length:
            self._forget(image.digest)
            raise Unavailable("The file of %(serial)s is shorter than it was.", serial=image.serial)
        return data

    def close(self) -> None:
        for digest in list(self._open):
            self._forget(digest)

    def _file(self, image: Image) -> int:
        descriptor = self._open.get(image.digest)
        if descriptor is None:
            if len(self._open) >= MAX_OPEN:
                self._forget(next(iter(self._open)))
            descriptor = os.open(self._shelf.path(image), os.O_RDONLY)
            self._open[image.digest] = descriptor
        self._open.move_to_end(image.digest)
        return descriptor

    def _forget(self, digest: str) -> None:
        if (descriptor := self._open.pop(digest, None)) is not None:
            os.close(descriptor)
