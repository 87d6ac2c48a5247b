"""Short-lived work that a synchronous callback starts: bounded, owned, and ended at the close."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Self

log = logging.getLogger(__name__)

MOST = 1000


class Tasks:
    """`async with Tasks() as tasks`: what still runs at the end is cancelled."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._running: set[asyncio.Task[None]] = set()
        self.refused = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, None]) -> bool:
        """Run it soon; False (and not run) when too much runs already."""
        if len(self._running) >= self._most:
            work.close()
            self.refused += 1
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A task failed.", exc_info=error)
