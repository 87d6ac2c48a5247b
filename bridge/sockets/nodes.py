"""The dialect `node.to.instance`: modules over Socket.IO that speak as programs do."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from bridge import readings
from bridge.sockets.hall import Hall
from bridge.sockets.live import LiveModules, Session, Why
from bridge.sockets.voice import Voice
from gateway.core.commands import Handover
from gateway.core.core import Core
from gateway.core.envelope import Caller, Reply, refusal
from gateway.core.errors import Forbidden, GatewayError, Invalid, Unavailable
from gateway.core.mailbox import Party
from gateway.core.values import Command, Module

UP, DOWN = "node.to.instance", "instance.to.node"
_ENDINGS: dict[Why, str] = {
    "takeover": "Another connection has logged in with this token.",
    "revoked": "This token is not valid any more.",
}


class Node:
    """One socket that has logged in as a module."""

    def __init__(
        self, dialect: "Nodes", sid: str, party: Party, module_id: str, proof: str, address: str
    ) -> None:
        self._dialect = dialect
        self.sid = sid
        self.party = party
        self.name = f"node {sid}"
        self.module_id = module_id
        self.proof = proof
        self.address = address

    def deliver(self, command: Command) -> Handover | None:
        self._dialect.tell(self, command)
        return "sent"

    def end(self, why: Why) -> None:
        self._dialect.dismiss(self, why)


class Nodes:
    """Beside the instance's acts a node says readings and events, and answers commands."""

    def __init__(self, core: Core, hall: Hall) -> None:
        self._core = core
        self._hall = hall
        self._nodes: dict[str, Node] = {}
        self._voice = Voice(core, hall, DOWN)
        self.live = LiveModules(core)
        self._reports: Mapping[str, Callable[[Module, Any], None]] = {
            "telemetry": self._telemetry,
            "event": self._event,
            "reply": self._reply,
        }
        hall.on(UP, self._message)
        hall.on_leave(self._left)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.live.hear_pings(self._answers))
            group.create_task(self._voice.run())

    # What they say

    async def _message(self, sid: str, data: Any) -> None:
        await self._voice.until_read(sid)
        action = data.get("action") if isinstance(data, dict) else None
        if isinstance(action, str) and (report := self._reports.get(action)) is not None:
            self._take(sid, data, report)
            return
        node = self._nodes.get(sid)
        caller = Caller(party=node.party if node else None, address=self._hall.address(sid), socket=sid)
        reply = await self._core.instance.answer("module", data, caller)
        if not self._hall.address(sid):
            return  # it left meanwhile
        self._voice.say(sid, reply)
        if reply.party is not None:
            self._enter(sid, reply.party, data)
        elif reply.fault is None or (action == "login" and isinstance(reply.fault, Forbidden)):
            # A module that waits for its approval may go on asking.
            self._hall.strangers.renew(sid)

    def _enter(self, sid: str, party: Party, data: Any) -> None:
        """It logged in and has heard so; now what waits for it may come."""
        module = self._core.registry.numbered(party.number)
        if module is None:
            return
        proof = self._core.registry.digests(module).token
        before = self._nodes.get(sid)
        if before is None or (before.party, before.proof) != (party, proof):
            self._left(sid, "goodbye")
            node = self._nodes[sid] = Node(
                self, sid, party, module.id, proof, self._hall.address(sid)
            )
            self._hall.strangers.leave(sid)
            self._voice.enter(party, sid)
            self.live.adopt(module, node)
        self.live.greeted(module)
        said = data.get("parameters") if isinstance(data, dict) else None
        about = said if isinstance(said, dict) else {}
        readings.hello(self._core, module, about.get("firmware"))
        readings.hardware(self._core, module.id, about.get("hardware"))

    def _take(self, sid: str, data: dict[str, Any], report: Callable[[Module, Any], None]) -> None:
        """A report is answered only when it is refused."""
        node = self._nodes.get(sid)
        try:
            module = self._core.registry.known(node.module_id) if node else None
            if module is None:
                raise Invalid("Log in first.")
            self._core.presence.heard(module)
            said = data.get("parameters")
            if not readings.fits(said):
                raise Invalid("A report holds at most %(max_bytes)s bytes.", max_bytes=readings.MAX_BYTES)
            report(module, said)
        except (GatewayError, ValueError, RecursionError) as error:
            fault = error if isinstance(error, GatewayError) else Invalid("This cannot be understood.")
            self._voice.say(sid, refusal(data, fault))

    def _telemetry(self, module: Module, said: Any) -> None:
        if not isinstance(said, dict | list):
            raise Invalid("A reading is an object.")
        if not readings.report(self._core, module, said):
            raise Unavailable("Storage cannot take this now. Try again later.")

    def _event(self, module: Module, said: Any) -> None:
        said = _object(said)
        name, data = said.get("name"), said.get("data")
        if not isinstance(name, str):
            raise Invalid("The name of the event is missing.")
        readings.raise_event(self._core, module, name, _object(data))

    def _reply(self, module: Module, said: Any) -> None:
        said = _object(said)
        id, status, error = said.get("id"), said.get("status"), said.get("error")
        text = None if error is None else str(error)
        if not self._core.commands.answered(module.id, str(id), str(status), said.get("result"), text):
            raise Invalid("There is no such command under way, or no such status.")

    # What they are told

    def tell(self, node: Node, command: Command) -> None:
        what: dict[str, Any] = {"id": command.id, "command": command.name, "params": command.params}
        if command.expires_at_ms is not None:
            what["expires_at"] = command.expires_at_ms
        self._voice.say(node.sid, Reply(action="command", parameters=what))

    def _answers(self, session: Session) -> bool:
        return isinstance(session, Node) and self._hall.answers(session.sid)

    # Ends

    def dismiss(self, node: Node, why: Why) -> None:
        """It is not the module's session any more."""
        self._forget(node)
        self._voice.dismiss(node.sid, _ENDINGS[why])

    def _left(self, sid: str, reason: str) -> None:
        if (node := self._nodes.get(sid)) is not None:
            self._forget(node)
            self.live.lost(node, reason)

    def _forget(self, node: Node) -> None:
        del self._nodes[node.sid]
        self._voice.leave(node.party, node.sid)


def _object(said: Any) -> dict[str, Any]:
    """An object; nothing at all is an empty one."""
    if said is not None and not isinstance(said, dict):
        raise Invalid("The parameters must be an object.")
    return said or {}
