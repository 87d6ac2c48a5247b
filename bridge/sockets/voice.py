"""What the instance says to the sockets of one side, programs or nodes."""

import asyncio
from typing import Any

from bridge.sockets.hall import Hall
from gateway.core.core import Core
from gateway.core.envelope import Reply, refusal
from gateway.core.errors import Unauthenticated
from gateway.core.mailbox import Party

# A socket that has not read this much gets no forwards, hears of its queue later, and is not listened to.
MOST_UNREAD = 100
MOST_UNREAD_BYTES = 2_000_000
# Longer than a socket lives that does not even answer pings.
LOOK_AGAIN_S, LOOKS = 0.05, 1200
CATCH_UP_EVERY_S = 1.0


class Voice:
    """A carrier of the instance's; `event` is what its side listens to."""

    def __init__(self, core: Core, hall: Hall, event: str) -> None:
        self._instance = core.instance
        self._hall = hall
        self._event = event
        # Older programs look for what a row of the queue holds under this name too.
        self._row_alias = "content" if "clients" in core.settings.compat_dialects else ""
        self._sids: dict[Party, str] = {}
        self._late: set[Party] = set()
        core.instance.carry(self)

    def enter(self, party: Party, sid: str) -> None:
        """From now on the party is reached by this socket."""
        self._sids[party] = sid

    def leave(self, party: Party, sid: str) -> None:
        """Not by this socket any more; one that has taken its place stays."""
        if self._sids.get(party) == sid:
            del self._sids[party]
            self._late.discard(party)

    def sid(self, party: Party) -> str | None:
        return self._sids.get(party)

    def listens(self, to: Party) -> bool:
        return to in self._sids

    def deliver(self, to: Party, reply: Reply) -> bool:
        sid = self._sids.get(to)
        if sid is None:
            return False
        if self._is_behind(sid):
            if reply.action == "updateQueue":
                self._late.add(to)
            return False
        self.say(sid, reply)
        return True

    async def until_read(self, sid: str) -> None:
        """Wait while the socket does not read what it is answered: meanwhile it can ask for nothing more."""
        for _ in range(LOOKS):
            if not self._is_behind(sid):
                return
            await asyncio.sleep(LOOK_AGAIN_S)

    def _is_behind(self, sid: str) -> bool:
        speaker = self._hall.speaker
        return speaker.unread(sid) > MOST_UNREAD or speaker.held_bytes(sid) > MOST_UNREAD_BYTES

    async def run(self) -> None:
        """Whoever was too slow to hear of its queue hears of it once it has read."""
        while True:
            await asyncio.sleep(CATCH_UP_EVERY_S)
            late, self._late = self._late, set()
            for party in late:
                self.deliver(party, self._instance.queue_of(party))

    def dismiss(self, sid: str, sentence: str) -> None:
        """Its login holds no longer: say why, and close."""
        self.say(sid, refusal({"action": "login"}, Unauthenticated(sentence)))
        self._hall.strangers.hurry(sid)

    def say(self, sid: str, reply: Reply) -> None:
        self._hall.speaker.say(self._event, self._spelled(reply), [sid])

    def _spelled(self, reply: Reply) -> dict[str, Any]:
        if not self._row_alias or "queue" not in reply.parameters:
            return reply.envelope
        rows = [row | {self._row_alias: row["parameters"]} for row in reply.parameters["queue"]]
        return {"action": reply.action, "parameters": reply.parameters | {"queue": rows}}
