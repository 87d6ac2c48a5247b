"""Modules with ESP32 firmware, on the plain websocket `/esp32`: they say a password, and talk JSON."""

import asyncio
import logging
from collections.abc import Mapping
from itertools import count
from typing import Any

from bridge.sockets import esp32_words as words
from bridge.sockets.esp32_door import Door, Lobby
from bridge.sockets.esp32_uplink import Esp32Uplink
from bridge.sockets.live import LiveModules, Why
from bridge.sockets.wire import BAD_DATA, DONE, FAULT, REFUSED, TOO_BIG, TRY_LATER, Event, Receive, Send, Wire
from bridge.tasks import Tasks
from gateway.core.commands import Handover
from gateway.core.core import Core
from gateway.core.errors import Invalid, TooMany
from gateway.core.limits import Throttle
from gateway.core.rights import ModuleIdentity
from gateway.core.values import Command

log = logging.getLogger(__name__)

IDENTIFY_S = 30.0
WAITING_S = 30.0
MAX_MESSAGE = 16 * 1024
# How many messages a socket may send at once, and then how often; the rest is read later.
BURST, EVERY_S = 200, 0.02
# One sentence for an unknown id, a wrong password and everything before them.
WHO = "Not authenticated."
TOO_LATE = "No module identified itself in time."
TOO_BIG_A_COMMAND = f"The command is too big for this module: {words.MAX_FRAME // 1024} KiB is all it reads."
GOODBYES = {1000: "goodbye", 1001: "goodbye", 1012: "broker_lost"}


class Esp32:
    """`WebSocketRoute("/esp32", Esp32(core, tasks))`. No Origin is checked: the proof is in the messages."""

    def __init__(self, core: Core, tasks: Tasks) -> None:
        self.core = core
        self.live = LiveModules(core)
        self.lobby = Lobby()
        self.waiting: dict[tuple[str, int], Visit] = {}
        self.door = Door(core, tasks)
        self.uplink = Esp32Uplink(core)
        self.pace = Throttle(BURST, EVERY_S, enabled=core.settings.rate_limits)
        self._numbers = count(1)

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        await receive()
        address = str((scope.get("client") or ("unknown",))[0])
        visit = Visit(self, f"esp32 {next(self._numbers)}", address, Wire(send))
        if not self.lobby.enter(visit.name, address):
            await send({"type": "websocket.close", "code": TRY_LATER})
            return
        try:
            await send({"type": "websocket.accept"})
            visit.must_speak_within(IDENTIFY_S)
            await visit.wire.run(visit.listen(receive))
        finally:
            visit.over()


class Visit:
    """One socket, from its first word to its last: nobody, one who waits, or a module's session."""

    def __init__(self, house: Esp32, name: str, address: str, wire: Wire) -> None:
        self._house = house
        self._core = house.core
        self.address = address
        self._identity: ModuleIdentity | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._reason = "will"
        self.wire = wire
        self.name = name
        self.module_id = ""
        self.proof = ""

    # Its side

    async def listen(self, receive: Receive) -> None:
        """Until it goes, or says something that ends it."""
        try:
            while self.wire.open and (text := await self._next(receive)) is not None:
                await self._take(text)
        except Exception:
            log.exception("Serving an ESP32 module failed.")
            self.wire.end(FAULT)

    async def _next(self, receive: Receive) -> str | None:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            self._reason = GOODBYES.get(event.get("code", 0), "will")
            return None
        text: str | None = event.get("text")
        if text is None:
            self.wire.end(BAD_DATA, "Messages are text.")
        elif len(text.encode()) > MAX_MESSAGE:
            self.wire.end(TOO_BIG, f"A message may have {MAX_MESSAGE} bytes.")
        else:
            await self._in_turn()
            return text
        return None

    async def _in_turn(self) -> None:
        """One who talks too fast is read later, until his own buffers are full."""
        while True:
            try:
                return self._house.pace.spend(self.name)
            except TooMany as busy:
                await asyncio.sleep(busy.retry_after_s)

    async def _take(self, text: str) -> None:
        try:
            message = words.parse(text)
        except Invalid as fault:
            self.wire.end(BAD_DATA, fault.message)
            return
        if message.get("type") == "module_identify":
            await self._identify(message)
        elif self._identity is None:
            self.wire.end(REFUSED, WHO)
        else:
            self._pass_on(message)

    async def _identify(self, hello: Mapping[str, Any]) -> None:
        identity = await self._house.door.recognise(hello, self.address)
        if identity is None or not _is_same(identity, self._identity or identity):
            # Closed before anything is looked into further, so that nothing of that can be measured.
            self.wire.end(REFUSED, WHO)
            if identity is None and self._identity is None:
                self._house.door.apply(hello, self.address)
        elif self.module_id:
            self._greet()
            self._pass_on(hello)
        else:
            self._identity = identity
            self._house.lobby.leave(self.name)
            if identity.approved:
                self._enter(identity)
                self._pass_on(hello)
            else:
                self._wait(identity)

    def _pass_on(self, message: Mapping[str, Any]) -> None:
        """What an approved module says; one who waits is met with silence."""
        module = self._core.registry.known(self.module_id) if self.module_id else None
        if module is not None and self.wire.open:
            self._house.uplink.receive(module, message)

    # Coming and going

    def _wait(self, identity: ModuleIdentity) -> None:
        """In silence. Of several sockets of the same newcomer the newest is the one that waits."""
        self.must_speak_within(WAITING_S)
        older = self._house.waiting.get(_who(identity), self)
        self._house.waiting[_who(identity)] = self
        self._house.live.wait(identity, self)
        if older is not self:
            older.end("takeover")

    def _enter(self, identity: ModuleIdentity) -> None:
        self._waits_no_more()
        self._identity = identity
        self.module_id, self.proof = identity.id, identity.proof
        module = self._core.registry.get(identity.id)
        self._house.live.adopt(module, self)
        self._greet()
        self._house.live.greeted(module)

    def _greet(self) -> None:
        latest = self._core.telemetry.latest(self.module_id)
        for frame in words.greeting(latest, self._core.standing.of(self.module_id)):
            self.wire.say(frame)

    def must_speak_within(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(seconds, self.wire.end, REFUSED, TOO_LATE)

    def _waits_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self._identity is not None:
            who = _who(self._identity)
            self._house.live.waits_no_more(who[0], self.name)
            if self._house.waiting.get(who) is self:
                del self._house.waiting[who]

    def over(self) -> None:
        """The socket is gone."""
        self._waits_no_more()
        self._house.lobby.leave(self.name)
        self._house.pace.forgive(self.name)
        self._house.live.lost(self, self._reason)

    # The gateway's side

    def deliver(self, command: Command) -> Handover | None:
        if command.status != "queued" and not self._is_setting(command):
            # It was sent before. Such firmware knows no ids, so an action could be done twice; it waits for
            # the answer to the first, or for its end.
            return None
        frame = words.command_frame(command)
        if frame is not None:
            return "sent" if self.wire.say(frame) else None
        # It ends as soon as it counts as sent.
        answered = self._core.commands.answered
        loop = asyncio.get_running_loop()
        loop.call_soon(answered, command.module_id, command.id, "failed", None, TOO_BIG_A_COMMAND)
        return "sent"

    def _is_setting(self, command: Command) -> bool:
        module = self._core.registry.get(command.module_id)
        spec = self._core.types.get(module.type).commands.get(command.name)
        return spec is not None and spec.keep

    def end(self, why: Why) -> None:
        self.wire.end(DONE if why == "takeover" else REFUSED, why)

    def approved(self, identity: ModuleIdentity) -> None:
        if self.wire.open:
            self._enter(identity)

    def refused(self) -> None:
        self.wire.end(REFUSED, WHO)


def _who(identity: ModuleIdentity) -> tuple[str, int]:
    return identity.id, identity.claim


def _is_same(one: ModuleIdentity, other: ModuleIdentity) -> bool:
    return (_who(one), one.proof) == (_who(other), other.proof)
