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
