"""One row of the normative table: what is sent, what the standard wants back, what Mosquitto does instead."""

from dataclasses import dataclass

from . import packets as mqtt
from .client import Wire
from .packets import Connack, Packet, Pingresp, Publish

# What a row may expect:
CLOSED = "closed"  # the server closes; it may have answered earlier packets
SILENT = "silent"  # the server closes without having sent anything [MQTT-3.1.4-1]
ALIVE = "alive"  # the server goes on to serve
FREE = "closed or alive"  # the standard leaves it open
REFUSED = {code: f"refused with {code}" for code in range(1, 6)}  # CONNACK with this code, then closed
UNTRIED = "not tried"  # as mosquitto_differs: it takes another path that this table does not follow


@dataclass(frozen=True)
class Row:
    """`sends` follows an accepted CONNECT unless `connected` is False. A tuple of packets as `expects` wants
    these answers, in this order, and then life. `mosquitto_differs` is what Mosquitto 2.0.11 does instead."""

    statement: str
    name: str
    sends: tuple[bytes, ...]
    expects: str | tuple[Packet, ...]
    connected: bool = True
    mosquitto_differs: str | tuple[Packet, ...] | None = None

    def __str__(self) -> str:
        return f"{self.statement}-{self.name}".replace(" ", "_")


def run(port: int, row: Row, probe: bool) -> tuple[tuple[Packet, ...], bool]:
    """What the server sent (without our own CONNACK and the probe's PINGRESP), and whether it serves on."""
    with Wire(port) as wire:
        if row.connected:
            wire.send(mqtt.connect(""))
            assert wire.read() == Connack(False, 0)
        for data in row.sends:
            wire.send(data)
        if probe:
            wire.send(mqtt.PING)
        answers = []
        while (packet := wire.read()) is not None:
            if packet == Pingresp():
                return tuple(answers), True
            if not isinstance(packet, Publish):  # retained ones that another row left
                answers.append(packet)
        return tuple(answers), False


def agrees(expected: str | tuple[Packet, ...], answers: tuple[Packet, ...], alive: bool) -> bool:
    if isinstance(expected, tuple):
        return alive and answers == expected
    if expected in REFUSED.values():
        return not alive and [REFUSED.get(getattr(a, "code", 0)) for a in answers] == [expected]
    return {
        CLOSED: not alive and not any(getattr(a, "code", 0) for a in answers),
        SILENT: not alive and not answers,
        ALIVE: alive,
        FREE: True,
    }[expected]
