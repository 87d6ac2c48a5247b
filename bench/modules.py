"""Modules over Socket.IO (websocket) in the dialect `module.register`: one process, many light clients."""

import asyncio
import random
import time
from collections import Counter
from typing import Any

import msgspec

from bench import mqtt
from bench.socket_io import TIMEOUT_S, Client
from bench.timing import beats, reached, spread
from bench.worker import serve

HELLO, ERROR, COMMAND = "module.register", "module.error", "module.7.set"
ONLINE = 2
ASK_EVERY_S = 5
# So many come at once; when the server does not keep up, the others wait and the rate falls.
MOST_COMING = 200
COMMANDERS = 10
decode = msgspec.json.Decoder().decode


class Module(Client):
    """One module: whether it was let in, its errors by name, and the stamps of the commands it got."""

    def __init__(self, token: str, errors: Counter[str], commands: list[int]) -> None:
        super().__init__()
        self._hello = {"token": token}
        self._errors, self._commands = errors, commands
        self.base = 0.0
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def come(self, port: int) -> None:
        await self.open(port)
        self.ask()
        await asyncio.wait_for(self.greeted, TIMEOUT_S)

    def ask(self) -> None:
        self.say(HELLO, self._hello)

    def heard(self, frame: bytes) -> None:
        name, data = decode(frame[2:])
        if name == COMMAND:
            self._commands.append(mqtt.stamp(self.base) - data["values"]["sent"])
        elif name == ERROR:
            self._errors[data["error"]] += 1
        elif data["status"] == ONLINE and not self.greeted.done():
            self.greeted.set_result(None)


class Modules:
    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.commands: list[int] = []
        self.there: list[Module] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def set_up(self, port: int, names: list[list[str]]) -> int:
        self.port, self.names = port, names
        return len(names)

    def _module(self, token: str) -> Module:
        return Module(token, self.errors, self.commands)

    # They come and go

    async def hellos(self, rate: float, seconds: float) -> dict[str, Any]:
        """So many a second connect, say hello, are answered and leave: in turn those that are not there."""
        names = self.names[len(self.there) :]
        waits: list[float] = []
        coming: set[asyncio.Task[None]] = set()
        begin = time.monotonic()
        async for number in beats(rate, seconds):
            task = asyncio.create_task(self._visit(names[number % len(names)][1], waits))
            coming.add(task)
            task.add_done_callback(coming.discard)
            if len(coming) >= MOST_COMING:
                await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*coming, return_exceptions=True)
        a_minute = len(waits) / (time.monotonic() - begin) * 60
        missed = int(rate * seconds) - len(waits)
        return {"a_minute": a_minute, "answered": len(waits), "missed": missed, "hello": spread(waits)}

    async def _visit(self, token: str, waits: list[float]) -> None:
        module, begin = self._module(token), time.monotonic()
        await module.come(self.port)
        waits.append((time.monotonic() - begin) * 1000)
        module.leave()

    async def wait(self, tokens: list[str]) -> int:
        """Modules nobody has approved come, stay, and ask every five seconds."""
        for number, token in enumerate(tokens):
            module = self._module(token)
            await module.open(self.port)
            self._asking.add(asyncio.create_task(self._ask(module, ASK_EVERY_S * number / len(tokens))))
        return len(self._asking)

    async def _ask(self, module: Module, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        while not module.socket.lost:
            module.ask()
            self.errors["asked"] += 1
            await asyncio.sleep(ASK_EVERY_S)

    async def told(self) -> dict[str, int]:
        """What waiting modules were told, by the error's name; and how often they `asked`."""
        return dict(self.errors)

    # They stay

    async def connect(self, count: int) -> float:
        """Have so many of them in; seconds it took."""
        begin = time.monotonic()
        while len(self.there) < count:
            at = len(self.there)
            some = [self._module(token) for _, token in self.names[at : min(at + MOST_COMING // 4, count)]]
            await asyncio.gather(*(module.come(self.port) for module in some))
            self.there += some
        return time.monotonic() - begin

    async def work(self, readings: float, commands: float, seconds: float, token: str) -> dict[str, Any]:
        """So many readings and commands a second, each to or from another module; delays of commands, ms."""
        base = time.monotonic()
        for module in self.there:
            module.base = base
        self.commands.clear()
        commanders = [Client(token) for _ in range(COMMANDERS)]
        await asyncio.gather(*(commander.open(self.port) for commander in commanders))
        down = self._command(commanders, commands, seconds, base)
        await asyncio.gather(self._report(readings, seconds, base), down)
        sent = int(commands * seconds)
        await reached(lambda: len(self.commands), sent, timeout_s=10)
        for commander in commanders:
            commander.leave()
        return {
            "readings": int(readings * seconds), "commands": sent, "undelivered": sent - len(self.commands),
            "lost": sum(module.socket.lost for module in self.there),
            "command": spread([delay / mqtt.STAMPS_A_MS for delay in self.commands]),
        }  # fmt: skip

    async def _report(self, rate: float, seconds: float, base: float) -> None:
        async for number in beats(rate, seconds):
            reading = mqtt.reading(mqtt.stamp(base)).decode()
            self.there[number % len(self.there)].socket.send(f'42["module.7.telemetry",{reading}]')

    async def _command(self, commanders: list[Client], rate: float, seconds: float, base: float) -> None:
        """As a page does it, by people's own sockets."""
        async for number in beats(rate, seconds):
            module_id = self.names[random.randrange(len(self.there))][0]
            params = {"values": {"sent": mqtt.stamp(base)}}
            wish = {"moduleId": module_id, "command": "set", "params": params}
            commanders[number % len(commanders)].say("send_module_command", wish)


if __name__ == "__main__":
    modules = Modules()
    verbs = (modules.set_up, modules.hellos, modules.wait, modules.told, modules.connect, modules.work)
    serve({verb.__name__: verb for verb in verbs})
