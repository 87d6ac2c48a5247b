"""The dialect `module.register`: modules over Socket.IO, as the guirlande hub and its devices speak it.

A module says its token until it is answered. Nothing is answered while it waits for approval.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from bridge import readings
from bridge.sockets.hall import Hall
from bridge.sockets.live import LiveModules, Session, Why
from gateway.core.commands import Handover
from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid
from gateway.core.rights import ModuleIdentity
from gateway.core.values import Command, Module

HELLO, ERROR = "module.register", "module.error"
# Older clients say it so; they are answered on the event they used, in the words they know.
OLD_HELLO = "module.connect"
NOT_FOUND, NOT_ALLOWED = "MODULE_NOT_FOUND", "EVENT_NOT_ALLOWED"
TELEMETRY = "telemetry"


class Status(IntEnum):
    """A module's status as this dialect counts it."""

    PENDING = 0
    OFFLINE = 1
    ONLINE = 2


# What a hello is answered with once the module is in, and what it hears while it waits.
WELCOME = {HELLO: Status.ONLINE, OLD_HELLO: Status.OFFLINE}
PATIENCE = {HELLO: "MODULE_IS_PENDING", OLD_HELLO: "MODULE_NOT_VALIDATED"}


class Guest:
    """One socket that has said a hello with a token of ours."""

    def __init__(
        self, dialect: "Modules", sid: str, hello: str, identity: ModuleIdentity, address: str
    ) -> None:
        self._dialect = dialect
        self.sid = sid
        self.hello = hello
        self.name = f"socketio {sid}"
        self.module_id = identity.id
        self.proof = identity.proof
        self.address = address

    def deliver(self, command: Command) -> Handover | None:
        # Modules of this dialect answer nothing: done is what was handed to a connection that lives.
        if not self._dialect.answers(self):
            return None
        self._dialect.tell(self, command.name, command.params)
        return "done"

    def end(self, why: Why) -> None:
        self._dialect.dismiss(self, None if why == "takeover" else NOT_FOUND)

    def approved(self, identity: ModuleIdentity) -> None:
        self.proof = identity.proof
        self._dialect.welcome(self)

    def refused(self) -> None:
        self._dialect.turn_away(self)


class Modules:
    """Its events go through the hall; `live` carries commands to those that are in."""

    def __init__(self, core: Core, hall: Hall) -> None:
        self._core = core
        self._hall = hall
        self._guests: dict[str, Guest] = {}
        self.live = LiveModules(core)
        hall.on(HELLO, self._hello)
        if hall.compat.understands(OLD_HELLO):
            hall.on(OLD_HELLO, self._old_hello)
        hall.on_prefix("module.", self._event)
        hall.on_leave(self._left)

    async def run(self) -> None:
        await self.live.hear_pings(self.answers)

    def answers(self, session: Session) -> bool:
        return isinstance(session, Guest) and self._hall.answers(session.sid)

    # Hello

    async def _hello(self, sid: str, data: Any) -> None:
        self._greet(sid, HELLO, data)

    async def _old_hello(self, sid: str, data: Any) -> None:
        self._greet(sid, OLD_HELLO, data)

    def _greet(self, sid: str, hello: str, data: Any) -> None:
        token = data.get("token") if isinstance(data, Mapping) else None
        identity = self._core.registry.by_token(token)
        if identity is None:
            self._refuse(sid, hello, NOT_FOUND)
            return
        guest = self._guest(sid, hello, identity)
        if identity.approved:
            self.welcome(guest)
            readings.hello(self._core, self._core.registry.get(identity.id), data.get("firmware"))
            readings.hardware(self._core, identity.id, data.get("hardware"))
        else:
            self._hall.strangers.renew(sid)
            self.live.wait(identity, guest)
            self._say(sid, ERROR, {"error": PATIENCE[hello]})

    def _guest(self, sid: str, hello: str, identity: ModuleIdentity) -> Guest:
        """The same socket may say its hello again; with another module's token it is that module's."""
        before = self._guests.get(sid)
        if before is not None and before.module_id == identity.id and before.proof == identity.proof:
            before.hello = hello
            return before
        if before is not None:
            self._forget(before, "goodbye")
        guest = self._guests[sid] = Guest(self, sid, hello, identity, self._hall.address(sid))
        return guest

    def welcome(self, guest: Guest) -> None:
        """It is in: it hears so, then what it should be set to, then what waits for it."""
        module = self._core.registry.get(guest.module_id)
        self._hall.strangers.leave(guest.sid)
        self.live.waits_no_more(guest.module_id, guest.name)
        answer = {"status": int(WELCOME[guest.hello])}
        about = {"id": module.id, "type": module.type} if guest.hello == HELLO else {}
        self._say(guest.sid, guest.hello, answer | about)
        for name, params in self._core.standing.to_restore(module):
            self.tell(guest, name, params)
        self.live.adopt(module, guest)
        self.live.greeted(module)

    def tell(self, guest: Guest, name: str, params: Mapping[str, Any]) -> None:
        """A command; without arguments it is said without one."""
        module = self._core.registry.get(guest.module_id)
        self._say(guest.sid, f"module.{module.type}.{name}", dict(params) or None)

    # Uplink

    async def _event(self, event: str, sid: str, data: Any) -> None:
        guest = self._guests.get(sid)
        module = self._core.registry.known(guest.module_id) if guest else None
        try:
            if guest is None or module is None or self.live.of(module.id) is not guest:
                raise Invalid("Say module.register first.")
            self._core.presence.heard(module)
            self._take(module, event, data)
        except (GatewayError, ValueError, RecursionError) as error:
            sentence = error.message if isinstance(error, GatewayError) else "This cannot be understood."
            self._say(sid, ERROR, {"error": NOT_ALLOWED, "message": sentence})

    def _take(self, module: Module, event: str, data: Any) -> None:
        _, _, rest = event.partition(".")
        type_code, _, name = rest.partition(".")
        if type_code != str(module.type) or not name:
            raise Invalid("The events of this module begin with module.%(type)s.", type=module.type)
        if not readings.fits(data):
            raise Invalid("An event holds at most %(max_bytes)s bytes.", max_bytes=readings.MAX_BYTES)
        if name == TELEMETRY and name not in self._core.types.get(module.type).events:
            if not isinstance(data, dict | list):
                raise Invalid("A reading is an object.")
            readings.report(self._core, module, data)
        elif data is not None and not isinstance(data, dict):
            raise Invalid("An event has one object, or nothing.")
        else:
            readings.raise_event(self._core, module, name, data or {})

    # Ends

    def dismiss(self, guest: Guest, error: str | None) -> None:
        """The session ends; `error` says why, unless a newer one of the module has taken its place."""
        self._guests.pop(guest.sid, None)
        if error is not None:
            self._refuse(guest.sid, guest.hello, error)
        self._hall.strangers.hurry(guest.sid)

    def turn_away(self, guest: Guest) -> None:
        """It waited in vain; it may register anew and come back over the same socket."""
        self._guests.pop(guest.sid, None)
        self._hall.strangers.renew(guest.sid)
        self._refuse(guest.sid, guest.hello, NOT_FOUND)

    def _refuse(self, sid: str, hello: str, error: str) -> None:
        self._say(sid, hello, {"status": int(Status.PENDING), "error": error})
        self._say(sid, ERROR, {"error": error})

    def _left(self, sid: str, reason: str) -> None:
        if (guest := self._guests.pop(sid, None)) is not None:
            self._forget(guest, reason)

    def _forget(self, guest: Guest, reason: str) -> None:
        self.live.waits_no_more(guest.module_id, guest.name)
        self.live.lost(guest, reason)

    def _say(self, sid: str, event: str, data: dict[str, Any] | None) -> None:
        self._hall.speaker.say(event, data, [sid])
