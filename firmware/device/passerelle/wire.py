"""What updates need of the connection, across all its sessions."""

import asyncio
import json

from . import topics
from .outbox import Message


class Wire:
    def __init__(self, outbox):
        self._outbox = outbox
        self.session = None
        self.token = ""
        self.trouble = ""  # what last kept us from the gateway, for people

    @property
    def online(self):
        return self.session is not None and self.session.online.is_set()

    def greeted(self):
        """The session in which the gateway itself has answered our hello, or None."""
        return self.session if self.online and self.session.greeted else None

    async def tell(self, body, droppable=False):
        message = Message(topics.UP_FIRMWARE, json.dumps(body).encode(), 1, droppable)
        await self._outbox.put(message)
        return message

    async def told(self, body):
        """Come back when it has arrived."""
        await self._outbox.gone(await self.tell(body))

    async def ask(self, job, offset, length):
        """For a piece of the image; the answer, if there is one, comes on its own topic."""
        while True:
            if self.online:
                body = {"job": job, "offset": offset, "length": length}
                return await self.session.ask(topics.UP_CHUNK, body)
            await asyncio.sleep(0.2)

    async def goodbye(self):
        if self.online:
            await self.session.goodbye()


class Fixed:
    """In place of `Updates` on a board without slots."""

    def __init__(self, wire):
        self._wire = wire

    def jobs(self):
        return []

    def on_trial(self):
        return False

    async def heard(self, said):
        if isinstance(said.get("job"), str) and not said.get("abort"):
            error = "this device is not laid out for updates: it has no slots"
            await self._wire.tell({"job": said["job"], "state": "failed", "error": error}, True)

    def chunk(self, place, payload):
        """Nobody asked for it."""


class OnDemand:
    """Loads `Updates` when there is one to carry out: it takes half as much memory as all the rest."""

    def __init__(self, settings, slots, wire, say):
        self._settings = settings
        self._slots = slots
        self._wire = wire
        self._say = say
        self._updates = None
        self._needed = asyncio.Event()

    def jobs(self):
        jobs = [self._work()]
        if self._slots.on_trial():
            from .trial import Trial

            jobs.append(Trial(self._slots, self._settings, self._say).watch(self._wire))
        return jobs

    def on_trial(self):
        return self._slots.on_trial()

    async def heard(self, said):
        self._load()
        self._updates.heard(said)

    def chunk(self, place, payload):
        if self._updates is not None:
            self._updates.chunk(place, payload)

    def _load(self):
        if self._updates is None:
            from .updates import Updates

            self._updates = Updates(self._settings, self._slots, self._wire, self._say)
            self._needed.set()

    async def _work(self):
        if self._slots.verdict():
            self._load()
        await self._needed.wait()
        await self._updates.work()
