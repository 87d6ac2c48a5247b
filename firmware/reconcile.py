"""Every few seconds: which modules do not run what they should, and are due."""

import asyncio
import logging

from firmware.catalogue import Catalogue
from firmware.job_records import modules_to_update
from firmware.ledger import Ledger
from firmware.offers import Offers
from gateway.core import clock
from gateway.core.presence import PresenceBook
from gateway.core.registry import GATEWAY, Registry
from gateway.core.values import Module
from gateway.storage.store import Store

log = logging.getLogger(__name__)
# A module that keeps coming back with another firmware, though its updates were confirmed, is left alone.
MOST_RETURNS = 5


class Reconcile:
    def __init__(
        self, store: Store, registry: Registry, presence: PresenceBook, images: Catalogue, ledger: Ledger,
        offers: Offers, every_s: float,
    ) -> None:  # fmt: skip
        self._store = store
        self._registry = registry
        self._presence = presence
        self._images = images
        self._ledger = ledger
        self._offers = offers
        self._every_s = every_s

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> int:
        """One look; returns how many modules were due."""
        now_ms = clock.now_ms()
        due = await self._store.read(lambda: modules_to_update(now_ms))
        for place, (number, _) in enumerate(due):
            module = self._registry.numbered(number)
            if module is not None and module.assigned_firmware:
                self._see_to(module)
            if place % 100 == 99:
                await asyncio.sleep(0)
        return len(due)

    def _see_to(self, module: Module) -> None:
        """Offer what is due; where there is no job for what is assigned, make one."""
        job = self._ledger.latest(module.number)
        image = self._images.by_serial(module.assigned_firmware)
        if image is None:
            return
        has_it = module.firmware == module.assigned_firmware
        if not has_it and (job is None or (job.state == "confirmed" and job.attempt < MOST_RETURNS)):
            attempt = 0 if job is None else job.attempt + 1
            text = f"It should run {image.serial} and runs {module.firmware or 'it never said what'}."
            self._ledger.open(self._ledger.draft(module, image, GATEWAY, attempt=attempt), text)
        if self._presence.of(module.id).session:
            self._offers.arrived(module)
