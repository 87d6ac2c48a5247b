"""Whether the files of images are still what was uploaded: sizes at the start, digests in the background."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from firmware.images import Images
from firmware.values import Image
from gateway.core.events import Alert, Hub

log = logging.getLogger(__name__)
# Until a file is read once more that could not be read, for example for want of descriptors.
AGAIN_S = 2.0


class Soundness:
    """`named` tells the serials of a digest, for the sentences. One file is read at a time."""

    def __init__(self, hub: Hub, files: Images, named: Callable[[str], list[str]]) -> None:
        self._hub = hub
        self._files = files
        self._named = named
        self._damaged: set[str] = set()
        # In the order in which they are read.
        self._unread: dict[str, None] = {}
        self._reading: asyncio.Task[None] | None = None

    async def begin(self, images: Iterable[Image]) -> None:
        """What is missing or of another size is known when this returns; all else is read, in this order."""
        sizes = await asyncio.to_thread(self._files.sizes)
        expected = {image.digest: image.size for image in images}
        for digest, size in expected.items():
            if digest not in sizes:
                self._found(digest, "is missing")
            elif sizes[digest] != size:
                self._found(digest, f"has {sizes[digest]} bytes instead of {size}")
            else:
                self._unread[digest] = None
        if strange := sizes.keys() - expected.keys():
            log.warning("%d files in the folder of images belong to no image.", len(strange))
        self._read_on()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def damaged(self, digest: str) -> bool:
        return digest in self._damaged

    def ready(self, digest: str) -> bool:
        """Read since the start, or since somebody doubted it, and whole."""
        return digest not in self._damaged and digest not in self._unread

    def doubt(self, digest: str) -> None:
        """Read it again."""
        if digest not in self._damaged:
            self._unread[digest] = None
            self._read_on()

    def forget(self, digest: str) -> None:
        """The file is gone, or another has taken its place."""
        self._damaged.discard(digest)
        self._unread.pop(digest, None)

    def _read_on(self) -> None:
        if self._unread and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read_all(), name="images read again")

    async def _read_all(self) -> None:
        while self._unread:
            digest = next(iter(self._unread))
            whole = await asyncio.to_thread(self._files.whole, digest)
            if whole is None:
                await asyncio.sleep(AGAIN_S)
                continue
            # Unless it was forgotten meanwhile.
            if digest in self._unread:
                del self._unread[digest]
                if not whole:
                    self._found(digest, "does not hold what was uploaded")

    def _found(self, digest: str, what: str) -> None:
        self._damaged.add(digest)
        serials = self._named(digest)
        sentence = (
            f"The file of firmware {', '.join(serials)} {what}. No module gets it; upload the same file "
            "again, or remove the image."
        )
        log.error(sentence)
        self._hub.publish(Alert("error", sentence, {"serials": serials, "digest": f"sha256:{digest}"}))
