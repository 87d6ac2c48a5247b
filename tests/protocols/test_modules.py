"""`module.register` as docs/protocols/modules.md shows it."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.dialects.pysocket import PySocket
from tests.dialects.transports import SILENCE_S
from tests.dialects.world import World

from .script import Script

Keep = Callable[[Any], Any]


def test_everything_on_the_page(world: World, keep: Keep) -> None:
    script = Script("modules")
    registration(script, world)
    module = keep(PySocket(world.url))
    hello(script, world, module)
    talk(script, world, module)
    older_hello(script, world, keep)
    unknown(script, world, keep)
    script.complete()


def registration(script: Script, world: World) -> None:
    answer = httpx.post(world.url + "/modules/register", data={"type": "0", "serial": "STRIP-1"}).json()
    assert answer.keys() == {"token", "id"}
    script.knows(token=answer["token"])
    world.secrets.add(answer["token"])


def hello(script: Script, world: World, module: PySocket) -> None:
    script.say(module, "moduleRegister", "moduleRegister")
    script.hear(module, "moduleError", "moduleError pending")
    time.sleep(SILENCE_S)
    assert module.names() == {"module.error"}
    world.approve("STRIP-1")
    script.hear(module, "moduleRegister", "moduleRegistered online")


def talk(script: Script, world: World, module: PySocket) -> None:
    script.say(module, "moduleTyped", "moduleTelemetry", "module.0.telemetry")
    world.reports("STRIP-1", on=True, brightness=128)
    script.say(module, "moduleTyped", "moduleTypedEvent", "module.0.color")
    script.say(module, "moduleTyped", "moduleTelemetry", "module.1.telemetry")
    script.hear(module, "moduleError", "moduleError notAllowed")
    blue = world.command("STRIP-1", "color", red=0, green=0, blue=255)
    script.hear(module, "moduleTyped", "moduleTypedCommand", "module.0.color")
    world.command_is("STRIP-1", blue, "done")
    stop = world.command("STRIP-1", "loop")
    assert module.hear("module.0.loop").args == ()
    world.command_is("STRIP-1", stop, "done")


def older_hello(script: Script, world: World, keep: Keep) -> None:
    """The newest session wins, and is given its last colour back."""
    again = keep(PySocket(world.url))
    script.say(again, "moduleConnect", "moduleRegister")
    script.hear(again, "moduleConnect", "moduleConnected online")
    script.hear(again, "moduleTyped", "moduleTypedCommand", "module.0.color")
    _, token = world.register("STRIP-3", type=0)
    newcomer = keep(PySocket(world.url))
    script.say(newcomer, "moduleConnect", "moduleRegister", token=token)
    script.hear(newcomer, "moduleError", "moduleError pendingAlias")


def unknown(script: Script, world: World, keep: Keep) -> None:
    stranger = keep(PySocket(world.url))
    script.say(stranger, "moduleRegister", "moduleRegister", token="x" * 43)
    script.hear(stranger, "moduleRegister", "moduleRegistered unknown")
    script.hear(stranger, "moduleError", "moduleError unknown")
    script.say(stranger, "moduleConnect", "moduleRegister", token="")
    script.hear(stranger, "moduleConnect", "moduleConnected unknown")
