"""Long-lived tasks: when one ends by itself the process stops in order, for a dead gateway must not serve."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any, Self

log = logging.getLogger(__name__)


class Duties:
    """`async with Duties() as duties`: what was started is ended, last first, at the end."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.wait([task])

    def start(self, duty: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(duty, name=name)
        self._tasks.append(task)
        self.watch(task)

    def watch(self, task: "asyncio.Task[None]") -> None:
        """Mind a task that somebody else ends."""
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._ending or task.cancelled():
            return
        log.critical("The task %r ended; the gateway stops.", task.get_name(), exc_info=task.exception())
        os.kill(os.getpid(), signal.SIGTERM)
