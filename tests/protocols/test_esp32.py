"""The websocket `/esp32` as docs/protocols/esp32.md shows it."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.dialects.rawsocket import RawSocket
from tests.dialects.transports import SILENCE_S
from tests.dialects.world import World

from .script import Script

Keep = Callable[[Any], Any]
ID = "MC-0001-LT"


def test_everything_on_the_page(world: World, keep: Keep) -> None:
    script = Script("esp32", token=secrets.token_hex(16))
    world.secrets.add(script.known["<token>"])
    newcomer = keep(RawSocket(world.url))
    script.say(newcomer, "esp32", "identify")
    assert newcomer.closed_with() == 1008
    assert newcomer.names() == set()

    module = keep(RawSocket(world.url))
    script.say(module, "esp32", "identify")
    time.sleep(SILENCE_S)
    assert module.names() == set()
    assert world.module(ID)["type"] == 4
    world.approve(ID)
    script.hear(module, "esp32", "connected")
    script.hear(module, "esp32", "authSuccess")
    world.becomes(ID, "online")

    script.say(module, "esp32", "pong")
    script.say(module, "esp32", "espTelemetry")
    world.reports(ID, ready=True, speed=0, running=False)
    script.say(module, "esp32", "heartbeat")

    forward = world.command(ID, "forward", speed=3, duration=2)
    assert script.hear(module, "esp32", "espCommand")["id"] == forward
    script.say(module, "esp32", "commandResponse")
    world.command_is(ID, forward, "done")
    world.reports(ID, running=True)
    assert module.sizes[-1] < 15 * 1024

    newer = keep(RawSocket(world.url))
    script.say(newer, "esp32", "identify")
    assert module.closed_with() == 1000
    newer.hear("auth_success")
    newer.say_raw("no JSON")
    assert newer.closed_with() == 1003
    script.complete()
