"""The images people have uploaded: immutable, found by number or serial, their files known by digest."""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from firmware import image_records as records
from firmware.facts import Facts, checked
from firmware.headers import read_header
from firmware.images import Images, Upload
from firmware.signing import GATEWAY, Signing, canonical
from firmware.soundness import Soundness
from firmware.values import Header, Image
from gateway.core import clock
from gateway.core.errors import Conflict, Forbidden, Full, Invalid, NotFound, Unavailable
from gateway.core.events import Alert, Hub
from gateway.core.registry import Registry
from gateway.core.rights import Person, may_manage, name_of
from gateway.core.types import Types
from gateway.storage.store import Store

T = TypeVar("T")
MAX_IMAGES = 2000
NAMED = 3


class Catalogue:
    """Memory holds every row; `Images` the files, `Soundness` whether they are what the rows say."""

    def __init__(
        self, store: Store, hub: Hub, registry: Registry, types: Types, folder: Path, signing: Signing
    ) -> None:
        self._store = store
        self._hub = hub
        self._registry = registry
        self._types = types
        self._signing = signing
        self._files = Images(folder)
        self._images: dict[int, Image] = {}
        self._serials: dict[str, Image] = {}
        self._sound = Soundness(hub, self._files, self._named)
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def load(self) -> None:
        """Every row, every file's size at once; the digests follow in the background."""
        await asyncio.to_thread(self._files.open)
        for image in reversed(await self._store.run(records.load_images)):
            self._keep(image)
        await self._tell_strangers()
        wanted = {module.assigned_firmware.lower() for module in self._registry.all()}
        await self._sound.begin(sorted(self.all(), key=lambda image: image.serial.lower() not in wanted))

    async def close(self) -> None:
        """What is being added is added; the check of the files ends."""
        await self._sound.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Looking

    def all(self) -> list[Image]:
        """Newest first."""
        return sorted(self._images.values(), key=lambda image: -image.id)

    def get(self, id: int) -> Image:
        """Raises `NotFound`."""
        try:
            return self._images[id]
        except KeyError:
            raise NotFound("There is no firmware %(id)s.", id=str(id)[:20]) from None

    def by_serial(self, serial: str) -> Image | None:
        return self._serials.get(serial.lower())

    def by_digest(self, digest: str, type: int) -> Image | None:
        return next((i for i in self._images.values() if i.digest == digest and i.type == type), None)

    def path(self, image: Image) -> Path:
        return self._files.path(image.digest)

    def damaged(self, image: Image) -> bool:
        """Whether its file is known not to be what was uploaded."""
        return self._sound.damaged(image.digest)

    def ready(self, image: Image) -> bool:
        """Whether its file was read since the start (or the last doubt) and is whole."""
        return self._sound.ready(image.digest)

    def doubt(self, image: Image) -> None:
        """Somebody got other bytes than the digest is of: its file is read again, in the background."""
        self._sound.doubt(image.digest)

    def check_whole(self, image: Image) -> None:
        """Raises `Unavailable` when its file is damaged."""
        if self.damaged(image):
            raise Unavailable("The file of %(serial)s is damaged. Upload it again.", serial=image.serial)

    # Adding

    def receiving(self) -> AbstractAsyncContextManager[Upload]:
        """`async with catalogue.receiving() as upload`: write, then `add`; else nothing stays of it."""
        return self._files.receiving()

    async def add(self, upload: Upload, facts: Facts, by: Person | str) -> Image:
        """Take what came; raises `Conflict` naming the image that has the serial or is this file already."""
        _check_manager(by)
        facts = checked(facts, self._types)
        await upload.finish()
        header = await asyncio.to_thread(read_header, upload.path)
        draft = self._draft(upload, facts, header, name_of(by))
        # Whoever asked may go away; the file, the row and memory must still say the same.
        image = await self._to_the_end(self._add(upload, draft))
        self._hub.acted("firmware.add", image.serial, by, digest=image.digest, version=image.version)
        return image

    def _draft(self, upload: Upload, facts: Facts, header: Header, by: str) -> Image:
        message = canonical(upload.digest, facts.type, facts.version, facts.hardware)
        signature, signed_by = self._signed(message, facts.signature)
        known = msgspec.structs.asdict(facts) | {"signature": signature, "signed_by": signed_by}
        return Image(
            id=0, digest=upload.digest, md5=upload.md5, size=upload.size, header=header,
            created_at_ms=clock.now_ms(), by=by, **known,
        )  # fmt: skip

    def _signed(self, message: bytes, signature: str) -> tuple[str, str]:
        """The signature to keep and whose it is: the one that was given, or the gateway's own."""
        signer = self._signing.who_signed(message, signature) if signature else GATEWAY
        if signer is None:
            raise Invalid(
                "No key that the gateway trusts fits this signature. It must be made over this very file, "
                "type, version and hardware."
            )
        if signer == GATEWAY and self._signing.policy.require_vendor:
            raise Invalid("Images need a vendor's signature here, and none was given with this one.")
        return signature or self._signing.sign(message), signer

    async def _add(self, upload: Upload, draft: Image) -> Image:
        async with self._changing:
            mend = self._sound.damaged(draft.digest)
            conflict = self._conflict(draft)
            if conflict and not mend:
                raise Conflict(conflict)
            await asyncio.to_thread(self._files.keep, upload, mend or not self._used(draft.digest))
            if mend:
                self._mended(draft.digest)
            if conflict:
                raise Conflict(
                    "%(conflict)s Its file was damaged; with this one it is whole again.", conflict=conflict
                )
            try:
                id = await self._store.run(lambda: records.insert_image(draft))
            except BaseException:
                if not self._used(draft.digest):
                    await asyncio.to_thread(self._files.remove, draft.digest)
                raise
            image = msgspec.structs.replace(draft, id=id)
            self._keep(image)
        return image

    def _conflict(self, draft: Image) -> str:
        if len(self._images) >= MAX_IMAGES:
            raise Full(
                "The catalogue holds %(max_images)s images already; remove some first.", max_images=MAX_IMAGES
            )
        if same := self.by_serial(draft.serial):
            return f"There is a firmware {same.serial!r} already (version {same.version}, type {same.type})."
        for image in self._images.values():
            if (image.digest, image.type) == (draft.digest, draft.type):
                return f"This file is firmware {image.serial!r} (version {image.version}) already."
        return ""

    # Removing

    async def remove(self, id: int, by: Person | str) -> None:
        """Raises `Conflict` saying who still needs it."""
        _check_manager(by)
        image = await self._to_the_end(self._remove(id, name_of(by)))
        self._hub.acted("firmware.remove", image.serial, by, digest=image.digest, version=image.version)

    async def _remove(self, id: int, by: str) -> Image:
        async with self._changing:
            image = self.get(id)
            self._check_unused(image)
            # Out of memory first, so that nobody assigns it while its row goes.
            self._drop(image)
            try:
                need = await self._store.run(lambda: records.delete_image(image, by))
            except BaseException:
                self._keep(image)
                raise
            if need:
                self._keep(image)
                raise Conflict("%(serial)s cannot be removed: %(need)s.", serial=image.serial, need=need)
            if not self._used(image.digest):
                self._sound.forget(image.digest)
                await asyncio.to_thread(self._files.remove, image.digest)
        return image

    def _check_unused(self, image: Image) -> None:
        for verb, name in (("assigned to", "assigned_firmware"), ("run by", "firmware")):
            ids = [
                module.id
                for module in self._registry.all()
                if getattr(module, name).lower() == image.serial.lower()
            ]
            if ids:
                raise Conflict(
                    "%(serial)s cannot be removed: it is %(verb)s %(ids)s.",
                    serial=image.serial,
                    verb=verb,
                    ids=_listed(ids),
                )

    # Memory and files

    def _keep(self, image: Image) -> None:
        self._images[image.id] = image
        self._serials[image.serial.lower()] = image

    def _drop(self, image: Image) -> None:
        del self._images[image.id]
        del self._serials[image.serial.lower()]

    def _used(self, digest: str) -> bool:
        return bool(self._named(digest))

    def _mended(self, digest: str) -> None:
        self._sound.forget(digest)
        for serial in self._named(digest):
            self._registry.note("firmware.mend", serial, GATEWAY, digest=digest)

    async def _tell_strangers(self) -> None:
        """The gateway's key may have been lost and made anew; a vendor's key goes only when people say so."""
        own = [image for image in self.all() if image.signed_by == GATEWAY]
        vouched = await asyncio.to_thread(lambda: [self._signing.vouches(image) for image in own])
        strangers = [image.serial for image, by in zip(own, vouched, strict=True) if by is None]
        if strangers:
            sentence = (
                f"The gateway's key is not the one that signed {_listed(strangers)}: modules that check "
                "signatures refuse them. Put the old key back, or remove them and upload them anew."
            )
            self._hub.publish(Alert("warning", sentence, {"serials": strangers[:100]}))

    def _named(self, digest: str) -> list[str]:
        return [image.serial for image in self.all() if image.digest == digest]

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; when nobody waits, nobody has to be


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {more} more" if more > 0 else shown


def _check_manager(by: Person | str) -> None:
    if isinstance(by, Person) and not may_manage(by):
        raise Forbidden("Only a technician or an admin keeps the catalogue of firmware.")
