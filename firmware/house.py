"""The firmware floor as a whole: its parts, opened in order and closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from firmware.addresses import Addresses
from firmware.assignment import Assignments
from firmware.catalogue import Catalogue
from firmware.course import Course
from firmware.fitness import Fitness
from firmware.ledger import Ledger
from firmware.links import Links
from firmware.offers import Offers
from firmware.probing import Probing
from firmware.reader import Reader
from firmware.reconcile import Reconcile
from firmware.rollouts import Rollouts
from firmware.running import Running
from firmware.signing import Signing
from gateway.core.core import Core

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Firmware:
    core: Core
    signing: Signing
    images: Catalogue
    running: Running
    ledger: Ledger
    course: Course
    links: Links
    addresses: Addresses
    reader: Reader
    probing: Probing
    offers: Offers
    assignments: Assignments
    reconcile: Reconcile
    rollouts: Rollouts

    def tick(self) -> None:
        """Once a second: what time alone decides."""
        self.course.tick()
        self.rollouts.tick()

    async def tick_for_ever(self) -> None:
        while True:
            self.tick()
            await asyncio.sleep(TICK_S)


@asynccontextmanager
async def open_firmware(core: Core, monotonic_s: Callable[[], float] = monotonic) -> AsyncIterator[Firmware]:
    """Build, load and (at the end) save what the gateway knows of firmware."""
    firmware = _build(core, monotonic_s)
    for part in (
        firmware.signing,
        firmware.images,
        firmware.ledger,
        firmware.probing,
        firmware.rollouts,
        firmware.addresses,
    ):
        await part.load()
    try:
        yield firmware
    finally:
        await firmware.rollouts.close()
        await firmware.running.close()
        await firmware.images.close()
        firmware.reader.close()
        firmware.ledger.save()


def _build(core: Core, monotonic_s: Callable[[], float]) -> Firmware:
    settings, store, hub, registry = core.settings, core.store, core.hub, core.registry
    folder = settings.data / "firmware"
    signing = Signing(store, hub, folder)
    images = Catalogue(store, hub, registry, core.types, folder, signing)
    running = Running(hub, registry, images, rate_limits=settings.rate_limits)
    ledger = Ledger(store, hub, registry, monotonic_s)
    course = Course(
        hub, registry, core.presence, images, ledger, running,
        probation_s=settings.probation, retry_s=settings.update_retry, monotonic_s=monotonic_s,
    )  # fmt: skip
    addresses = Addresses(settings)
    addresses.watch(hub)
    links, reader, probing = Links(settings.signing_key()), Reader(images), Probing(store, hub)
    fitness = Fitness(core.presence, images, signing)
    offers = Offers(addresses, registry, images, fitness, ledger, course, links, reader, probing)
    assignments = Assignments(registry, images, fitness, ledger, offers)
    return Firmware(
        core=core,
        signing=signing,
        images=images,
        running=running,
        ledger=ledger,
        course=course,
        links=links,
        addresses=addresses,
        reader=reader,
        probing=probing,
        offers=offers,
        assignments=assignments,
        reconcile=Reconcile(core, images, ledger, offers),
        rollouts=Rollouts(core, images, ledger, assignments, offers),
    )
