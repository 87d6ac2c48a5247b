"""Offers to modules, and what they fetch: the firmware floor's side of `core.updates`."""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from firmware.addresses import Addresses
from firmware.catalogue import Catalogue
from firmware.course import Course
from firmware.fitness import Fitness
from firmware.ledger import Ledger
from firmware.links import Links
from firmware.probing import PROBE, Probing
from firmware.reader import Reader
from firmware.running import PREFIX
from firmware.values import Image, Job
from gateway.core import clock
from gateway.core.errors import GatewayError
from gateway.core.registry import Registry
from gateway.core.updates import Offer, OfferCarrier
from gateway.core.values import Module

CHUNK_MAX = 4096
# So many modules may be at work on an update at once; the others wait for their turn.
MOST_AT_ONCE = 300
PROBE_JOB = "probe"
_RESUMABLE = frozenset({"offered", "downloading", "downloaded", "verified"})
_FETCHING = frozenset({"assigned", "offered", "downloading", "downloaded", "verified"})


class Offers:
    def __init__(
        self, addresses: Addresses, registry: Registry, images: Catalogue, fitness: Fitness, ledger: Ledger,
        course: Course, links: Links, reader: Reader, probing: Probing,
    ) -> None:  # fmt: skip
        self._addresses = addresses
        self._registry = registry
        self._images = images
        self._fitness = fitness
        self._ledger = ledger
        self._course = course
        self._links = links
        self._reader = reader
        self._probing = probing
        self._carriers: list[OfferCarrier] = []
        self._unsettled: set[str] = set()
        self._issued = 0
        self.refused: Counter[str] = Counter()
        self._may_begin: Callable[[Job], bool] = lambda job: True
        course.abort_with(self.abort)

    def begin_if(self, may_begin: Callable[[Job], bool]) -> None:
        """Who is asked before an update that is assigned begins."""
        self._may_begin = may_begin

    def carry(self, carrier: OfferCarrier) -> None:
        self._carriers.append(carrier)

    # Down

    def hold(self, job_id: str) -> None:
        """Offer it to nobody before it is stored."""
        self._unsettled.add(job_id)

    def release(self, job_id: str) -> None:
        self._unsettled.discard(job_id)

    def arrived(self, module: Module) -> None:
        """Offer what is due for it, or once more what it was at work on: it resumes."""
        job = self._ledger.open_of(module.number)
        if job is None or module.life != "approved" or job.id in self._unsettled:
            return
        if job.state in _RESUMABLE:
            self._send(module, job)
        elif job.state == "assigned" and job.due_ms <= clock.now_ms() and self._fits(module, job):
            may_begin = self._ledger.under_way() < MOST_AT_ONCE and self._may_begin(job)
            if may_begin and self._send(module, job):
                self._ledger.step(job, "offered", "It listens, and was sent the offer.")

    def _fits(self, module: Module, job: Job) -> bool:
        """Looked at again: a module entered by hand tells its hardware only when it comes."""
        if job.override:
            return True
        reasons = self._fitness.obstacles(module, self._images.get(job.image_id), offering=True)
        if reasons and self._fitness.has_introduced_itself(module):
            self._course.fail(module, job, " ".join(reasons), final=True)
        return not reasons

    def _send(self, module: Module, job: Job) -> bool:
        try:
            image = self._images.get(job.image_id)
            self._images.check_whole(image)
            if not self._images.ready(image):
                return False  # its file is still being checked; the next look comes soon
            offer = self._offer(module, job, image)
        except GatewayError as error:
            self._course.fail(module, job, error.message, final=True)
            return False
        return any(carrier.offer(module, offer) for carrier in self._carriers)

    def _offer(self, module: Module, job: Job, image: Image) -> Offer:
        address = self._addresses.advertised(module)
        probe = None
        if self._probing.of(module.number) is None:
            url = address.url and f"{address.url}/fw/{PROBE_JOB}"
            probe = {"url": url, "size": len(PROBE), "digest": PREFIX + sha256(PROBE).hexdigest()}
        issued = self._issue()
        return Offer(
            job=job.id, serial=image.serial, version=image.version, digest=PREFIX + image.digest,
            size=image.size, signature=image.signature, chunk_max=CHUNK_MAX, type=image.type,
            hardware=image.hardware, issued=issued, hmac=self._hmac(module, job, image, issued), probe=probe,
            url=self._links.url(address.url, job, module) if address.url else "",
        )  # fmt: skip

    def _issue(self) -> int:
        """When, for modules that refuse what is older than the last: never less, whatever the clock does."""
        self._issued = max(clock.now_ms(), self._issued or self._newest_ms())
        return self._issued

    def _newest_ms(self) -> int:
        """When the newest step was taken that is known; before the start, offers were made till then."""
        latest = (self._ledger.latest(module.number) for module in self._registry.all())
        return max((job.since_ms for job in latest if job is not None), default=0)

    def _hmac(self, module: Module, job: Job, image: Image, issued: int) -> str:
        """Proves to the module that the offer is ours: nobody else knows its token's digest."""
        key = bytes.fromhex(self._registry.digests(module).token)
        said = f"passerelle offer 1\n{job.id}\n{image.digest}\n{image.size}\n{image.version}\n{issued}\n"
        return hmac.new(key, said.encode(), sha256).hexdigest()

    def abort(self, module: Module, job_id: str) -> None:
        for carrier in self._carriers:
            if carrier.abort(module, job_id):
                break

    # Up

    def heard(self, module: Module, said: Mapping[str, Any]) -> None:
        job = self._ledger.open_of(module.number)
        if job is not None and said.get("job") == job.id and isinstance(said.get("probe"), dict):
            self._probing.note(module, said["probe"])
        if job is not None and said.get("job") == job.id and self._is_early(job, said):
            self.refused["not its turn"] += 1
            return
        self._course.heard(module, said)

    def _is_early(self, job: Job, said: Mapping[str, Any]) -> bool:
        """It begins by itself, with an offer from before it went away, when others have their turn."""
        return said.get("state") == "downloading" and not self._is_its_turn(job)

    def _is_its_turn(self, job: Job) -> bool:
        return job.state != "assigned" or self._may_begin(job)

    def chunk(self, module: Module, job_id: str, offset: int, length: int) -> bytes | None:
        if job_id == PROBE_JOB:
            return PROBE[offset : offset + length]
        job = self.fetchable(module, job_id)
        if job is None:
            return None
        try:
            data = self._reader.read(self._images.get(job.image_id), offset, length)
        except GatewayError:
            self.refused["unreadable"] += 1
            return None
        if data:
            self._course.given(job, offset + len(data), "MQTT")
        return data

    def fetchable(self, module: Module, job_id: str) -> Job | None:
        """The job for which this module may fetch the image now; None, and counted, for any other."""
        job = self._ledger.open_of(module.number)
        if job is None or job.id != job_id or job.state not in _FETCHING or job.id in self._unsettled:
            self.refused["not its job"] += 1
            return None
        if not self._is_its_turn(job):
            self.refused["not its turn"] += 1
            return None
        return job

    def served(self, job_id: str, offset: int, length: int) -> bool:
        """So much is about to go to the module's HTTP connection; False: it is to get no more."""
        try:
            job = self._ledger.job(job_id)
        except GatewayError:
            return False
        waits = job.state == "assigned" and job.due_ms > clock.now_ms()
        if waits or job.state not in _FETCHING:
            return False
        self._course.given(job, offset + length, "HTTP")
        return True
