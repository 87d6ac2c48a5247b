"""Carries out the gateway's offers of new programs: fetch, check, unpack into the other slot, try it.

One job at a time; a power cut may end any step, and the next offer takes it up again: the gateway repeats
it at each hello.
"""

import asyncio
import gc
import os

from . import board, bundle, fetching, keep
from .offers import Offer, Unfit, check, check_signature

FILE = "update.json"
DOWNLOADING, DOWNLOADED, VERIFIED = "downloading", "downloaded", "verified"
INSTALLING, FAILED, ROLLED_BACK = "installing", "failed", "rolled_back"


class Stopped(Exception):
    """The gateway wants something else; `forget` when what was fetched is of no more use."""

    def __init__(self, forget):
        super().__init__("stopped by the gateway")
        self.forget = forget


class Updates:
    """`slots`: the module that started us; `wire`: a Wire."""

    def __init__(self, settings, slots, wire, say):
        self._settings = settings
        self._slots = slots
        self._wire = wire
        self._say = say
        self._chunks = fetching.Chunks(wire.ask)
        self._news = []  # words of the gateway that nobody has looked at yet
        self._arrived = asyncio.Event()
        self._known = keep.load(FILE, {})  # issued: newest offer accepted; job, digest: of the part file
        self._offer = None  # what is being carried out

    def heard(self, said):
        """An offer, or the word that one is off."""
        del self._news[:-3]
        self._news.append(said)
        self._arrived.set()

    def chunk(self, place, payload):
        self._chunks.arrived(place, payload)

    async def work(self):
        """Say how the last trial ended, then carry out what is offered, for ever."""
        verdict = self._slots.verdict()
        if verdict or self._slots.image().get("digest") == "sha256:" + self._known.get("digest", ""):
            self._forget()
        if verdict:
            await self._wire.told({"job": verdict["job"], "state": ROLLED_BACK, "error": verdict["error"]})
            self._slots.told()
        while True:
            await self._arrived.wait()
            if self._slots.on_trial():  # one thing after the other: it ends, or we do
                await asyncio.sleep(1)
                continue
            self._arrived.clear()
            while self._news:
                await self._handle(self._news.pop(0))

    async def _handle(self, said):
        if said.get("abort"):
            if said.get("job") == self._known.get("job"):
                self._forget()
            return
        try:
            self._offer = await self._accepted(said)
            if not self._done_already(self._offer):
                await self._carry_out(self._offer)
        except Stopped as stopped:
            self._say(f"update {self._offer.job} is off")
            if stopped.forget:
                self._forget()
        except Exception as error:  # whatever it is, the program that runs goes on
            await self._failed(said, error)
        finally:
            self._offer = None
            gc.collect()

    async def _failed(self, said, error):
        why = str(error) if isinstance(error, Unfit) else f"{type(error).__name__}: {error}"
        self._say(f"update {said.get('job')} failed: {why}")
        if isinstance(said.get("job"), str):
            await self._wire.tell({"job": said["job"], "state": FAILED, "error": why})

    async def _accepted(self, said):
        offer = Offer(said)
        self._check(offer)
        key = getattr(self._settings, "UPDATE_KEY", "")
        if key:
            await check_signature(offer, key)
        if self._known.get("digest") != offer.digest:
            fetching.forget()
        known = {"issued": offer.issued, "job": offer.job, "digest": offer.digest}
        if known != self._known:
            self._known = known
            keep.save(FILE, known)
        return offer

    def _check(self, offer):
        hardware = board.hardware(self._settings)
        check(offer, self._wire.token, self._known.get("issued", 0), self._settings.TYPE, hardware)

    def _forget(self):
        fetching.forget()
        self._known.pop("digest", None)

    def _done_already(self, offer):
        """The image runs: our hello has told the gateway, or is about to."""
        return self._slots.image().get("digest") == "sha256:" + offer.digest

    async def _carry_out(self, offer):
        self._say(f"update to {offer.serial} ({offer.version})")
        if fetching.kept() > offer.size:
            fetching.forget()
        if not fetching.kept():
            bundle.remove(self._slots.other())
            _check_room(offer.size)
        await self._fetch(offer)
        gc.collect()
        if await bundle.digest(fetching.PART) != offer.digest:
            self._forget()
            raise Unfit("the image that arrived is not the one that was offered: its digest differs")
        await self._state(offer, DOWNLOADED)
        await self._unpack(offer)
        await self._state(offer, VERIFIED)
        await self._look_around()
        self._slots.try_next(offer.job, offer.image())
        await self._wire.told({"job": offer.job, "state": INSTALLING})
        fetching.forget()
        self._say("starting anew")
        await self._wire.goodbye()
        self._slots.reset()

    async def _unpack(self, offer):
        bundle.remove(self._slots.other())
        try:
            await bundle.unpack(fetching.PART, self._slots.other())
        except Unfit:
            self._forget()  # the same bytes would fail again
            raise

    async def _state(self, offer, state):
        await self._wire.tell({"job": offer.job, "state": state, "received": offer.size})

    async def _fetch(self, offer):
        word = {"job": offer.job, "state": DOWNLOADING, "received": fetching.kept()}
        by_http = bool(offer.url)
        if offer.probe:
            word["probe"] = await fetching.probe(offer.probe, self._chunks, self._encryption)
            by_http = by_http and word["probe"]["http"]
            word["transport"] = "http" if by_http else "mqtt"
        await self._wire.tell(word)
        part = fetching.Part(offer.size)
        self._pace = fetching.Pace(part.have)
        try:
            token = self._token_for(offer.url)
            done = by_http and await fetching.over_http(part, self._link, token, self._encryption, self._step)
            if not done:
                await fetching.over_mqtt(part, self._chunks, offer.job, offer.chunk_max, self._step)
        finally:
            part.close()

    def _link(self):
        return self._offer.url

    def _token_for(self, url):
        """Our token never leaves in clear where the gateway is otherwise spoken to in cipher."""
        return self._wire.token if url.startswith("https:") or not self._settings.TLS else None

    def _encryption(self):
        return board.encryption(self._settings.TLS_CA)

    async def _step(self, have):
        """After each piece: say how far we are, and see whether the gateway has changed its mind."""
        if self._pace.due(have):
            await self._wire.tell({"job": self._offer.job, "state": DOWNLOADING, "received": have}, True)
        await self._look_around()

    async def _look_around(self):
        """Stopped when the gateway wants something else; a fresh link for the same image is used at once."""
        while self._news:
            said = self._news[0]
            if said.get("abort"):
                del self._news[0]
                if said.get("job") == self._offer.job:
                    raise Stopped(True)
                continue
            try:
                offer = Offer(said)
                self._check(offer)
            except Unfit as error:
                self._say(f"an offer is left aside: {error}")
                del self._news[0]
                continue
            if offer.job != self._offer.job or offer.digest != self._offer.digest:
                self._arrived.set()
                raise Stopped(False)
            del self._news[0]
            self._offer.url = offer.url


def _check_room(size):
    """The image and what is unpacked from it lie there together."""
    if not hasattr(os, "statvfs"):
        return
    about = os.statvfs(".")
    free = about[1] * about[4]
    if free < 2 * size + 8192:
        raise Unfit(f"the update needs {2 * size // 1024 + 8} KiB of free flash, there are {free // 1024}")
