"""Commands asked for over MQTT: `<id>/ask/<command>` from a controller, answers on its `reply`."""

from collections import OrderedDict
from typing import Any

import msgspec

from bridge.mqtt.link import Inbound, Link, Stored
from bridge.tasks import Tasks
from bridge.topics import Topics
from gateway.core.core import Core
from gateway.core.errors import GatewayError, Invalid
from gateway.core.events import CommandChanged
from gateway.core.rights import Path, Principal, Service

MAX_REMEMBERED = 10_000


class Asking:
    def __init__(self, core: Core, topics: Topics, link: Link, tasks: Tasks) -> None:
        self._core = core
        self._topics = topics
        self._link = link
        self._tasks = tasks
        self._askers: OrderedDict[str, Principal | None] = OrderedDict()
        core.hub.subscribe(CommandChanged, self._command_changed)

    def receive(self, message: Inbound, path: Path, stored: Stored | None) -> None:
        if not self._tasks.start(self._ask(message, path[0], path[2], stored)):
            refusal = {"status": "rejected", "error": "Too many ask at once. Try again later."}
            self._answer(path[0], path[2], refusal, message.sender)
            self._acknowledge(stored)

    async def _ask(self, message: Inbound, module_id: str, name: str, stored: Stored | None) -> None:
        try:
            by = message.sender.name if isinstance(message.sender, Service) else "mqtt"
            command = await self._core.commands.send(module_id, name, _params(message), by)
            self._askers[command.id] = message.sender
            if len(self._askers) > MAX_REMEMBERED:
                self._askers.popitem(last=False)
            answer: dict[str, Any] = {"id": command.id, "status": command.status}
        except GatewayError as error:
            answer = {"status": "rejected", "error": str(error.message)}
        self._answer(module_id, name, answer, message.sender)
        self._acknowledge(stored)

    def _acknowledge(self, stored: Stored | None) -> None:
        if stored is not None:
            self._core.store.when_stored(stored)

    def _command_changed(self, event: CommandChanged) -> None:
        command = event.command
        if command.ended and command.id in self._askers:
            answer = {"id": command.id, "status": command.status}
            answer |= {"result": command.result} if command.result is not None else {}
            answer |= {"error": command.error} if command.error is not None else {}
            self._answer(command.module_id, command.name, answer, self._askers.pop(command.id))

    def _answer(self, module_id: str, name: str, answer: dict[str, Any], to: Principal | None) -> None:
        self._link.publish(self._topics.ask_reply(module_id, name), msgspec.json.encode(answer), only_for=to)


def _params(message: Inbound) -> dict[str, Any]:
    if message.retain:
        raise Invalid("A command must not be retained.")
    try:
        params = msgspec.json.decode(message.payload) if message.payload else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Invalid("The parameters are no JSON.") from None
    if not isinstance(params, dict):
        raise Invalid("The parameters must be a JSON object.")
    return params
