"""What modules run: a reported firmware is taken for true once the catalogue knows it, and else noted."""

import asyncio
from collections.abc import Callable
from typing import Any

from firmware.catalogue import Catalogue
from firmware.values import Image
from gateway.core.errors import GatewayError, TooMany
from gateway.core.events import FirmwareReported, Hub
from gateway.core.limits import Throttle
from gateway.core.registry import Registry
from gateway.core.values import Module

BURST, EVERY_S = 20, 10.0
PREFIX = "sha256:"
Told = Callable[[Module, Image | None, str, str], None]


class Running:
    def __init__(self, hub: Hub, registry: Registry, images: Catalogue, *, rate_limits: bool) -> None:
        self._registry = registry
        self._images = images
        self._throttle = Throttle(BURST, EVERY_S, enabled=rate_limits)
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Told] = []
        hub.subscribe(FirmwareReported, self._reported)

    def tell(self, listener: Told) -> None:
        """Call `listener(module, image or None, serial, digest)` for every hello of a module."""
        self._listeners.append(listener)

    async def settled(self, module_id: str) -> None:
        """Return once what this module reported is stored."""
        while (task := self._writing.get(module_id)) is not None:
            await asyncio.wait([task])

    async def close(self) -> None:
        if self._writing:
            await asyncio.wait(list(self._writing.values()))

    def _reported(self, event: FirmwareReported) -> None:
        module = self._registry.known(event.module_id)
        if module is None:
            return
        serial, digest = _text(event.said, "serial"), _text(event.said, "digest").removeprefix(PREFIX).lower()
        image = self._image(module, serial, digest)
        if serial or digest:
            self._note(module, image, serial or PREFIX + digest, event)
        if event.occasion == "hello":
            for listener in self._listeners:
                listener(module, image, serial, digest)

    def _image(self, module: Module, serial: str, digest: str) -> Image | None:
        """The image that fits all of what was said and the module's type.

        An image of another type counts only where it is assigned, as an admin may do, and by its digest.
        """
        by_serial = self._images.by_serial(serial) if serial else None
        assigned = self._images.by_serial(module.assigned_firmware)
        image = self._images.by_digest(digest, module.type) if digest else by_serial
        if assigned is not None and assigned.digest == digest:
            image = assigned
        elif image is None or image.type != module.type:
            return None
        return None if by_serial is not None and by_serial.id != image.id else image

    def _note(self, module: Module, image: Image | None, said: str, event: FirmwareReported) -> None:
        changes: dict[str, Any] = {}
        if module.reported_firmware != said:
            changes["reported_firmware"] = said
        if image is not None and module.firmware != image.serial:
            changes["firmware"] = image.serial
        repeated = not changes and event.occasion == "hello"
        if repeated or (image is not None and not changes):
            return
        try:
            self._throttle.spend(module.id, "It says too often what it runs.")
        except TooMany:
            return
        self._write(module.id, image, said, event.by, changes)

    def _write(self, id: str, image: Image | None, said: str, by: str, changes: dict[str, Any]) -> None:
        before = self._writing.get(id)

        async def write() -> None:
            if before is not None:
                await asyncio.wait([before])
            module = self._registry.known(id)
            if module is None:
                return
            action, note = "firmware.current", {"firmware": said}
            if image is None:
                action = "firmware.unknown"
                note = {"level": "warning", "serial": said, "kept": module.firmware}
            try:
                await self._registry.change(module, by, action, note=note, **changes)
            except GatewayError:
                pass  # it says so again at its next hello
            finally:
                if self._writing.get(id) is task:
                    del self._writing[id]

        task = asyncio.get_running_loop().create_task(write())
        self._writing[id] = task


def _text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    return value[:200] if isinstance(value, str) else ""
