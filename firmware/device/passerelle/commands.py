"""Commands from the gateway: each runs once, in order, and is answered.

MQTT may deliver a command twice, also across a restart of the board. So the ids of the last 32 are written
down *before* the command is acknowledged and run. One that a restart interrupted is not run again (nobody
wants a door opened twice): it is answered `failed`, and a person decides. A duplicate is answered with what
is known about the first.
"""

import asyncio
import json

from . import keep, topics
from .board import utc_ms

FILE = "commands.json"
REMEMBERED = 32
WAITING = 8  # accepted but not yet run; more are left unacknowledged, and the broker sends them again
INTERRUPTED = "the device restarted before this was done"


class Rejected(Exception):
    """Raised by a handler that will not do what it is asked; the message says why."""


class Commands:
    def __init__(self, answer):
        self._answer = answer  # async answer(body)
        self._handlers = {}
        self._known = None  # [[id, status], ..] oldest first
        self._waiting = []
        self._arrived = asyncio.Event()

    def add(self, name, handler):
        self._handlers[name] = handler

    def take(self, payload):
        """Note a command down for `work`. False when there is no room: it must not be acknowledged then."""
        command = _parsed(payload)
        if command is None:
            return True  # nothing that could be run or answered
        if len(self._waiting) >= WAITING:
            return False
        status = self._status(command["id"])
        if status is None:
            self._remember(command["id"], "accepted")
        self._waiting.append((command, status))
        self._arrived.set()
        return True

    async def work(self):
        """Answer what the last restart left open, then run what arrives, for ever."""
        self._load()
        for position, (id, status) in enumerate(list(self._known)):
            # The newest may have been done without its answer having left.
            if status == "accepted" or position == len(self._known) - 1:
                await self._repeat(id, status)
        while True:
            while self._waiting:
                await self._handle(*self._waiting[0])
                del self._waiting[0]
            self._arrived.clear()
            await self._arrived.wait()

    async def _repeat(self, id, status):
        if status == "accepted":
            self._note(id, "failed")
            await self._answer({"id": id, "status": "failed", "error": INTERRUPTED})
        else:
            await self._answer({"id": id, "status": status})

    async def _handle(self, command, known):
        id = command["id"]
        if known is not None:
            await self._answer({"id": id, "status": self._status(id) or known})
            return
        answer = self._refusal(command)
        if answer is None:
            await self._answer({"id": id, "status": "accepted"})
            answer = await self._run(command)
        self._note(id, answer["status"])
        answer["id"] = id
        await self._answer(answer)

    def _refusal(self, command):
        now_ms, expires_at_ms = utc_ms(), command.get("expires_at")
        if now_ms is not None and isinstance(expires_at_ms, int) and now_ms > expires_at_ms:
            return {"status": "rejected", "error": "the command came too late"}
        if command["command"] not in self._handlers:
            return {"status": "rejected", "error": "this device does not know the command"}
        return None

    async def _run(self, command):
        try:
            result = self._handlers[command["command"]](command.get("params") or {})
            if hasattr(result, "send"):  # a coroutine
                result = await result
            json.dumps(result)
        except Rejected as error:
            return {"status": "rejected", "error": str(error)}
        except Exception as error:  # whatever a handler does, the device goes on
            return {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        return {"status": "done"} if result is None else {"status": "done", "result": result}

    def _load(self):
        if self._known is None:
            self._known = keep.load(FILE, [])

    def _status(self, id):
        self._load()
        for known, status in self._known:
            if known == id:
                return status
        return None

    def _remember(self, id, status):
        self._load()
        known = [entry for entry in self._known if entry[0] != id]
        known.append([id, status])
        self._known = known[-REMEMBERED:]
        keep.save(FILE, self._known)

    def _note(self, id, status):
        """Remember how it ended. On a full disk a restart will take it for interrupted."""
        try:
            self._remember(id, status)
        except OSError:
            return


def _parsed(payload):
    command = topics.said(payload)
    whole = isinstance(command.get("id"), (str, int)) and isinstance(command.get("command"), str)
    return command if whole else None
