"""The firmware floor over a real core, a carrier that keeps what it is given, and a clock a test moves."""

from contextlib import asynccontextmanager

from firmware.facts import Facts
from firmware.house import open_firmware
from gateway.core.events import FirmwareReported
from tests.bridge.mqtt.client import until
from tests.gateway.core.heart import ADMIN, GENERIC, approved, open_heart

PROBATION_S, RETRY_S = 60, 30
PATIENCE_S = 30


class Boards:
    """A transport: what it was told to hand over, by module id; those in `there` listen."""

    def __init__(self):
        self.there = set()
        self.offers = {}
        self.aborts = []

    def offer(self, module, offer):
        if module.id in self.there:
            self.offers.setdefault(module.id, []).append(offer)
        return module.id in self.there

    def abort(self, module, job_id):
        self.aborts.append((module.id, job_id))
        return module.id in self.there


class Floor:
    def __init__(self, core, firmware, clock, boards):
        self.core, self.firmware, self.clock, self.boards = core, firmware, clock, boards

    async def image(self, serial="app-2", version="2", type=GENERIC, data=b"", by=ADMIN, **more):
        async with self.firmware.images.receiving() as upload:
            await upload.write(data or f"image {serial}".encode() * 100)
            facts = Facts(serial=serial, version=version, type=type, **more)
            return await self.firmware.images.add(upload, facts, by)

    async def module(self, serial="MC-1", **more):
        """An approved module with a live session."""
        module, _ = await approved(self.core, serial, **more)
        self.connects(module)
        return module

    def connects(self, module):
        self.boards.there.add(module.id)
        self.core.presence.session_opened(module, "mqtt")
        self.core.presence.heard(module)
        self.firmware.offers.arrived(self.core.registry.get(module.id))

    def goes(self, module, reason="will"):
        self.boards.there.discard(module.id)
        self.core.presence.session_closed(module.id, "mqtt", reason)

    async def hello(self, module, image=None, **said):
        if image is not None:
            said = {"serial": image.serial, "digest": f"sha256:{image.digest}"} | said
        self.core.hub.publish(FirmwareReported(module.id, said, "hello", module.id))
        await self.firmware.running.settled(module.id)
        self.firmware.offers.arrived(self.core.registry.get(module.id))

    def says(self, module, state, job=None, **more):
        job = job or self.job(module)
        word = {"job": job.id, "state": state} | more
        self.firmware.offers.heard(self.core.registry.get(module.id), word)
        return self.job(module)

    def fetches(self, module, upto=None):
        """Chunk by chunk, as over MQTT; returns the bytes."""
        job, got = self.job(module), b""
        while chunk := self.firmware.offers.chunk(module, job.id, len(got), 1024):
            got += chunk
            if upto is not None and len(got) >= upto:
                break
        return got

    async def installs(self, module, image):
        """All a good module does up to its first hello with the new image."""
        self.fetches(module)
        for state in ("downloaded", "verified", "installing"):
            self.says(module, state)
        self.goes(module)
        self.connects(module)
        await self.hello(module, image)

    async def updates(self, module, image):
        await self.installs(module, image)
        self.passes(PROBATION_S + 1)
        return self.job(module)

    def passes(self, seconds):
        """Time goes by, second by second, with every module that is there heard now and then."""
        for _ in range(int(seconds)):
            self.clock.pass_s(1)
            for id in self.boards.there:
                self.core.presence.heard(self.core.registry.get(id))
            self.firmware.tick()

    def leaps(self, seconds):
        self.clock.pass_s(seconds)
        self.firmware.tick()

    async def read_again(self, image):
        """A file that a module's failure cast doubt on is read before it is offered again."""
        await until(lambda: self.firmware.images.ready(image), PATIENCE_S)

    def job(self, module):
        return self.firmware.ledger.latest(module.number)

    async def states(self, job):
        return [step.state for step in await self.firmware.ledger.history(job.id)]

    async def evidence(self, job):
        return [step.evidence for step in await self.firmware.ledger.history(job.id)]


@asynccontextmanager
async def open_floor(folder, clock, **settings):
    plain = {"probation": PROBATION_S, "update_retry": RETRY_S, "rate_limits": False}
    async with open_heart(folder, **(plain | settings)) as core:
        async with open_firmware(core, clock.monotonic) as firmware:
            boards = Boards()
            firmware.offers.carry(boards)
            yield Floor(core, firmware, clock, boards)
