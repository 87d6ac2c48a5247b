"""Every few seconds: which modules do not run what they should, and are due."""

import asyncio
import logging

from firmware.catalogue import Catalogue
from firmware.job_records import modules_to_update
from firmware.ledger import Ledger
from firmware.offers import Offers
from firmware.values import Job
from gateway.core import clock
from gateway.core.core import Core
from gateway.core.events import Alert
from gateway.core.registry import GATEWAY
from gateway.core.values import Module

log = logging.getLogger(__name__)
# A module that keeps coming back with another firmware, though its updates were confirmed, is left alone.
MOST_RETURNS = 5


class Reconcile:
    def __init__(self, core: Core, images: Catalogue, ledger: Ledger, offers: Offers) -> None:
        self._store = core.store
        self._hub = core.hub
        self._registry = core.registry
        self._presence = core.presence
        self._images = images
        self._ledger = ledger
        self._offers = offers
        self._every_s = core.settings.reconcile_every
        self._left_alone: dict[int, str] = {}

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
        elif not has_it and job is not None and job.state == "confirmed":
            self._leave_alone(module, job)
        if self._presence.of(module.id).session:
            self._offers.arrived(module)

    def _leave_alone(self, module: Module, job: Job) -> None:
        """Say once that it is not updated any more."""
        if self._left_alone.get(module.number) == job.id:
            return
        self._left_alone[module.number] = job.id
        runs = module.firmware or "something else"
        text = f"{module.id} was updated {MOST_RETURNS} times and runs {runs} again."
        self._registry.note("firmware.left_alone", module.id, GATEWAY, level="warning", job=job.id)
        self._hub.publish(Alert("warning", f"{text} It is left alone.", {"moduleId": module.id}))
