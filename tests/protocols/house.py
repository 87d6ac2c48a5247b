"""What the conversations have in common: the gateway they are held with, and lines to it over MQTT."""

from dataclasses import dataclass
from typing import Any

from tests.dialects.mqttsocket import ROOT, MqttSocket
from tests.dialects.talker import PATIENCE_S
from tests.dialects.world import World


@dataclass(frozen=True)
class House:
    """`shared_key` is the one of STRIP-2, which was entered beforehand."""

    world: World
    shared_key: str


class Line(MqttSocket):
    """Over MQTT; a text is sent as it is, not as JSON."""

    def say(self, event: str, *args: Any) -> None:
        if args and isinstance(args[0], str):
            self._client.publish(ROOT + event, args[0], 1, True).wait_for_publish(PATIENCE_S)
        else:
            super().say(event, *args)
