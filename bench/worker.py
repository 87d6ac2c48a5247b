"""A process of the benchmark and how its parent talks to it: one JSON object a line, one answer to each."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import uvloop

Handler = Callable[..., Awaitable[Any]]
LONGEST_LINE = 64 * 2**20


class Worker:
    """The parent's end: `await worker.ask("flood", count=1000)`; `async with` starts and ends the process."""

    def __init__(self, module: str) -> None:
        self._module = module

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, stdin=pipe, stdout=pipe, limit=LONGEST_LINE
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def ask(self, what: str, **words: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([what, words]).encode() + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended while it was asked to {what}")
        return json.loads(line)


def serve(handlers: Mapping[str, Handler]) -> None:
    """The process's end: answer until the parent closes the pipe."""
    uvloop.run(_serve(handlers))


async def _serve(handlers: Mapping[str, Handler]) -> None:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        what, words = json.loads(line)
        answer = await handlers[what](**words)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
