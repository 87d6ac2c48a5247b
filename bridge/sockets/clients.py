"""The dialect `client.to.instance`: programs over Socket.IO."""

import asyncio
from typing import Any

from bridge.sockets.hall import Hall
from bridge.sockets.onlinelists import OnlineLists
from bridge.sockets.voice import Voice
from gateway.core.core import Core
from gateway.core.envelope import Caller
from gateway.core.events import ClientRemoved
from gateway.core.mailbox import Party

UP, DOWN = "client.to.instance", "instance.to.client"


class Clients:
    """One session per program, the newest; it ends with the program's registration."""

    def __init__(self, core: Core, hall: Hall) -> None:
        self._core = core
        self._hall = hall
        self._parties: dict[str, Party] = {}
        self._voice = Voice(core, hall, DOWN)
        self._lists = OnlineLists(core, hall, DOWN)
        hall.on(UP, self._message)
        hall.on_leave(self._left)
        core.hub.subscribe(ClientRemoved, self._removed)

    def __len__(self) -> int:
        return len(self._parties)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lists.run())
            group.create_task(self._voice.run())

    async def _message(self, sid: str, data: Any) -> None:
        await self._voice.until_read(sid)
        caller = Caller(party=self._parties.get(sid), address=self._hall.address(sid), socket=sid)
        reply = await self._core.instance.answer("client", data, caller)
        if not self._hall.address(sid):
            return  # it left meanwhile
        self._voice.say(sid, reply)
        if reply.action == "updateOnlineNodes":
            self._lists.told(sid, reply)
        if reply.party is not None:
            self._enter(sid, reply.party)
        elif reply.fault is None:
            self._hall.strangers.renew(sid)

    def _enter(self, sid: str, party: Party) -> None:
        """It logged in. An older connection of it ends, and so does what it was before on this one."""
        older = self._voice.sid(party)
        if older is not None and older != sid:
            self._end(older, "Another connection has logged in with this token.")
        self._forget(sid)
        self._hall.strangers.leave(sid)
        self._parties[sid] = party
        self._voice.enter(party, sid)
        self._lists.enter(sid, party.number)

    def _removed(self, event: ClientRemoved) -> None:
        if (sid := self._voice.sid(Party("client", event.client_id))) is not None:
            self._end(sid, "This program was removed from the gateway.")

    def _end(self, sid: str, sentence: str) -> None:
        self._forget(sid)
        self._voice.dismiss(sid, sentence)

    def _left(self, sid: str, reason: str) -> None:
        self._forget(sid)

    def _forget(self, sid: str) -> None:
        self._lists.leave(sid)
        if (party := self._parties.pop(sid, None)) is not None:
            self._voice.leave(party, sid)
