"""Messages between modules on MQTT and programs: `up/instance` in, `down/instance` out."""

from typing import Any

import msgspec

from bridge import topics as words
from bridge.mqtt.link import Inbound, Link, Stored
from bridge.tasks import Tasks
from bridge.topics import Topics
from gateway.core.core import Core
from gateway.core.envelope import Caller, Reply, refusal
from gateway.core.errors import GatewayError, Invalid, TooMany
from gateway.core.mailbox import Party
from gateway.core.rights import ModuleIdentity
from gateway.core.values import Module

# What a module is sent at once of its queue; the rest follows as it processes what it has.
MOST_QUEUE_BYTES = 64 * 1024
RETRY_AFTER_S = 1


class Posting:
    """The carrier of the instance's to modules that listen on MQTT; who sends is who the topic says."""

    def __init__(self, core: Core, topics: Topics, link: Link, tasks: Tasks) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._tasks = tasks
        core.instance.carry(self)

    def receive(self, module: Module, message: Inbound, stored: Stored | None) -> None:
        """Acknowledged once what it asked for is stored."""
        data = _decoded(message.payload)
        if not self._tasks.start(self._answer(module, data, message.address, stored)):
            self._say(module.id, refusal(data, TooMany("Too many ask at once. Try again.", RETRY_AFTER_S)))
            self._acknowledge(stored)

    def greet(self, module: Module) -> None:
        """After its hello: what waits for it, if anything does."""
        party = Party("module", module.number)
        if self._core.mailbox.of(party) and self.listens(party):
            self._say(module.id, self._core.instance.logged(party))

    def listens(self, to: Party) -> bool:
        module = self._core.registry.numbered(to.number) if to.kind == "module" else None
        return module is not None and self._link.listens(
            module.id, self._topics.of(module.id, words.DOWN_INSTANCE)
        )

    def deliver(self, to: Party, reply: Reply) -> bool:
        module = self._core.registry.numbered(to.number) if self.listens(to) else None
        if module is None:
            return False
        self._say(module.id, reply)
        return True

    async def _answer(self, module: Module, data: Any, address: str, stored: Stored | None) -> None:
        self._say(module.id, await self._reply(Party("module", module.number), data, address))
        self._acknowledge(stored)

    async def _reply(self, party: Party, data: Any, address: str) -> Reply:
        action = data.get("action") if isinstance(data, dict) else None
        try:
            if action == "register":
                raise Invalid("This module is registered already.")
            if action == "login":
                # Its session is the proof; a program that says so all the same is answered as elsewhere.
                return self._core.instance.logged(party)
        except GatewayError as error:
            return refusal(data, error)
        return await self._core.instance.answer("module", data, Caller(party=party, address=address))

    def _say(self, module_id: str, reply: Reply) -> None:
        self._link.publish(
            self._topics.of(module_id, words.DOWN_INSTANCE),
            msgspec.json.encode(_fitting(reply).envelope),
            only_for=ModuleIdentity(module_id, True),
        )

    def _acknowledge(self, stored: Stored | None) -> None:
        if stored is not None:
            self._core.store.when_stored(stored)


def _decoded(payload: bytes) -> Any:
    """The JSON; None, which fits nowhere, for what is none."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _fitting(reply: Reply) -> Reply:
    """With as much of the queue, oldest first, as a small device can take at once; one row at least."""
    rows: list[Any] = []
    size = 0
    for row in reply.parameters.get("queue", ()):
        size += len(msgspec.json.encode(row))
        if rows and size > MOST_QUEUE_BYTES:
            break
        rows.append(row)
    queue = {"queue": rows} if "queue" in reply.parameters else {}
    return msgspec.structs.replace(reply, parameters=reply.parameters | queue)
