"""The list of online modules, pushed to programs: said when it changes, never twice, never too often."""

import asyncio
from hashlib import sha256

import msgspec

from bridge.sockets.hall import Hall
from gateway.core.core import Core
from gateway.core.envelope import Reply
from gateway.core.events import ClientChanged, Event, ModuleChanged, ModuleRemoved, PresenceChanged
from gateway.core.instance import node_list
from gateway.core.rights import Client

PUSH_EVERY_S = 1.0
PUSHED_BYTES_PER_S = 5_000_000


class OnlineLists:
    """What is pushed is made once for all programs that see the same."""

    def __init__(self, core: Core, hall: Hall, event: str) -> None:
        self._core = core
        self._hall = hall
        self._event = event
        self._numbers: dict[str, int] = {}
        self._known: dict[str, bytes] = {}
        self._due = asyncio.Event()
        for kind in (PresenceChanged, ModuleChanged, ModuleRemoved, ClientChanged):
            core.hub.subscribe(kind, self._may_differ)

    def enter(self, sid: str, number: int) -> None:
        """This socket is told from now on; the list as it is now it may ask for."""
        self._numbers[sid] = number
        identity = self._core.clients.get(number).identity
        self.told(sid, node_list(identity, self._core.instance.online_nodes()))

    def told(self, sid: str, reply: Reply) -> None:
        """The list that this socket knows from now on."""
        if sid in self._numbers:
            self._known[sid] = sha256(msgspec.json.encode(reply.parameters)).digest()

    def leave(self, sid: str) -> None:
        self._numbers.pop(sid, None)
        self._known.pop(sid, None)

    async def run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            said = await self._push()
            await asyncio.sleep(max(PUSH_EVERY_S, said / PUSHED_BYTES_PER_S))

    def _may_differ(self, event: Event) -> None:
        if self._numbers:
            self._due.set()

    async def _push(self) -> int:
        """How many bytes were said."""
        said, online = 0, self._core.instance.online_nodes()
        for owner_id, owned in self._by_owner().items():
            # Many owners with many modules must not hold up everybody else; but then all may be different.
            await asyncio.sleep(0)
            if self._due.is_set():
                online = self._core.instance.online_nodes()
            sids = [sid for sid in owned if self._is_of(sid, owner_id)]
            reply = node_list(Client(0, owner_id), online)
            text = msgspec.json.encode(reply.parameters)
            digest = sha256(text).digest()
            differ = [sid for sid in sids if self._known.get(sid, digest) != digest]
            ready = [sid for sid in differ if not self._hall.speaker.is_behind(sid)]
            if len(ready) < len(differ):
                self._due.set()
            self._known |= dict.fromkeys(ready, digest)
            self._hall.speaker.say(self._event, reply.envelope, ready)
            said += len(text) * len(ready)
        return said

    def _is_of(self, sid: str, owner_id: int | None) -> bool:
        program = self._core.clients.known(self._numbers.get(sid, 0))
        return program is not None and program.owner_id == owner_id

    def _by_owner(self) -> dict[int | None, list[str]]:
        sids: dict[int | None, list[str]] = {}
        for sid, number in self._numbers.items():
            if program := self._core.clients.known(number):
                sids.setdefault(program.owner_id, []).append(sid)
        return sids
