"""What approved modules say on `/esp32`, handed on to the heart."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from bridge.readings import hardware, hello, report
from bridge.sockets import esp32_words as words
from gateway.core.core import Core
from gateway.core.errors import GatewayError
from gateway.core.values import Command, Module

Message = Mapping[str, Any]
UNDER_WAY = ("sent", "accepted")


class Esp32Uplink:
    def __init__(self, core: Core) -> None:
        self._core = core
        self.set_aside: Counter[str] = Counter()
        self._handlers: dict[str, Callable[[Module, Message], None]] = {
            "module_identify": self._hello,
            "telemetry": self._telemetry,
            "heartbeat": self._heartbeat,
            "command_response": self._answer,
            "pong": self._alive,
        }

    def receive(self, module: Module, message: Message) -> None:
        """Every message is a sign of life; what cannot be understood is counted, and the session lives."""
        self._core.presence.heard(module)
        handler = self._handlers.get(words.text_of(message, "type"))
        named = message.get("moduleId", module.id)
        if handler is None or not isinstance(named, str) or named.lower() != module.id.lower():
            self.set_aside["type" if handler is None else "sender"] += 1
            return
        try:
            handler(module, message)
        except GatewayError as error:
            self.set_aside[error.code] += 1

    def _telemetry(self, module: Module, message: Message) -> None:
        report(self._core, module, words.readings(message))

    def _hello(self, module: Module, message: Message) -> None:
        self._heartbeat(module, message)
        hello(self._core, module, message.get("firmware") or message.get("firmwareVersion"))
        hardware(self._core, module.id, message.get("hardware"))

    def _heartbeat(self, module: Module, message: Message) -> None:
        self._report_declared(module, message, frozenset())

    def _alive(self, module: Module, message: Message) -> None:
        """It is alive, and said no more."""

    def _answer(self, module: Module, message: Message) -> None:
        self._report_declared(module, message, words.ANSWER_WORDS)
        answer = words.answer(message)
        command = self._meant(module, answer) if answer else None
        if answer is None or command is None:
            self.set_aside["answer"] += 1
            return
        self._core.commands.answered(module.id, command.id, answer.status, answer.result, answer.error)

    def _report_declared(self, module: Module, message: Message, without: frozenset[str]) -> None:
        """Readings that came with another purpose: only those its type knows."""
        values = words.declared(message, self._core.types.get(module.type), without=without)
        if values:
            report(self._core, module, values)

    def _meant(self, module: Module, answer: words.Answer) -> Command | None:
        """The command that is under way and answered: by its id, or where firmware knows none, its name."""
        under_way = [c for c in self._core.commands.of(module.id) if c.status in UNDER_WAY]
        fitting = [
            command
            for command in under_way
            if answer.id in (None, command.id) and answer.command in (None, command.name)
        ]
        return fitting[-1] if fitting else None
