"""How a device takes what it is told: each command once, and its answer again when it comes again."""

from collections import OrderedDict
from typing import Any

import msgspec

from gateway.core.types import ModuleType
from gateway.simulator.readings import Readings

REMEMBERED = 32
Said = dict[str, Any]


class Order(msgspec.Struct, frozen=True):
    id: str
    command: str
    params: dict[str, Any] = {}


class Wish(msgspec.Struct, frozen=True):
    version: int
    values: dict[str, Any] = {}


class Obedience:
    """Pure: payloads in, what to answer out. Broken payloads get no answer."""

    def __init__(self, type: ModuleType, readings: Readings) -> None:
        self._type = type
        self._readings = readings
        self._answers: OrderedDict[str, Said] = OrderedDict()

    def command(self, payload: bytes) -> tuple[list[Said], str]:
        """(the replies to send, the event that the command raised or "")."""
        try:
            order = msgspec.json.decode(payload, type=Order)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return [], ""
        if order.id in self._answers:
            return [self._answers[order.id]], ""
        known = order.command in self._type.commands
        answer: Said = {"id": order.id, "status": "done"}
        if not known:
            answer |= {"status": "rejected", "error": "no such command"}
        self._answers[order.id] = answer
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        if not known:
            return [answer], ""
        self._readings.command(order.command, order.params)
        raised = order.command if order.command in self._type.events else ""
        return [{"id": order.id, "status": "accepted"}, answer], raised

    def desired(self, payload: bytes) -> Said | None:
        """What to report, once the wish is taken."""
        try:
            wish = msgspec.json.decode(payload, type=Wish)
        except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            return None
        self._readings.set(wish.values)
        return {"version": wish.version, "values": wish.values}
